"""Daemons and machines die while clients write: what was acknowledged is there, and all comes back by itself."""

import time

import pytest

from .clients import Users, writing
from .site import Load, load

WITHOUT_WRITER_SECONDS = 45
BACK_SECONDS = 60
STATUS = "mariadb --execute \"SHOW STATUS LIKE 'wsrep_cluster_status'\""


@pytest.fixture
def users(cloud, clients) -> Users:
    return Users(clients, cloud)


@pytest.mark.parametrize("daemon", ["ceph-osd", "ceph-mon", "ceph-mgr"])
def test_a_killed_daemon_comes_back_under_load(cloud, daemon):
    with load(cloud, "ceph/0", "probe") as clients:
        time.sleep(2)
        cloud.shell("ceph/1", f"pkill -9 {daemon}")
        time.sleep(12)
        seen = clients.stop()
        assert clients.verify() == seen["writes"] > 0
    assert seen["longest-gap"] < 30
    cloud.wait_for_health("ceph/0")


@pytest.mark.parametrize(
    ("application", "service"),
    [
        ("mysql", "mariadb.service"),
        ("keystone", "keystone-api.service"),
        ("keystone", "keystone-front.service"),
        ("gateway", "haproxy.service"),
        ("ceph-rgw", "'ceph-radosgw@*.service'"),
    ],
)
def test_a_killed_service_comes_back_by_itself(cloud, users, application, service):
    """Each unit's, one after another: no client is without a service for long, and nothing waits for an operator."""
    with writing(*users.all()):
        for unit in cloud.units(application):
            cloud.shell(unit, f"systemctl kill --signal=KILL {service}")
            for writer in users.all():
                writer.wait_for(3, BACK_SECONDS)
            cloud.wait_for_database()
    cloud.settle()
    users.verify()


def test_after_a_power_loss_all_serves_again_without_the_model(cloud, users, controller):
    """All machines at once, under load; the one that took the writes comes last, and nobody begins without it."""
    units = cloud.units("ceph")
    last = cloud.beside(cloud.writer, "ceph")
    databases = {unit: cloud.beside(unit, "mysql") for unit in units}
    objects = Load(cloud, "ceph/0", "probe")
    objects.start()
    for unit in (*units, *databases.values()):
        cloud.instance(unit)
    with writing(*users.all()):
        for writer in users.all():
            writer.wait_for(10, 60)
        with controller.stopped():
            cloud.power_off(*units)
            cloud.power_on(*(unit for unit in units if unit != last))
            time.sleep(WITHOUT_WRITER_SECONDS)
            for unit in set(units) - {last}:
                told = cloud.shell(databases[unit], STATUS, check=False)
                assert "Primary" not in told.replace("non-Primary", ""), told
            cloud.power_on(last)
            cloud.wait_for_health("ceph/0")
            assert objects.verify() > 0
            for writer in users.all():
                writer.wait_for(3, 180)
            cloud.wait_for_database()
    cloud.settle()
    assert objects.verify() == objects.stop()["writes"]
    users.verify()


def test_a_killed_controller_goes_on_where_it_was(cloud, controller):
    cloud.juju.config("ceph", {"monitor-count": 1})
    controller.kill()
    cloud.settle()
    (quorum,) = cloud.run("ceph/0", "get-quorum-status")["quorum"]
    cloud.juju.config("ceph", {"monitor-count": 3})
    controller.kill()
    cloud.settle()
    assert quorum in cloud.run("ceph/0", "get-quorum-status")["quorum"]
