"""The daemons of one machine, without Juju."""

import dataclasses
import re

import pytest
from machines import CephMachine
from twin import AES, AES256K, CONFIG, Cluster, kind_of, make_key

import health
import maintenance
from admin import CommandRefusedError, UnreachableError
from ceph import SHIM, Ceph
from cephx import new_key, type_of
from identity import Identity
from members import Member
from monitor import endpoint
from openinfra_charm.machine import CommandError
from releases import RELEASES, major
from source import Source
from state import Settings, State

MEMBER = Member(unit="ceph/0", hostname="machine-0", public_address="10.0.0.10", cluster_address="10.0.0.10")
IDENTITY = Identity(
    fsid="b8f1f0a0-0000-4000-8000-000000000001",
    monitor_key=make_key(1001, AES),
    admin_key=make_key(1002, AES),
)


@pytest.fixture
def state(defaults):
    return State(
        settings=Settings.parse(defaults), identity=IDENTITY, member=MEMBER, monitors=(MEMBER,),
        runs_monitor=True, founds_cluster=True,
    )  # fmt: skip


@pytest.fixture
def machine():
    return CephMachine(Cluster(), 0)


@pytest.fixture
def ceph(machine):
    ceph = Ceph(machine, "ceph")
    ceph.install(Source())
    machine.log.clear()
    return ceph


@pytest.fixture
def running(ceph, state):
    """One machine with a monitor, a manager and an OSD."""
    ceph.render(state)
    assert ceph.run_monitor(state)
    ceph.machine.plug_in("sdb")
    ceph.apply()
    ceph.osds.create("/dev/sdb")
    ceph.apply()
    ceph.machine.log.clear()
    return ceph


def option(machine, name):
    found = re.search(rf"^{name} = (.*)$", machine.read(CONFIG), re.MULTILINE)
    return found[1] if found else None


def changed(state, **settings):
    return dataclasses.replace(state, settings=dataclasses.replace(state.settings, **settings))


# Configuration


def test_the_configuration_says_what_the_options_say(ceph, state):
    assert ceph.render(state)
    known = {name: option(ceph.machine, name) for name in ("fsid", "mon_host", "public_addr")}
    assert known == {
        "fsid": IDENTITY.fsid,
        "mon_host": "[v2:10.0.0.10:3300,v1:10.0.0.10:6789]",
        "public_addr": "10.0.0.10",
    }
    assert option(ceph.machine, "osd_crush_chooseleaf_type") == "1"
    assert option(ceph.machine, "osd_mclock_skip_benchmark") == "false"
    assert option(ceph.machine, "cluster_addr") is None


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        ({"failure_domain": "osd"}, "osd_crush_chooseleaf_type", "0"),
        ({"osd_benchmark": False}, "osd_mclock_skip_benchmark", "true"),
    ],
)
def test_each_option_has_its_line(ceph, state, settings, name, value):
    ceph.render(changed(state, **settings))
    assert option(ceph.machine, name) == value


@pytest.mark.parametrize(
    ("settings", "option", "value"),
    [
        ({}, "osd/osd_memory_target", str(4 << 30)),
        ({}, "global/osd_pool_default_pg_num", None),
        ({"pool_pg_num": 8}, "global/osd_pool_default_pg_num", "8"),
        ({"pool_pg_num": 8}, "global/osd_pool_default_pg_autoscale_mode", "off"),
        ({"pool_size": 1, "pool_min_size": 1}, "global/mon_allow_pool_size_one", "true"),
    ],
)
def test_what_daemons_take_while_they_run_is_in_no_file(ceph, state, settings, option, value):
    ceph.render(changed(state, **settings))
    assert changed(state, **settings).settings.at_run_time().get(option) == value
    assert option.partition("/")[2] not in ceph.machine.read(CONFIG)


def test_two_networks_have_two_addresses(ceph, state):
    ceph.render(
        dataclasses.replace(state, member=dataclasses.replace(MEMBER, cluster_address="192.168.0.10"))
    )
    assert option(ceph.machine, "cluster_addr") == "192.168.0.10"


def test_addresses_of_both_kinds_are_endpoints():
    assert endpoint("10.0.0.10") == "[v2:10.0.0.10:3300,v1:10.0.0.10:6789]"
    assert endpoint("fd00::1") == "[v2:[fd00::1]:3300,v1:[fd00::1]:6789]"


def test_keys_are_for_root_alone_and_in_no_other_file(running):
    nodes = running.machine.nodes
    key = IDENTITY.admin_key
    holders = [
        path for path, node in nodes.items() if key in (node.content or "") and path.startswith("/etc")
    ]
    assert holders == ["/etc/ceph/ceph.client.admin.keyring"]
    assert nodes[holders[0]].mode == 0o600


@pytest.mark.parametrize(("version", "shimmed"), [("18.2.7+ds-1", True), ("19.2.1-0ubuntu1", False)])
def test_the_managers_shim_is_there_where_the_release_needs_it(state, version, shimmed):
    machine = CephMachine(Cluster(), 0, version)
    ceph = Ceph(machine, "ceph")
    ceph.install(Source())
    ceph.render(state)
    assert ceph.version() == re.split(r"[+-]", version)[0]
    assert machine.exists(f"{SHIM}/bcrypt.py") == shimmed
    assert RELEASES[major(version)].loads_bcrypt != shimmed


def test_the_second_time_is_silent(running, state):
    running.install(Source())
    assert not running.render(state)
    assert running.run_monitor(state)
    running.osds.clean_up()
    running.apply()
    assert running.machine.log == []
    assert running.outdated() == []


def test_where_the_monitors_are_restarts_nothing(running, state):
    other = dataclasses.replace(MEMBER, unit="ceph/1", hostname="machine-1", public_address="10.0.0.11")
    assert running.render(dataclasses.replace(state, monitors=(MEMBER, other)))
    endpoints = [endpoint("10.0.0.10"), endpoint("10.0.0.11")]
    assert option(running.machine, "mon_host") == ",".join(endpoints)
    assert running.outdated() == []


def test_what_daemons_read_only_at_their_start_makes_them_outdated(running, state):
    running.render(changed(state, osd_benchmark=False))
    assert [service.unit for service in running.outdated()] == [
        "ceph-mon@machine-0.service",
        "ceph-osd@0.service",
    ]
    running.apply()
    assert not [line for line in running.machine.log if line.startswith(("start", "restart"))]


def test_all_is_gone_after_removal(running):
    running.remove()
    left = [
        path for path, node in running.machine.nodes.items() if node.disk is None and node.content is not None
    ]
    assert [path for path in left if not path.startswith("/sys/")] == []
    assert running.machine.packages == {}


# Monitors


def test_the_founder_begins_a_cluster_with_the_models_keys(running):
    cluster = running.machine.ceph.cluster
    assert cluster.founders == ["machine-0"]
    assert cluster.auth["mon."].key == IDENTITY.monitor_key
    assert cluster.auth["client.admin"].key == IDENTITY.admin_key
    assert not running.machine.exists("/run/openinfra/ceph-monitor")


def test_a_store_that_a_crash_left_half_made_is_made_anew(ceph, state):
    ceph.render(state)
    ceph.machine.write("/var/lib/ceph/mon/ceph-machine-0/store.db", "half")
    assert ceph.run_monitor(state)
    assert ceph.machine.ceph.cluster.founders == ["machine-0"]


def test_a_monitor_that_could_not_be_made_is_made_by_the_next_hook(ceph, state):
    ceph.render(state)
    ceph.machine.broken["ceph-mon"] = "Illegal instruction"
    with pytest.raises(CommandError, match="Illegal instruction"):
        ceph.run_monitor(state)
    assert not ceph.monitor.exists
    ceph.machine.broken.clear()
    assert ceph.run_monitor(state)


def test_a_joiner_makes_nothing_while_the_others_do_not_answer(ceph, state):
    joiner = dataclasses.replace(state, founds_cluster=False)
    ceph.render(joiner)
    with pytest.raises(UnreachableError):
        ceph.run_monitor(joiner)
    assert not ceph.monitor.exists


def test_a_monitor_that_stays_out_of_quorum_is_waited_for_only_so_long(ceph, state):
    ceph.machine.ceph.cluster.stuck.add("machine-0")
    ceph.render(state)
    before = ceph.machine.now()
    assert not ceph.run_monitor(state)
    assert 30 <= ceph.machine.now() - before <= 60
    assert not ceph.monitor.has_manager


@pytest.mark.parametrize(("version", "kind"), [("18.2.7+ds-1", AES), ("20.2.4+ds-2", AES256K)])
def test_keys_are_of_the_type_of_the_version_and_new_each_time(version, kind):
    machine = CephMachine(Cluster(), 0, version)
    Ceph(machine, "ceph").install(Source())
    keys = {new_key(machine) for _ in range(20)}
    assert len(keys) == 20
    assert {type_of(key) for key in keys} == {kind_of(key) for key in keys} == {kind}


def test_the_types_of_real_keys():
    assert type_of("AQBX1VpkAAAAABAAzQ8W0Lz5cK9s0b1Xk2vGqQ==") == "aes"
    assert type_of("AgBX1VpkAAAAACAAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") == "aes256k"


# Commands


def test_a_refused_command_says_which_and_why(running):
    with pytest.raises(
        CommandRefusedError, match=r"ceph auth get: failed to find client\.x in keyring"
    ) as refused:
        running.admin.command("auth get", entity="client.x")
    assert refused.value.code == 2


def test_a_connection_is_made_anew_after_the_monitors_were_away(running):
    running.machine.services["ceph-mon@machine-0.service"] = "inactive"
    with pytest.raises(UnreachableError, match="no monitor answers"):
        running.admin.command("status")
    running.machine.services["ceph-mon@machine-0.service"] = "active"
    assert running.admin.command("status")["health"]


def test_a_wrong_key_is_not_let_in(running):
    running.machine.write("/etc/ceph/ceph.client.admin.keyring", "[client.admin]\n\tkey = wrong\n")
    with pytest.raises(
        UnreachableError, match="where rotate-key has replaced it, the next hook brings the new one"
    ):
        Ceph(running.machine, "ceph").admin.command("status")


# Health


@pytest.mark.parametrize(
    ("states", "clean"),
    [
        ([], True),
        (["active+clean"], True),
        (["active+clean+scrubbing+deep", "active+clean+snaptrim_wait"], True),
        (["active+clean", "active+undersized+degraded"], False),
        (["active+remapped+backfilling"], False),
        (["active+clean", "undersized+degraded+peered"], False),
        (["stale+down"], False),
        (["unknown"], False),
    ],
)
def test_what_groups_say(states, clean):
    status = {"pgmap": {"pgs_by_state": [{"state_name": state, "count": 1} for state in states]}}
    assert health.is_clean(status) == clean


def test_muted_checks_are_not_told():
    checks = {
        "B": {"summary": {"message": "second"}, "muted": False},
        "A": {"summary": {"message": "first"}, "muted": False},
        "C": {"summary": {"message": "muted"}, "muted": True},
    }
    assert health.reasons({"health": {"checks": checks}}) == ["first", "second"]


def test_one_of_the_last_two_monitors_must_not_stop(deploy):
    model = deploy(3)
    model.machines[2].power_off()
    ceph = Ceph(model.machines[0], "ceph")
    assert maintenance.why_not_to_stop(ceph) == "only 1 of 3 monitors would be left, which is no quorum"


def test_a_machine_is_ready_when_its_daemons_are_and_nothing_is_repaired(full):
    ceph = Ceph(full.machines[0], "ceph")
    assert maintenance.why_not_ready(ceph) is None
    full.machines[1].power_off()
    assert maintenance.why_not_ready(ceph) == "data is being repaired"
    full.machines[0].services["ceph-osd@0.service"] = "failed"
    assert maintenance.why_not_ready(ceph) == "ceph-osd@0 does not run"
    full.machines[1].power_on()
    full.machines[0].start_services("ceph-osd@0.service")
    assert maintenance.wait_until_ready(ceph, 10)
