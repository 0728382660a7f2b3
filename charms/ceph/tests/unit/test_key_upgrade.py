"""CephX keys of the newer type: in clusters that begin with them, and in those that were upgraded."""

import ops
import pytest
from ops import testing
from play import TRIAL, Model
from twin import AES, AES256K, kind_of

PLACE = "http://deb.example.org/debian forky"
SOURCE = f"deb {PLACE} main"
NEW = "20.2.4+ds-2"
BOTH = [AES, AES256K]


class Newest(Model):
    """Units on machines whose archive has a version that begins clusters with the newer type."""

    def make_machine(self, number):
        machine = super().make_machine(number)
        machine.ceph.version = NEW
        return machine


def kinds(model):
    return {entity: kind_of(known.key) for entity, known in model.ceph.auth.items()}


def insecure(model):
    return sorted(name for name in model.ceph._health()["checks"] if name.startswith("AUTH_"))


def stored_keys(model):
    """Return the keys of all machines' daemons, as their files have them."""
    return {
        f"{machine.name} {path}": machine.ceph.keyring_key(path)
        for machine in model.machines.values()
        for path, node in machine.nodes.items()
        if path.endswith("keyring") and node.content
    }


def restarts(model):
    return [line for line in model.log() if ": restart ceph-" in line]


@pytest.fixture
def newest():
    """Three units with a disk and data each, of the newer version from the beginning."""
    model = Newest(3, TRIAL | {"failure-domain": "host"})
    for number in range(3):
        model.add_osd(number)
    model.fill()
    model.update_status()
    return model


@pytest.fixture
def upgraded(full):
    """Three units that began with the older version; all has come to rest."""
    upgrade(full)
    return full


def upgrade(model, rounds=8):
    for machine in model.machines.values():
        machine.ceph.archives[PLACE] = NEW
    model.configure(source=SOURCE)
    model.settle(rounds)


# Clusters that begin with it


def test_a_new_cluster_has_keys_of_the_newer_type_alone(newest):
    assert set(kinds(newest).values()) == {AES256K}
    assert newest.ceph.ciphers["allowed"] == [AES256K]
    assert newest.ceph._health()["status"] == "HEALTH_OK"
    assert {status.name for status in newest.statuses.values()} == {"active"}
    assert set(newest.ceph.states()) == {"active+clean"}
    starts = [machine.starts for machine in newest.machines.values()]
    assert {count for started in starts for unit, count in started.items() if unit.startswith("ceph-")} == {1}
    newest.log()
    newest.update_status()
    assert newest.log() == []


def test_disks_and_units_are_added_to_it(newest):
    newest.add_unit()
    newest.add_osd(3)
    newest.add_osd(0, "sdc")
    newest.settle()
    assert {osd.up for osd in newest.ceph.osds.values()} == {True}
    assert len(newest.ceph.osds) == 5
    assert set(kinds(newest).values()) == {AES256K}


def test_its_administrator_s_key_is_rotated_to_the_same_type(newest):
    old = newest.ceph.auth["client.admin"].key
    newest.action(0, "rotate-key", entity="client.admin")
    newest.settle()
    assert newest.ceph.auth["client.admin"].key != old
    assert kinds(newest)["client.admin"] == AES256K


def test_a_client_that_cannot_read_it_is_let_in_by_the_operator_s_word_alone(newest):
    relation = testing.Relation(
        "client", remote_app_name="glance", remote_app_data={"requested-secrets": '["key"]'},
        remote_units_data={0: {"application-name": "glance", "broker_req": '{"api-version": 1, "ops": [], "request-id": "1"}'}},
    )  # fmt: skip
    newest.relate(relation)
    assert kinds(newest)["client.glance"] == AES256K
    words = newest.refuse(0, "rotate-key", entity="client.glance", key_type="aes")
    assert words == "key-type=aes: the cluster takes aes256k; see set-allowed-ciphers"
    newest.action(1, "set-allowed-ciphers", ciphers="aes aes256k")
    newest.action(0, "rotate-key", entity="client.glance", key_type="aes")
    assert kind_of(newest.ceph.auth["client.glance"].pending) == AES
    newest.action(0, "rotate-key", entity="client.glance", key_type="aes256k")
    assert kind_of(newest.ceph.auth["client.glance"].pending) == AES256K


def test_an_osd_that_got_no_key_is_undone(newest, monkeypatch):
    """What a crash leaves half made between the OSD and its key."""
    newest.machines[0].plug_in("sdc")
    plain = newest.ceph._do_auth_get_or_create
    monkeypatch.setattr(newest.ceph, "_do_auth_get_or_create", lambda **_: 1 / 0)
    with pytest.raises(Exception, match="division by zero"):
        newest.action(0, "add-disk", osd_devices="/dev/sdc")
    monkeypatch.setattr(newest.ceph, "_do_auth_get_or_create", plain)
    newest.update_status()
    assert sorted(newest.ceph.osds) == [0, 1, 2]
    assert "osd.3" not in newest.ceph.auth
    assert newest.action(0, "add-disk", osd_devices="/dev/sdc")["result"][0]["osd-id"] == 3


# Clusters that were upgraded


def test_after_an_upgrade_the_cluster_s_own_keys_are_replaced(upgraded):
    found = kinds(upgraded)
    assert {entity: kind for entity, kind in found.items() if kind == AES} == {"client.admin": AES}
    assert upgraded.ceph.ciphers == {"allowed": BOTH, "preferred": AES, "service": AES256K}
    assert insecure(upgraded) == ["AUTH_INSECURE_CLIENT_KEY_TYPE", "AUTH_INSECURE_KEYS_ALLOWED"]
    assert upgraded.ceph._health()["status"] == "HEALTH_WARN"
    assert (upgraded.ceph.careless, upgraded.ceph.lost, upgraded.ceph.host_flags) == ([], [], {})
    assert not [known for known in upgraded.ceph.auth.values() if known.pending]
    upgraded.log()
    upgraded.settle(2)
    assert upgraded.log() == []


def test_each_machine_has_the_keys_that_the_cluster_has(upgraded):
    known = {auth.key for auth in upgraded.ceph.auth.values()}
    assert set(stored_keys(upgraded).values()) <= known
    for machine in upgraded.machines.values():
        key = machine.ceph.keyring_key(f"/var/lib/ceph/mon/ceph-{machine.name}/keyring")
        assert key == upgraded.ceph.auth["mon."].key == machine.ceph.monitor_store()["key"]


def test_before_the_upgrade_is_over_no_key_is_replaced(full):
    for machine in full.machines.values():
        machine.ceph.archives[PLACE] = NEW
    full.ceph.recovers = False
    before = stored_keys(full)
    full.configure(source=SOURCE)
    full.settle(1)
    assert full.ceph.required == "reef"
    assert stored_keys(full) == before
    full.ceph.recovers = True
    full.settle(8)
    assert insecure(full) == ["AUTH_INSECURE_CLIENT_KEY_TYPE", "AUTH_INSECURE_KEYS_ALLOWED"]


def test_daemons_are_restarted_on_one_unit_at_a_time_as_long_as_data_are_whole(full, monkeypatch):
    torn = []
    for machine in full.machines.values():
        plain = machine.restart_services

        def restart(*units, plain=plain):
            states = set(full.ceph.states())
            torn.extend(unit for unit in units if "osd" in unit and states != {"active+clean"})
            plain(*units)

        monkeypatch.setattr(machine, "restart_services", restart)
    upgrade(full)
    assert torn == []
    assert insecure(full) == ["AUTH_INSECURE_CLIENT_KEY_TYPE", "AUTH_INSECURE_KEYS_ALLOWED"]


def test_the_monitors_key_waits_for_all_monitors(full, monkeypatch):
    plain = full.ceph._do_osd_require_osd_release

    def require(release):
        plain(release)
        full.ceph.stuck = {"machine-2"}
        full.held.add(2)

    monkeypatch.setattr(full.ceph, "_do_osd_require_osd_release", require)
    upgrade(full)
    assert full.ceph.required == "tentacle"
    assert kind_of(full.ceph.auth["mon."].key) == AES
    assert full.statuses[0] == ops.WaitingStatus(
        "to replace the monitors' key: not all are in quorum, see get-quorum-status"
    )
    full.ceph.stuck = set()
    full.held.clear()
    full.settle(6)
    assert kind_of(full.ceph.auth["mon."].key) == AES256K
    assert full.ceph.careless == []


def test_one_machine_s_osds_get_their_keys_one_by_one(one):
    for name in ("sdb", "sdc", "sdd"):
        one.add_osd(0, name)
    one.fill()
    upgrade(one, 12)
    assert insecure(one) == ["AUTH_INSECURE_CLIENT_KEY_TYPE", "AUTH_INSECURE_KEYS_ALLOWED"]
    assert one.ceph.lost == []


def test_disks_and_units_are_added_after_an_upgrade(upgraded):
    upgraded.add_unit()
    upgraded.machines[3].ceph.archives[PLACE] = NEW
    upgraded.settle()
    upgraded.add_osd(3)
    upgraded.add_osd(0, "sdc")
    upgraded.settle(6)
    assert {osd.up for osd in upgraded.ceph.osds.values()} == {True}
    assert insecure(upgraded) == ["AUTH_INSECURE_CLIENT_KEY_TYPE", "AUTH_INSECURE_KEYS_ALLOWED"]
    started = [machine.starts.get("ceph-osd@4.service") for machine in upgraded.machines.values()]
    assert sorted(filter(None, started)) == [1]


def test_a_monitor_joins_with_the_key_that_took_the_old_one_s_place(upgraded):
    upgraded.add_unit()
    upgraded.machines[3].ceph.archives[PLACE] = NEW
    upgraded.settle()
    upgraded.add_osd(3)
    upgraded.machines[2].scrap()
    upgraded.destroy_machine(2)
    upgraded.settle(6)
    assert upgraded.ceph.quorum == ["machine-0", "machine-1", "machine-3"]


# Daemons of other applications


def mds(model, secrets=True):
    relation = testing.Relation(
        "mds", remote_app_name="ceph-fs",
        remote_app_data={"requested-secrets": '["key"]'} if secrets else {},
        remote_units_data={0: {"mds-name": "host-a", "broker_req": '{"api-version": 1, "ops": [], "request-id": "1"}'}},
    )  # fmt: skip
    model.relate(relation)
    return relation


def test_a_metadata_server_gets_its_new_key_when_it_runs_a_version_that_reads_it(full):
    relation = mds(full)
    full.ceph.metadata_servers["host-a"] = "18.2.7"
    upgrade(full)
    assert kinds(full)["mds.host-a"] == AES
    assert full.ceph.auth["mds.host-a"].pending == ""
    assert "AUTH_INSECURE_SERVICE_TICKETS" in insecure(full)
    full.ceph.metadata_servers["host-a"] = "20.2.4"
    full.update_status()
    pending = full.ceph.auth["mds.host-a"].pending
    assert kind_of(pending) == AES256K
    secret_id = full.local[relation.id, "app"]["secret-key-ceph-fs-0"]
    assert next(s for s in full.secrets if s.id == secret_id).latest_content == {"key": pending}
    assert full.ceph.admits("mds.host-a", pending)
    full.settle(2)
    assert insecure(full) == ["AUTH_INSECURE_CLIENT_KEY_TYPE", "AUTH_INSECURE_KEYS_ALLOWED"]


def test_a_daemon_s_key_is_rotated_by_the_operator(upgraded):
    mds(upgraded)
    old = upgraded.ceph.auth["mds.host-a"].key
    upgraded.action(0, "rotate-key", entity="mds.host-a", key_type="aes256k")
    assert kind_of(upgraded.ceph.auth["mds.host-a"].pending) == AES256K
    assert upgraded.ceph.auth["mds.host-a"].key == old


# The operator's word


def test_the_older_type_goes_when_nobody_has_a_key_of_it(upgraded):
    words = upgraded.refuse(0, "set-allowed-ciphers", ciphers="aes256k")
    assert words.startswith("client.admin would be locked out, with keys of the type aes: rotate-key")
    upgraded.action(0, "rotate-key", entity="client.admin", key_type="aes256k")
    assert "client.admin: the new key is not in use yet; try again" in upgraded.refuse(
        1, "set-allowed-ciphers", ciphers="aes256k"
    )
    upgraded.settle()
    assert upgraded.action(1, "set-allowed-ciphers", ciphers="aes256k")["summary"] == (
        "the cluster takes keys of the type aes256k"
    )
    assert upgraded.ceph.ciphers == {"allowed": [AES256K], "preferred": AES256K, "service": AES256K}
    upgraded.settle()
    assert upgraded.ceph._health()["status"] == "HEALTH_OK"
    assert upgraded.ceph.careless == []
    assert {status.name for status in upgraded.statuses.values()} == {"active"}


@pytest.mark.parametrize("ciphers", ["", "aes", "none", "aes256k,des"])
def test_what_is_no_list_of_types_is_refused(upgraded, ciphers):
    assert "expected aes256k or aes,aes256k" in upgraded.refuse(0, "set-allowed-ciphers", ciphers=ciphers)


def test_an_earlier_version_knows_one_type(full):
    words = "aes256k: this version of Ceph knows no keys but those of the type aes"
    assert full.refuse(0, "set-allowed-ciphers", ciphers="aes256k") == words
    assert full.refuse(0, "rotate-key", entity="client.admin", key_type="aes256k") == words
    full.action(0, "rotate-key", entity="client.admin", key_type="aes")
    assert kind_of(full.ceph.auth["client.admin"].pending) == AES
