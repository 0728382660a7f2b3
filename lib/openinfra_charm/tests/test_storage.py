"""Storage of Ceph as OpenStack's services use it: what is asked for, the files that librados reads, and when they are restarted for them."""

import json

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import ceph_client
from openinfra_charm.model.databag import RelationError
from openinfra_charm.openstack.needs import Ceph, Requirer, Storage
from openinfra_charm.openstack.spec import Options, Ports, Spec, State
from openinfra_charm.openstack.workload import Workload

NEED = Ceph(pools=("{application}-volumes",), reads=("glance",), shares=("nova",))
SECRET = testing.Secret({"key": "old"}, latest_content={"key": "new"}, id="secret:c00000000000000000c0")
CONF, KEYRING = "/etc/cinder/ceph.conf", "/etc/cinder/ceph.keyring"


class Requiring(ops.CharmBase):
    """As the cinder charm."""


def play(step, *, leader=True, told=None, units=None, options=None, secrets=()):
    """Run `step(relation, requirer)` in a hook of cinder's unit 1; return its value and the state after the hook."""
    meta = {"name": "cinder", "requires": {"ceph": {"interface": "ceph-client"}}}
    context = testing.Context(Requiring, meta, app_name="cinder", unit_id=1)
    relation = testing.Relation(
        "ceph", remote_app_name="ceph", remote_app_data=told or {}, remote_units_data=units or {0: {}}
    )
    state = testing.State(leader=leader, relations={relation}, secrets=secrets)
    with context(context.on.update_status(), state) as manager:
        model = manager.charm.model
        requirer = Requirer(model=model, application=model.app, region="RegionOne", options=options or {})
        return step(model.get_relation("ceph"), requirer), manager.run()


def asked(**options):
    """Return what the unit writes to ask: its request, its user's name."""
    _, after = play(NEED.ask_as_unit, leader=False, options=options)
    (relation,) = after.relations
    return json.loads(relation.local_unit_data["broker_req"]), relation.local_unit_data["application-name"]


def answered(**more):
    number = asked()[0]["request-id"]
    answer = json.dumps({"request-id": number, "exit-code": 0, **more})
    return {
        0: {"ceph-public-address": "10.0.0.5", "broker-rsp-cinder-1": answer},
        1: {"ceph-public-address": "fd00::6"},
    }


def test_every_unit_asks_for_its_pools_and_no_more_rights_than_it_needs():
    request, user = asked()
    assert user == "cinder"
    pool, rights = request["ops"]
    assert pool == {"op": "create-pool", "name": "cinder-volumes", "app-name": "rbd"}
    given = dict(zip(rights["permissions"][::2], rights["permissions"][1::2], strict=True))
    assert (
        given["osd"]
        == "profile rbd pool=cinder-volumes, profile rbd pool=nova, profile rbd-read-only pool=glance"
    )
    assert "glance" not in given["mgr"]


def test_the_operator_says_how_many_copies_on_which_disks():
    request, _ = asked(**{"pool-replicas": 2, "pool-device-class": "ssd"})
    assert (request["ops"][0]["replicas"], request["ops"][0]["device-class"]) == (2, "ssd")
    # Something else is asked for: an earlier answer does not count.
    assert request["request-id"] != asked()[0]["request-id"]
    assert asked(**{"pool-replicas": 0, "pool-device-class": ""}) == asked()


def test_the_key_may_come_as_a_secret():
    _, after = play(NEED.ask)
    (relation,) = after.relations
    assert json.loads(relation.local_app_data["requested-secrets"]) == ["key", "username"]


def test_a_new_key_is_only_looked_at_until_it_is_used():
    def step(relation, requirer):
        looked = NEED.read(relation, requirer)
        return looked, requirer.model.get_secret(id=SECRET.id).get_content()["key"]

    (looked, used), _ = play(step, told={"secret-key": SECRET.id}, units=answered(), secrets={SECRET})
    assert looked
    assert (looked.user, looked.key, looked.monitors) == ("cinder", "new", ("10.0.0.5", "fd00::6"))
    assert looked.pools == ("cinder-volumes",)
    assert used == "old"
    _, after = play(NEED.use, told={"secret-key": SECRET.id}, units=answered(), secrets={SECRET})
    assert after.get_secret(id=SECRET.id).tracked_content == SECRET.latest_content


def test_a_key_that_is_not_granted_yet_is_waited_for():
    found, _ = play(NEED.read, told={"secret-key": "secret:x00000000000000000x0"}, units=answered())
    assert found is None


def test_the_provider_says_when_the_user_is_another_one():
    secret = testing.Secret({"key": "k", "username": "cinder-2"}, id=SECRET.id)
    found, _ = play(NEED.read, told={"secret-key": SECRET.id}, units=answered(), secrets={secret})
    assert found
    assert found.user == "cinder-2"


def test_a_refusal_is_in_the_providers_words():
    units = answered(**{"exit-code": 1, "stderr": "add cinder:glance to the option shared-pools"})
    told = {"secret-key": SECRET.id}
    with pytest.raises(RelationError, match="add cinder:glance"):
        play(NEED.read, told=told, units=units, secrets={SECRET})


# Files


@pytest.fixture
def workload(machine, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/cinder.conf.j2").write_text(
        "user = {{ ceph.user if ceph else 'nobody' }}\npool = {{ ceph.pool if ceph else 'none' }}\n"
    )
    spec = Spec(
        name="cinder", ports=Ports(public=1, backend=2, proxied=3), wsgi="cinder:app", templates=("cinder.conf.j2",),
        needs=(NEED,), source=tmp_path, uwsgi={"start-time": "%t", "chunked-input-limit": 64, "off": False, "on": True},
    )  # fmt: skip
    machine.make_user("cinder", "/var/lib/cinder")
    return Workload(machine, "cinder", spec)


def state(storage):
    return State(
        options=Options(region="RegionOne", workers=1, debug=False, extra=""), settings=None, address="10.0.0.1",
        others=(), sources=(), found={"ceph": storage}, own={},
    )  # fmt: skip


def storage(key="key", monitors=("10.0.0.5", "fd00::6")):
    return Storage(user="cinder", key=key, monitors=monitors, pools=("cinder-volumes",))


def test_only_the_services_user_reads_the_key(machine, workload):
    workload.render(state(storage()))
    assert "mon_host = 10.0.0.5,[fd00::6]" in machine.read(CONF)
    assert f"keyring = {KEYRING}" in machine.read(CONF)
    assert machine.read(KEYRING) == "[client.cinder]\n\tkey = key\n"
    assert machine.nodes[KEYRING].mode == 0o640
    assert machine.nodes[KEYRING].owner == ("root", "cinder")
    assert machine.read("/etc/cinder/cinder.conf") == "user = cinder\npool = cinder-volumes\n"


def test_a_new_key_restarts_processes_and_monitors_that_move_do_not(machine, workload):
    workload.render(state(storage()))
    workload.apply()
    workload.render(state(storage(monitors=("10.0.0.7",))))
    assert "10.0.0.7" in machine.read(CONF)
    assert not workload.outdated()
    workload.render(state(storage(key="another", monitors=("10.0.0.7",))))
    assert workload.outdated()


def test_what_is_not_given_any_more_is_gone(machine, workload):
    workload.render(state(storage()))
    workload.render(state(None))
    assert not machine.exists(KEYRING)
    assert not machine.exists(CONF)
    assert machine.read("/etc/cinder/cinder.conf") == "user = nobody\npool = none\n"


def test_options_of_uwsgi_come_through_systemd(machine, workload):
    workload.render(state(storage()))
    unit = machine.read("/etc/systemd/system/cinder-api.service")
    # systemd has its own meaning for %t.
    assert ' --start-time "%%t" --chunked-input-limit "64" --on\n' in unit


def test_an_id_stands_for_what_is_asked():
    one, other = {"op": "create-pool", "name": "a"}, {"name": "a", "op": "create-pool"}
    assert ceph_client.request_id([one]) == ceph_client.request_id([other])
    assert ceph_client.request_id([one]) != ceph_client.request_id([one, one])
