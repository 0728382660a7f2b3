"""The charm between Juju and the machines: who founds, who joins, who is removed, what restarts, and what clients are told."""

import itertools

import asked
import ops
import programs
import pytest
import twin
from machines import CERTIFICATES, OvnMachine

from openinfra_charm.machine import use
from openinfra_charm.testing import Fuse, Killed

ACTIVE = ops.ActiveStatus()
ALL = {"machine-0", "machine-1", "machine-2"}
DAY = 86400


def restarts(model):
    return [
        [line for line in machine.log if line.startswith("restart")] for machine in model.machines.values()
    ]


def is_well(model):
    return all(model.statuses[number] == ACTIVE for number in model.unit_data)


def lose_files(machine, *keys):
    """Have a machine's disk lose files of databases while it is off."""
    machine.power_off()
    for key in keys or twin.KEYS:
        machine.lose(programs.path_of(key))
    machine.power_on()


def test_one_unit_founds_both_databases(one):
    assert one.members("nb") == one.members("sb") == [{"machine-0"}]
    assert one.statuses == {0: ACTIVE}
    assert one.told[0] == ({"bound-address": "10.0.0.10"}, {"bound-address": "10.0.0.10"})
    assert one.ovn.timers == dict.fromkeys(one.ovn.configs, 4000)


def test_what_holds_for_northd_is_in_the_database_once_it_is_founded(deploy):
    """Founded in a relation's hook: no other one comes before the next update-status that would look at all of it."""
    model = deploy(0)
    certificates = model.relations.pop(CERTIFICATES)
    model.add_unit()
    assert model.ovn.options == {}
    model.relate(certificates)
    assert model.members() == [{"machine-0"}]
    assert model.ovn.options == {"northd_probe_interval": "5000"}


def test_three_units_are_one_cluster_each(three):
    assert three.members("nb") == three.members("sb") == [ALL]
    assert is_well(three)
    assert [told[0]["bound-address"] for told in three.told.values()] == [
        "10.0.0.10",
        "10.0.0.11",
        "10.0.0.12",
    ]
    assert three.local[CERTIFICATES + 2, "app"] == {
        "db_nb_connection_strs": "ssl:10.0.0.10:6641,ssl:10.0.0.11:6641,ssl:10.0.0.12:6641",
        "db_sb_connection_strs": "ssl:10.0.0.10:16642,ssl:10.0.0.11:16642,ssl:10.0.0.12:16642",
    }


def test_one_northd_is_active_and_the_others_stand_by(three):
    active = [one for one in three.ovn.northds if three.ovn.lock is one]
    assert len(active) == 1
    assert all(one.is_connected for one in three.ovn.northds)
    active[0].machine.power_off()
    active[0].machine.time.now += 1
    three.machines[2].sleep(1)
    assert three.ovn.lock is not active[0]
    assert three.ovn.lock.is_connected


def test_a_second_reconcile_changes_nothing(three):
    three.log()
    before = three.snapshot()
    three.every()
    three.update_status()
    assert three.log() == []
    after = three.snapshot()
    assert after[0] == before[0]


def test_a_hook_with_nothing_new_runs_few_programs(three):
    with asked.programs(three.machines[1]) as ran:
        three.run(1, lambda relation: three.on.relation_changed(relation, remote_unit=0))
    assert sorted(ran) == ["dpkg-query", "ovn-appctl", "ovn-appctl", "systemctl", "systemctl"]


@pytest.mark.parametrize(("units", "members"), [(2, 1), (3, 3), (4, 3), (5, 5), (6, 5)])
def test_members_are_an_odd_number(deploy, units, members):
    model = deploy(units)
    model.update_status()
    assert [len(config) for config in model.ovn.configs.values()] == [members, members]
    spare = [status for status in model.statuses.values() if status != ACTIVE]
    assert spare == [
        ops.ActiveStatus(
            f"stands by: {members} member{'s hold' if members > 1 else ' holds'} the databases, and one more would not make them safer"
        )
    ] * (units - members)
    assert sum(bool(told[0]) for told in model.told.values()) == members


def test_one_member_becomes_three(one):
    one.ovn.write()
    one.add_unit()
    assert one.members() == [{"machine-0"}]
    one.add_unit()
    one.update_status()
    assert one.members("nb") == one.members("sb") == [ALL]
    assert not one.ovn.lost("nb")
    assert is_well(one)


def test_servers_of_a_machine_that_died_are_removed_and_a_spare_joins(deploy):
    model = deploy(4)
    model.ovn.write()
    model.destroy_machine(1)
    model.update_status()
    assert model.members("nb") == model.members("sb") == [{"machine-0", "machine-2", "machine-3"}]
    assert [len(config) for config in model.ovn.configs.values()] == [3, 3]
    assert model.shared["out"] is None if "out" in model.shared else True
    assert sorted(model.shared["members"]) == ["ovn-central/0", "ovn-central/2", "ovn-central/3"]
    assert is_well(model)


def test_two_that_remain_are_named_as_what_they_are(three):
    three.destroy_machine(0)
    three.update_status()
    assert [len(config) for config in three.ovn.configs.values()] == [2, 2]
    two = ops.ActiveStatus("two members have quorum only together: juju add-unit")
    assert [three.statuses[number] for number in (1, 2)] == [two, two]


def test_a_unit_that_is_removed_leaves_the_clusters_and_nothing_behind(three):
    machine = three.machines[2]
    three.remove_unit(2)
    assert three.members("nb") == three.members("sb") == [{"machine-0", "machine-1"}]
    assert [len(config) for config in three.ovn.configs.values()] == [2, 2]
    assert not [path for path in machine.nodes if "ovn" in path]
    assert "ovn-central" not in machine.packages
    three.update_status()
    assert sorted(three.shared["members"]) == ["ovn-central/0", "ovn-central/1"]


def test_the_last_unit_goes_with_its_databases(one):
    one.remove_unit(0)
    assert not one.machines[0].exists("/var/lib/ovn/ovnnb_db.db")


def test_a_unit_that_has_the_databases_alone_waits_for_a_spare(deploy):
    model = deploy(2)
    model.ovn.write()
    model.leaving.add(0)
    with pytest.raises(Exception, match="another unit has to join it first"):
        model.run(0, model.on.stop())
    model.run(1, model.on.update_status())
    assert model.members() == [{"machine-0", "machine-1"}]
    model.remove_unit(0)
    assert model.members() == [{"machine-1"}]
    assert not model.ovn.lost("nb")


def test_a_unit_does_not_leave_with_the_quorum(three):
    three.power_off(0)
    three.leaving.add(1)
    with pytest.raises(Exception, match="would lose its quorum: 1 of the 2 other members are connected"):
        three.run(1, three.on.stop())
    three.power_on(0)
    three.remove_unit(1)
    assert three.members() == [{"machine-0", "machine-2"}]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_after_a_power_loss_of_all_the_clusters_form_without_the_model(three, order):
    three.ovn.write()
    three.power_off(0, 1, 2)
    for number in order:
        three.machines[number].power_on()
    assert three.members("nb") == three.members("sb") == [ALL]
    assert not three.ovn.lost("nb")
    assert three.ovn.lock is not None


def test_a_unit_whose_files_are_lost_joins_with_new_servers(three):
    before = dict(three.ovn.configs)
    lose_files(three.machines[1])
    three.update_status()
    three.update_status()
    assert three.members("nb") == three.members("sb") == [ALL]
    assert [len(config) for config in three.ovn.configs.values()] == [3, 3]
    assert three.ovn.configs.keys() == before.keys()
    assert is_well(three)


def test_a_unit_that_lost_one_file_gives_the_other_up(three):
    lose_files(three.machines[1], "nb")
    three.update_status()
    three.update_status()
    assert three.members("nb") == three.members("sb") == [ALL]
    assert [len(config) for config in three.ovn.configs.values()] == [3, 3]


def test_the_only_copy_that_is_lost_is_named(one):
    lose_files(one.machines[0])
    one.update_status()
    assert one.statuses[0] == ops.BlockedStatus(
        "the databases were on ovn-central/0 alone, and a file of them is gone: begin anew with "
        "juju run ovn-central/leader force-bootstrap unit=ovn-central/0 confirm=ovn-central"
    )
    assert one.members() == []


def test_what_is_left_of_the_only_copy_stays(one):
    one.ovn.write()
    before = set(one.ovn.acknowledged["nb"])
    lose_files(one.machines[0], "sb")
    one.update_status()
    assert one.machines[0].exists(programs.path_of("nb"))
    one.action(0, "force-bootstrap", unit="ovn-central/0", confirm="ovn-central")
    one.update_status()
    one.update_status()
    assert one.members("nb") == one.members("sb") == [{"machine-0"}]
    assert not before & set(one.ovn.lost("nb"))


def test_what_is_left_of_a_member_stays_while_the_others_are_no_quorum(three):
    three.power_off(0, 1)
    lose_files(three.machines[2], "sb")
    three.run(2, three.on.update_status())
    three.run(2, three.on.update_status())
    assert three.machines[2].exists(programs.path_of("nb"))
    three.power_on(0, 1)
    for _ in range(3):
        three.update_status()
    assert three.members("nb") == three.members("sb") == [ALL]
    assert [len(config) for config in three.ovn.configs.values()] == [3, 3]


def test_a_machine_that_died_with_the_only_copy_is_named(deploy):
    model = deploy(2)
    model.destroy_machine(0)
    model.update_status()
    assert model.statuses[1] == ops.BlockedStatus(
        "all databases were on ovn-central/0, and are gone with it: begin anew with "
        "juju run ovn-central/leader force-bootstrap unit=ovn-central/1 confirm=ovn-central"
    )


def test_a_founder_that_dies_before_it_has_founded_has_a_successor(deploy):
    model = deploy(0)
    model.add_unit()
    model.held.add(0)
    model.unit_data[0].pop("clusters", None)
    model.unit_data[0].pop("servers", None)
    for key in ("clusters", "members"):
        model.app_data.pop(key, None)
    model.add_unit()
    assert model.statuses[1] == ops.WaitingStatus("for ovn-central/0 to found the databases")
    model.destroy_machine(0)
    model.update_status()
    assert model.members("nb") == model.members("sb") == [{"machine-1"}]


@pytest.mark.parametrize("changes", range(0, 60, 3))
def test_a_hook_that_dies_while_it_founds_leaves_no_second_cluster(deploy, changes):
    model = deploy(0)
    machine = OvnMachine(model.ovn, 0)
    model.make_machine = lambda _: machine
    machine.start_seconds = 0
    try:
        with machine.fused(Fuse(changes)):
            model.add_unit()
    except Killed:
        model.unit_data.setdefault(0, {})
    machine.power_off()
    machine.power_on()
    model._due.clear()
    for _ in range(4):
        model.run(0, model.on.config_changed())
        model.run(0, model.on.relation_changed, relation=CERTIFICATES)
    assert len(model.members("nb")) == len(model.members("sb")) == 1
    assert model.shared["clusters"].keys() == {"nb", "sb"}
    assert {*model.shared["clusters"].values()} <= model.ovn.configs.keys()


def test_a_server_that_nobody_knows_is_removed(three):
    """As a unit leaves one that goes just when it joins."""
    for cluster in three.shared["clusters"].values():
        three.ovn.configs[cluster]["ffff0000-0000-4000-8000-000000000000"] = "ssl:10.0.0.99:6643"
    three.update_status()
    assert [len(config) for config in three.ovn.configs.values()] == [3, 3]


def test_a_server_of_a_unit_that_was_not_met_yet_is_left_alone(three):
    for cluster in three.shared["clusters"].values():
        three.ovn.configs[cluster]["ffff0000-0000-4000-8000-000000000000"] = "ssl:10.0.0.99:6643"
    three.unmet |= {(number, 2) for number in (0, 1)}
    three.run(0, three.on.update_status())
    assert [len(config) for config in three.ovn.configs.values()] == [4, 4]


def test_a_member_that_somebody_has_removed_by_hand_joins_again(three):
    for server, cluster in zip(three.ovn.servers[2:4], three.shared["clusters"].values(), strict=True):
        three.ovn.remove(cluster, server.store.server)
    three.update_status()
    three.update_status()
    assert three.members("nb") == three.members("sb") == [ALL]


def test_the_election_timer_is_doubled_step_by_step_by_who_leads(three):
    three.log()
    three.configure(ovsdb_server_election_timer=30)
    assert set(three.ovn.timers.values()) == {30000}
    three.configure(ovsdb_server_election_timer=1)
    assert set(three.ovn.timers.values()) == {1000}
    assert restarts(three) == [[], [], []]


def test_another_probe_is_read_without_a_restart(three):
    three.log()
    three.configure(ovsdb_server_inactivity_probe=120, northd_inactivity_probe=10)
    assert restarts(three) == [[], [], []]
    for server in three.ovn.servers:
        number = server.machine.address
        cms = "6641" if server.key == "nb" else "16642"
        assert server.listens[f"pssl:{cms}:{number}"] == {"inactivity-probe": 120000}
        assert {"inactivity-probe": 10000} in server.listens.values()
    assert three.ovn.options == {"northd_probe_interval": "10000"}


def test_chassis_may_write_no_more_than_their_role_lets_them(three):
    remotes = three.ovn.servers[1].listens
    assert remotes["pssl:6642:10.0.0.10"] == {"role": "ovn-controller", "inactivity-probe": 60000}
    assert remotes["pssl:16642:10.0.0.10"] == {"inactivity-probe": 60000}


def test_a_newer_program_is_taken_by_one_unit_at_a_time(three):
    serving = []
    for machine in three.machines.values():
        machine.ovn.version = "25.09.0-1"
        machine.packages["ovn-central"] = "25.09.0-1"
        restart = machine.restart_services

        def watch(*units, restart=restart):
            restart(*units)
            serving.append(min(len(members) for members in three.members("nb") + three.members("sb")))

        machine.restart_services = watch
        machine.start_seconds = 2
    three.log()
    three.update_status()
    three.update_status()
    assert [len(lines) for lines in restarts(three)] == [3, 3, 3]
    assert set(serving) <= {2, 3}
    assert three.ovn.schemas == {"nb": "25.09.0-1", "sb": "25.09.0-1"}


def test_nothing_restarts_while_the_quorum_needs_it(three):
    three.power_off(2)
    three.machines[1].ovn.version = "25.09.0-1"
    three.log()
    three.update_status()
    three.update_status()
    assert three.statuses[1].message.startswith(
        "to restart for a new configuration: the northbound database would lose its quorum"
    )
    assert restarts(three)[1] == []


def test_who_has_waited_for_the_others_asks_the_databases_when_it_is_his_turn(three):
    three.held.add(0)
    three.machines[1].ovn.version = "25.09.0-1"
    three.log()
    three.run(1, three.on.update_status())
    assert three.statuses[1].message == "waiting to restart: one unit at a time, the leader is first"
    three.power_off(2)
    three.held.discard(0)
    three.update_status()
    three.update_status()
    assert three.statuses[1].message.startswith(
        "to restart for a new configuration: the northbound database would lose its quorum"
    )
    assert restarts(three)[1] == []
    three.power_on(2)
    three.update_status()
    assert len(restarts(three)[1]) == 3


def test_certificates_are_renewed_without_a_restart(three):
    three.log()
    old = [server.tls.chain for server in three.ovn.servers]
    for machine in three.machines.values():
        machine.clock += 25 * DAY
    three.every()
    three.update_status()
    assert restarts(three) == [[], [], []]
    assert all(server.tls.chain not in old for server in three.ovn.servers)
    for machine in three.machines.values():
        machine.clock += 20 * DAY
    three.power_off(0)
    three.power_on(0)
    assert three.members("nb") == three.members("sb") == [ALL]


def test_without_a_certificate_nothing_starts(deploy):
    model = deploy(0)
    model.relations.pop(CERTIFICATES)
    model.add_unit()
    assert model.statuses[0] == ops.WaitingStatus(
        "certificates: integrate with an application that provides tls-certificates"
    )
    assert not [unit for unit in model.machines[0].services if model.machines[0].services[unit] == "active"]


def test_what_the_packages_enable_does_not_found_databases_of_its_own(deploy):
    model = deploy(0)
    model.relations.pop(CERTIFICATES)
    model.add_unit()
    assert model.machines[0].enabled == set()


def test_what_starts_the_daemons_with_the_machine_is_enabled(one):
    assert programs.UMBRELLA in one.machines[0].enabled


def test_a_wrong_option_blocks_and_changes_nothing(one):
    one.log()
    one.configure(ovsdb_server_election_timer=0)
    assert one.statuses[0] == ops.BlockedStatus(
        "config ovsdb-server-election-timer=0 cannot be used: expected a whole number, 1 to 60"
    )
    assert one.log() == []


def test_another_application_on_the_machine_blocks(one, deploy):
    machine = one.machines[0]
    other = deploy(0)
    other.application, other.context = "sdn", type(other.context)(other.charm, app_name="sdn")
    other.machines, other.unit_data = {0: machine}, {0: {}}
    machine.log.clear()
    other.run(0, other.on.config_changed())
    assert other.statuses[0] == ops.BlockedStatus(
        "ovn-central/0 runs OVN's databases on this machine already: remove one of the two"
    )
    other.run(0, other.on.stop())
    other.run(0, other.on.remove(), formed=False)
    assert machine.log == []
    assert one.members() == [{"machine-0"}]


def test_without_its_packages_a_unit_goes_as_it_came(deploy):
    """A hook that could not install them may be the only one before the last."""
    model = deploy(0)
    model.machines[0], model.unit_data[0] = OvnMachine(model.ovn, 0), {}
    machine = model.machines[0]

    def missing(*_):
        raise FileNotFoundError("ovn-appctl")

    machine.handlers |= dict.fromkeys(("ovn-appctl", "ovsdb-tool", "ovsdb-client"), missing)
    machine.have("/var/lib/openinfra/owners/ovn-central", "ovn-central/0")
    model.run(0, model.on.stop())
    model.run(0, model.on.remove(), formed=False)
    assert not [path for path in machine.nodes if "ovn" in path]


def test_a_member_cannot_follow_to_another_address(one):
    one.machines[0].address = "10.0.0.77"
    one.run(0, one.on.config_changed())
    assert one.statuses[0] == ops.BlockedStatus(
        "the address of ovn-central/0 was 10.0.0.10 and is 10.0.0.77 now, and a database's member cannot follow: "
        "give the machine the old one back, or remove the unit and add another"
    )


def test_databases_of_another_cluster_are_not_touched(deploy):
    model = deploy(0)
    machine = OvnMachine(model.ovn, 0)
    machine.have("/var/lib/ovn/ovnnb_db.db", "OVSDB JSON []")
    machine.have("/var/lib/ovn/ovnsb_db.db", "OVSDB JSON []")
    model.make_machine = lambda _: machine
    model.add_unit()
    assert model.statuses[0] == ops.BlockedStatus(
        "/var/lib/ovn/ovnnb_db.db is not of this application's cluster: save it elsewhere, and delete it here"
    )
    assert machine.read("/var/lib/ovn/ovnnb_db.db") == "OVSDB JSON []"


def test_a_killed_server_is_started_by_the_next_hook(three):
    three.machines[1].services["ovn-ovsdb-server-nb.service"] = "failed"
    three.run(1, three.on.update_status())
    assert three.members() == [ALL]


def test_a_unit_without_a_quorum_says_so(three):
    three.power_off(0, 1)
    three.run(2, three.on.update_status())
    assert three.statuses[2] == ops.WaitingStatus(
        "the northbound database has no quorum: 1 of 3 members are connected; see cluster-status"
    )


@pytest.mark.parametrize("kind", ["safe-to-stop", "after-start"])
def test_the_checks_ask_the_databases(three, kind):
    machine = three.machines[1]

    def check():
        with use(machine):
            return machine.run("sh", "-c", "", check=False) and machine.run(
                f"/usr/lib/openinfra/{kind}.d/ovn-central", check=False
            )

    machine.handlers["python3"] = lambda argv, _: _check(machine, argv[-2:])
    assert check().code == 0
    three.power_off(0, 2)
    assert "quorum" in check().stdout


def _check(machine, words):
    import contextlib
    import io

    import check
    from openinfra_charm.machine import Result

    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = check.main(*words)
    return Result(code=code, stdout=said.getvalue(), stderr="")
