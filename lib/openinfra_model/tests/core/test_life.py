"""The life of applications, units, relations and machines."""

from __future__ import annotations

import pytest

from openinfra_model.core import (
    Core,
    ModelError,
    State,
    actions,
    applications,
    configuration,
    hooks,
    leadership,
    machines,
    models,
    relations,
    status,
    timers,
    units,
)

from .play import BASE, Play, Run, charm

DB = charm("db", provides={"sql": "mysql"}, peers={"cluster": "db-peer"}, config={"size": 3})
WEB = charm("web", requires={"sql": "mysql"})
AGENT = charm("agent", subordinate=True, requires={"host": "juju-info"})
FIRST_HOOKS = ["install", "cluster-relation-created", "leader-elected", "config-changed", "start"]


@pytest.fixture
def play() -> Play:
    return Play()


def test_first_hooks_come_in_order(play):
    play.deploy(DB)
    play.settle()
    assert play.names("db/0") == FIRST_HOOKS


def test_only_the_first_unit_leads(play):
    play.deploy(DB, units=3)
    play.settle()
    leaders = [unit for unit in ("db/0", "db/1", "db/2") if "leader-elected" in play.names(unit)]
    assert leaders == ["db/0"]
    assert leadership.leader(play.state, "db") == "db/0"


def test_storage_comes_before_install(play):
    play.deploy(charm("disk", storage={"data": (2, 2)}))
    play.settle()
    assert play.names("disk/0")[:3] == ["data-storage-attached", "data-storage-attached", "install"]


def test_changes_during_a_hook_are_told_once(play):
    play.deploy(DB)
    play.settle()
    [before] = [len(play.hooks)]
    for size in ("4", "5", "6"):
        configuration.set_options(play.state, "db", {"size": size})
    play.settle()
    assert play.hooks[before:] == [("db/0", "config-changed")]


def test_setting_what_is_set_is_no_change(play):
    play.deploy(DB)
    play.settle()
    before = len(play.hooks)
    configuration.set_options(play.state, "db", {"size": "3"})
    play.settle()
    assert play.hooks[before:] == []


def test_a_relation_joins_both_sides(play):
    play.deploy(DB)
    play.deploy(WEB)
    play.settle()
    play.integrate("web", "db")
    tail = ["sql-relation-created", "sql-relation-joined", "sql-relation-changed"]
    assert play.names("web/0")[-3:] == tail
    assert play.names("db/0")[-3:] == tail


def test_relation_data_is_told_when_the_hook_has_succeeded():
    def writer(run: Run) -> int:
        if run.unit == "db/0" and run.name == "config-changed":
            run.tool("relation-set", "-r", "1", f"size={run.ask('config-get', 'size')}")
            return 1 if run.ask("config-get", "size") == 13 else 0
        return 0

    play = Play(charm=writer)
    play.deploy(DB)
    play.deploy(WEB)
    play.integrate("web", "db")
    before = len(play.hooks)
    configuration.set_options(play.state, "db", {"size": "4"})
    play.settle()
    assert play.hooks[before:] == [("db/0", "config-changed"), ("web/0", "sql-relation-changed")]
    configuration.set_options(play.state, "db", {"size": "13"})
    play.settle()
    assert play.state.relations["1"].units["db/0"].content["size"] == "4"


def test_application_data_comes_before_the_unit_joins():
    def leader(run: Run) -> int:
        if run.unit == "db/0" and run.name == "sql-relation-created":
            run.tool("relation-set", "--app", "url=x")
        return 0

    play = Play(charm=leader)
    play.deploy(DB)
    play.deploy(WEB)
    relations.integrate(play.state, "web", "db", now=play.now)
    play.settle()
    assert play.names("web/0")[-3:] == ["sql-relation-changed", "sql-relation-joined", "sql-relation-changed"]


def test_removing_a_relation_departs_and_breaks(play):
    play.deploy(DB, units=2)
    play.deploy(WEB)
    play.integrate("web", "db")
    relations.remove(play.state, "web", "db", now=play.now)
    with pytest.raises(ModelError, match="relation web:sql db:sql is dying, but not yet removed"):
        relations.integrate(play.state, "web", "db", now=play.now)
    play.settle()
    assert play.names("web/0")[-3:] == [
        "sql-relation-departed",
        "sql-relation-departed",
        "sql-relation-broken",
    ]
    assert "1" not in play.state.relations
    play.integrate("web", "db")
    assert play.names("web/0")[-1] == "sql-relation-changed"


def test_a_unit_goes_through_its_last_hooks(play):
    play.deploy(DB, units=2)
    play.deploy(WEB)
    play.integrate("web", "db")
    units.remove(play.state, ["db/1"], now=play.now)
    play.settle()
    assert play.names("db/1")[-5:] == [
        "sql-relation-departed",
        "sql-relation-broken",
        "cluster-relation-departed",
        "stop",
        "remove",
    ]
    assert "db/1" not in play.state.units
    assert "1" not in play.state.machines, "the last unit of a machine takes it along"
    assert play.names("web/0")[-1] == "sql-relation-departed"


def test_peers_of_a_unit_that_went_learn_it_at_their_next_start(play):
    """As Juju 4.0.15: see the recording lifecycle."""
    seen = []

    def watching(run: Run) -> int:
        if run.unit == "db/0":
            seen.append((run.name, run.ask("relation-list", "-r", "0") if run.name != "install" else None))
        return 0

    play.charm = watching
    play.deploy(DB, units=2)
    play.settle()
    units.remove(play.state, ["db/1"], now=play.now)
    play.settle()
    configuration.set_options(play.state, "db", {"size": "9"})
    play.settle()
    assert seen[-1] == ("config-changed", ["db/1"])
    play.reboot("0")
    play.settle()
    assert [name for name, _ in seen[-2:]] == ["start", "cluster-relation-departed"]
    assert seen[-1][1] == []


def test_a_subordinate_lives_with_its_principal(play):
    play.deploy(DB, units=2)
    play.deploy(AGENT)
    play.integrate("agent", "db")
    assert sorted(unit.principal for unit in play.state.units if unit.application == "agent") == [
        "db/0",
        "db/1",
    ]
    assert (
        play.state.units["agent/0"].machine == play.state.units[play.state.units["agent/0"].principal].machine
    )
    gone = next(unit.name for unit in play.state.units if unit.principal == "db/1")
    units.remove(play.state, ["db/1"], now=play.now)
    play.settle()
    assert play.names(gone)[-3:] == ["host-relation-broken", "stop", "remove"]
    assert gone not in play.state.units
    relations.remove(play.state, "agent", "db", now=play.now)
    play.settle()
    assert [unit.name for unit in play.state.units] == ["db/0"]


def test_a_new_principal_brings_a_subordinate(play):
    play.deploy(DB)
    play.deploy(AGENT)
    play.integrate("agent", "db")
    units.add(play.state, "db", now=play.now)
    play.settle()
    assert {unit.principal for unit in play.state.units if unit.application == "agent"} == {"db/0", "db/1"}


def test_a_failed_hook_is_retried_later_and_later():
    failures = iter([1, 1, 1, 0])
    play = Play(charm=lambda run: next(failures) if run.name == "start" else 0)
    play.deploy(WEB)
    play.settle()
    assert play.state.agents["web/0"].failed is not None
    shown = status.full(play.state, play.now)["applications"]["web"]["units"]["web/0"]
    assert shown["workload-status"]["message"] == 'hook failed: "start"'
    times = []
    while play.state.agents["web/0"].failed:
        failed = play.now
        wake = timers.next_time(play.state, play.now)
        assert wake is not None
        times.append(wake - failed)
        play.now = wake
        play.settle()
    assert times == [5, 10, 20]
    assert play.names("web/0")[-4:] == ["start"] * 4


@pytest.mark.parametrize(("retry", "expected"), [(True, ["start", "start"]), (False, ["start"])])
def test_resolved_retries_or_goes_on(retry, expected):
    failures = iter([1, 0])
    play = Play(charm=lambda run: next(failures) if run.name == "start" else 0)
    play.deploy(WEB)
    play.settle()
    units.resolve(play.state, "web/0", retry=retry)
    play.settle()
    assert [name for name in play.names("web/0") if name == "start"] == expected
    assert play.state.agents["web/0"].started
    with pytest.raises(ModelError, match='unit "web/0" is not in an error state'):
        units.resolve(play.state, "web/0")


def test_leadership_passes_when_the_lease_is_over(play):
    play.deploy(DB, units=2)
    play.settle()
    units.remove(play.state, ["db/0"], now=play.now)
    play.settle()
    assert leadership.leader(play.state, "db") == ""
    removed = play.now
    play.wait(60)
    assert leadership.leader(play.state, "db") == "db/1"
    assert play.state.applications["db"].lease_start - removed <= 60
    assert play.names("db/1")[-1] == "leader-elected"


def test_leadership_stays_over_a_short_outage(play):
    play.deploy(DB, units=2)
    play.settle()
    machines.down(play.state, "0", play.now)
    play.wait(20)
    play.boot("0")
    play.wait(120)
    assert leadership.leader(play.state, "db") == "db/0"


def test_a_machine_that_is_down_loses_its_agents(play):
    play.deploy(DB, units=2)
    play.settle()
    machines.down(play.state, "1", play.now)
    shown = status.full(play.state, play.now)
    assert shown["machines"]["1"]["juju-status"]["current"] == "down"
    unit = shown["applications"]["db"]["units"]["db/1"]
    assert (unit["workload-status"]["current"], unit["juju-status"]["current"]) == ("unknown", "lost")
    before = len(play.hooks)
    configuration.set_options(play.state, "db", {"size": "8"})
    play.settle()
    assert play.hooks[before:] == [("db/0", "config-changed")]
    play.boot("1")
    play.settle()
    assert play.names("db/1")[-2:] == ["start", "config-changed"]


def test_survivors_of_a_lost_machine_run_departed(play):
    play.deploy(DB, units=2)
    play.settle()
    machines.down(play.state, "1", play.now)
    with pytest.raises(ModelError, match=r'machine 1 has unit\(s\) "db/1" assigned'):
        machines.remove(play.state, "1", now=play.now)
    machines.remove(play.state, "1", now=play.now, force=True)
    play.settle()
    assert play.names("db/0")[-1] == "cluster-relation-departed"
    assert set(status.full(play.state, play.now)["machines"]) == {"0"}


def test_a_new_charm_is_told_with_upgrade_charm_and_config_changed(play):
    play.deploy(DB)
    play.settle()
    url = applications.refresh(play.state, "db", DB, archive="new.charm", now=play.now)
    play.settle()
    assert url == "local:db-1"
    assert play.names("db/0")[-2:] == ["upgrade-charm", "config-changed"]


def test_a_new_resource_is_told_with_upgrade_charm():
    play = Play()
    play.deploy(charm("app", resources=["blob"]), resources={"blob": ("/a", "one")})
    play.settle()
    applications.attach_resource(play.state, "app", "blob", "/b", "one")
    play.settle()
    assert "upgrade-charm" not in play.names("app/0"), "the same file is no change"
    applications.attach_resource(play.state, "app", "blob", "/b", "two")
    play.settle()
    assert play.names("app/0")[-2:] == ["upgrade-charm", "config-changed"]


def test_update_status_comes_at_its_interval(play):
    configuration.set_model(play.state, {"update-status-hook-interval": "10m"}, play.now)
    play.deploy(WEB)
    play.settle()
    play.wait(3600)
    assert play.names("web/0").count("update-status") == 5


def test_an_application_goes_with_all_it_has(play):
    play.deploy(DB, units=2)
    play.deploy(WEB)
    play.deploy(AGENT)
    play.integrate("web", "db")
    play.integrate("agent", "db")
    applications.remove(play.state, "db", now=play.now)
    play.settle()
    assert {application.name for application in play.state.applications} == {"web", "agent"}
    assert [unit.name for unit in play.state.units] == ["web/0"]
    assert not len(play.state.relations)


def removed_with_two_relations(charm_of_web) -> Play:
    """Return a model in which the removal of an application has just begun that ends two relations together."""
    play = Play(charm=charm_of_web)
    play.deploy(DB, units=2)
    play.deploy(charm("cache", provides={"kept": "kv"}))
    play.deploy(charm("web", requires={"sql": "mysql", "kept": "kv"}), units=2)
    play.settle()
    play.integrate("db", "web")
    play.integrate("cache", "web")
    applications.remove(play.state, "web", now=play.now)
    return play


def test_the_last_hook_of_a_relation_may_come_when_that_is_gone():
    """As with a real 4.0.14, where relations end together: network-get failed, whatever its binding."""
    answers = {}

    def ask(run: Run) -> int:
        if run.name.endswith("-relation-broken"):
            words = (
                "network-get sql",
                "relation-get --app - db",
                "relation-set a=b",
                "relation-list --app",
                "relation-ids sql",
            )
            answers[run.name, run.unit] = {word: run.tool(*word.split()) for word in words}
        return 0

    play = removed_with_two_relations(ask)
    possible, certain = set(), set()
    while True:
        play.make_world()
        due = play.core.due(play.now)
        if not due:
            break
        run = due[0]
        if relations.may_be_gone(play.state, run):
            possible.add((run.unit, run.name))
        if relations.is_gone(play.state, run):
            certain.add((run.unit, run.name))
        play.hooks.append((run.unit, run.name))
        play.end(play.core.begin(run, play.now, relation_gone=(run.unit, run.name) in certain))

    last = {unit for unit, name in play.hooks if name == "sql-relation-broken"}
    assert last == {"db/0", "db/1", "web/0", "web/1"}
    assert len([unit for unit, name in certain if name == "sql-relation-broken"]) == 1
    assert {unit.partition("/")[0] for unit, name in possible if name == "sql-relation-broken"} == {
        "db",
        "web",
    }
    for (name, unit), told in answers.items():
        if name == "sql-relation-broken":
            refused = {word for word, answer in told.items() if answer.exit_code}
            gone = {"network-get sql", "relation-get --app - db", "relation-set a=b"}
            # The agent of a unit still knows of its relations itself.
            assert refused == (gone if (unit, name) in certain else set()), unit
            assert all(told[word].stderr == "ERROR relation not found\n" for word in refused)


def test_a_relation_that_ends_alone_is_there_in_its_last_hook(play):
    """As recorded (`owner`): the removal of an application that has one relation."""
    play.deploy(DB)
    play.deploy(WEB)
    play.settle()
    play.integrate("db", "web")
    applications.remove(play.state, "web", now=play.now)
    while due := play.core.due(play.now):
        assert not relations.may_be_gone(play.state, due[0])
        play.play(due[0])
    assert "sql-relation-broken" in play.names("db/0")


def test_a_unit_whose_hooks_fail_while_its_application_is_removed_is_given_up():
    """As with a real 4.0.14: gone after about a minute, without stop and remove, and the machine with it."""
    play = removed_with_two_relations(
        lambda run: int(run.unit == "web/1" and run.name == "sql-relation-broken")
    )
    play.settle()
    play.wait(50)
    assert set(status.full(play.state, play.now)["applications"]["web"]["units"]) == {"web/1"}
    assert play.names("web/1").count("sql-relation-broken") > 2
    play.wait(20)
    assert "web" not in status.full(play.state, play.now)["applications"]
    assert not {"stop", "remove"} & set(play.names("web/1"))
    assert {"stop", "remove"} <= set(play.names("web/0"))
    assert set(play.names("db/0")) >= {"sql-relation-broken"}


def test_nothing_runs_on_a_unit_behind_its_remove_hook():
    """Such as what its machine has asked for by juju-exec, while the hook ran."""
    asked = []

    def ask(run):
        if run.name == "remove":
            asked.append(actions.enqueue_exec(play.state, [run.unit], "true", now=play.now, local=True))
        return 0

    play = Play(charm=ask)
    play.deploy(DB, units=2)
    play.settle()
    units.remove(play.state, ["db/1"], now=play.now)
    play.settle()
    assert "db/1" not in play.state.units
    assert play.names("db/1")[-1] == "remove"
    [task] = play.state.operations[asked[0]].tasks
    assert play.state.tasks[task].status == "cancelled"


def test_a_unit_that_is_removed_alone_is_not_given_up():
    play = Play(charm=lambda run: int(run.name == "stop"))
    play.deploy(DB, units=2)
    play.settle()
    units.remove(play.state, ["db/1"], now=play.now)
    play.wait(600)
    assert "db/1" in play.state.units


def test_a_model_is_destroyed_with_its_machines(play):
    play.deploy(DB, units=2)
    play.deploy(WEB)
    machines.add(play.state, base=BASE, now=play.now)
    play.integrate("web", "db")
    models.destroy(play.state, now=play.now)
    play.settle()
    assert not len(play.state.applications)
    assert not len(play.state.machines)
    assert not len(play.state.units)


def test_a_cut_off_hook_is_due_again(play):
    play.deploy(WEB)
    play.step()
    [run] = play.core.due(play.now)
    context = play.core.begin(run, play.now)
    play.core.tool(context.id, ["open-port", "80"], "", play.now)
    play.core.abandon(context.id, play.now)
    assert play.core.due(play.now) == [run]
    assert play.state.units["web/0"].ports == ()


def test_a_stored_state_is_taken_up_where_it_was(play):
    play.deploy(DB, units=2)
    play.deploy(WEB)
    play.deploy(AGENT)
    relations.integrate(play.state, "web", "db", now=play.now)
    relations.integrate(play.state, "agent", "db", now=play.now)
    for _ in range(20):
        play.step()
    play.store()
    rows = [(table, key, text) for (table, key), text in play.rows.items()]
    again = State.load(rows, play.state.ids)
    hooks.recover(again, play.now)
    assert Core(again).due(play.now) == play.core.due(play.now)
    assert status.full(again, play.now) == status.full(play.state, play.now)


def deploy(state, name, base=BASE):
    wanted = applications.Deployment(name=name, charm=DB, archive="", base=base)
    applications.deploy(state, wanted, now=0)


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (lambda state: units.add(state, "nope", now=0), 'application "nope" not found'),
        (lambda state: units.add(state, "db", to=["7"], now=0), "machine 7 not found"),
        (lambda state: units.add(state, "agent", now=0), "is a subordinate"),
        (lambda state: relations.integrate(state, "db", "nope", now=0), 'application "nope" not found'),
        (
            lambda state: relations.integrate(state, "db:nope", "web", now=0),
            'application "db" has no "nope" relation',
        ),
        (lambda state: relations.integrate(state, "db", "db", now=0), "no relations found"),
        (lambda state: relations.remove(state, "db", "web", now=0), 'relation "db web" not found'),
        (lambda state: configuration.set_options(state, "db", {"nope": "1"}), 'unknown option "nope"'),
        (
            lambda state: configuration.set_options(state, "db", {"size": "big"}),
            'option "size" expected int, got "big"',
        ),
        (lambda state: units.remove(state, ["db/9"], now=0), 'unit "db/9" does not exist'),
        (lambda state: deploy(state, "db"), "application already exists"),
        (lambda state: deploy(state, "9db"), 'invalid application name "9db"'),
        (lambda state: deploy(state, "x", "debian@12"), "is not supported by charm"),
        (lambda state: actions.enqueue(state, ["db/0"], "nope", {}, 0), 'action "nope" not defined'),
        (
            lambda state: configuration.set_model(state, {"update-status-hook-interval": "1s"}, 0),
            "from 1m to 60m",
        ),
        (lambda state: configuration.bind(state, "db", {"sql": "dmz"}), 'space "dmz" not found'),
    ],
)
def test_what_cannot_be_is_refused_with_nothing_changed(play, verb, message):
    for wanted in (DB, WEB, AGENT):
        play.deploy(wanted)
    play.settle()
    with pytest.raises(ModelError, match=message):
        verb(play.state)
    assert play.state.drain() == {}
