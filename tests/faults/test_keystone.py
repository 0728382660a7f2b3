"""Processes die, and keys, passwords and relations are replaced, while people work."""

import contextlib
import threading
import time

import jubilant
import pytest

from tests.integration.clients import writing


@contextlib.contextmanager
def hooks_held(cloud, unit):
    """Keep a unit's machine busy, so that no hook of it runs in the block."""
    cloud.shell(unit, "touch /run/hold")
    command = "while [ -e /run/hold ]; do sleep 0.2; done"
    holder = threading.Thread(target=lambda: cloud.juju.exec(command, unit=unit, wait=300))
    holder.start()
    time.sleep(3)
    try:
        yield
    finally:
        cloud.shell(unit, "rm /run/hold")
        holder.join()


def rotate_keys(cloud) -> None:
    """Rotate Keystone's keys, as soon as all units have acknowledged those before."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        with contextlib.suppress(jubilant.TaskError):
            cloud.juju.run(cloud.leader("keystone"), "rotate-keys", wait=120)
            return
        time.sleep(2)
    raise AssertionError(cloud.refused(cloud.leader("keystone"), "rotate-keys"))


@pytest.mark.parametrize("service", ["keystone-api.service", "keystone-front.service"])
def test_a_killed_service_comes_back_by_itself(kill, service):
    kill("keystone", service)


def test_a_token_outlives_three_rotations_of_the_keys_on_every_unit(cloud, clients):
    token = clients.connect().authorize()
    for _ in range(3):
        rotate_keys(cloud)
    cloud.settle()
    for unit in cloud.units("keystone"):
        assert clients.validates(token, f"https://{cloud.address(unit)}:15000/v3"), unit


def test_keys_are_not_rotated_before_every_unit_has_them(cloud, clients):
    leader = cloud.leader("keystone")
    held = next(unit for unit in cloud.units("keystone") if unit != leader)
    token = clients.connect().authorize()
    with hooks_held(cloud, held):
        rotate_keys(cloud)
        assert held in cloud.refused(leader, "rotate-keys")
    cloud.settle()
    assert clients.validates(token, f"https://{cloud.address(held)}:15000/v3")


def test_passwords_are_replaced_while_people_work(cloud, users):
    relations = cloud.run("mysql/0", "cluster-status")["relations"]
    (database,) = (number for number, client in relations.items() if client["application"] == "keystone")
    services = cloud.run("keystone/0", "list-services")
    (service,) = (number for number, client in services.items() if client["application"] == "ceph-rgw")
    with writing(users.tokens):
        for _ in range(2):
            users.tokens.wait_for(3, 60)
            before = cloud.run("mysql/0", "cluster-status")["relations"][database]["users"]
            cloud.run(cloud.leader("mysql"), "rotate-password", relation_id=int(database))
            cloud.run(cloud.leader("keystone"), "rotate-service-password", relation_id=int(service))
            cloud.settle()
            limit = time.monotonic() + 180
            while before[0] in (
                now := cloud.run("mysql/0", "cluster-status")["relations"][database]["users"]
            ):
                assert time.monotonic() < limit, f"{before} is now {now}"
                time.sleep(3)
        users.tokens.wait_for(3, 60)
    assert users.tokens.longest_gap < 15


def test_a_relation_is_withdrawn_and_given_back(cloud, clients, users):
    """The gateways' user goes with the relation; the objects of their own users are served meanwhile."""
    with writing(users.objects):
        cloud.juju.remove_relation("ceph-rgw:identity-service", "keystone:identity-service")
        cloud.settle()
        catalogue = {service.type for service in clients.connect().identity.services()}
        assert not catalogue & {"object-store", "s3"}
        assert "ceph-rgw" not in str(cloud.run("keystone/0", "list-services"))
        cloud.juju.integrate("ceph-rgw:identity-service", "keystone:identity-service")
        cloud.settle()
        users.objects.wait_for(3, 60)
    users.verify()
    assert {"object-store", "s3"} <= {service.type for service in clients.connect().identity.services()}
    assert clients.connect().object_store.get_account_metadata() is not None
