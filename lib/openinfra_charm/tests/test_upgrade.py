"""Upgrades: a database whose schema really expands and contracts, two releases of code on it, and what goes wrong."""

import importlib
import json
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import ops
import ops.hookcmds
import pytest
from ops import testing

from openinfra_charm.daemon.job import FIRST_PAUSE, Jobs, main
from openinfra_charm.machine import use
from openinfra_charm.model.actions import ActionError
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.openstack import release, upgrade
from openinfra_charm.openstack.actions import STANDARD
from openinfra_charm.openstack.release import Releases
from openinfra_charm.openstack.upgrade import Operations, Upgrade
from openinfra_charm.testing import Fuse, Killed, MemoryMachine, Software
from openinfra_charm.testing.packaging import Packaging

META = {"name": "probe", "peers": {"cluster": {"interface": "probe-peers"}}}
OLD, NEW = "2025.2", "2026.1"

# What the job of the fixture's charm does. Release 2026.1 keeps the name of a user in another column than 2025.2: the
# expanded schema has both and a trigger for either, the contracted one has the new column only.
SCHEMA = '''
import sqlite3

from openinfra_charm.daemon.job import JobError

DATABASE = ""
REFUSED = set()

STEPS = {
    "expand": """
        ALTER TABLE users ADD COLUMN title TEXT;
        UPDATE users SET title = name;
        CREATE TRIGGER old_writes AFTER INSERT ON users WHEN NEW.title IS NULL
            BEGIN UPDATE users SET title = NEW.name WHERE id = NEW.id; END;
        CREATE TRIGGER new_writes AFTER INSERT ON users WHEN NEW.name IS NULL
            BEGIN UPDATE users SET name = NEW.title WHERE id = NEW.id; END;
    """,
    "contract": """
        DROP TRIGGER old_writes;
        DROP TRIGGER new_writes;
        ALTER TABLE users DROP COLUMN name;
    """,
}


def columns(database):
    return {row[1] for row in database.execute("PRAGMA table_info(users)")}


def schema(job, step, tree, number):
    assert job.machine.read(f"/opt/{job.application}/{tree}/release.json"), "the new tree is not there"
    assert tree.startswith("2026.1-")
    if step in REFUSED:
        raise JobError(f"{step}: the database refuses")
    with sqlite3.connect(DATABASE) as database:
        done = "title" in columns(database) if step == "expand" else "name" not in columns(database)
        if not done:
            database.executescript(STEPS[step])
    return f"{step} is done"
'''
CODE = {
    OLD: ("INSERT INTO users (name) VALUES (?)", "SELECT count(name) FROM users"),
    NEW: ("INSERT INTO users (title) VALUES (?)", "SELECT count(title) FROM users"),
}


class Worker(Software):
    """Systemd and the service on one unit: jobs run while a hook waits, and the service runs what it was started with."""

    def __init__(self, machine, model, number):
        super().__init__()
        self.machine, self.model, self.number = machine, model, number
        self.runs = ""
        self.sick_with = set()
        self.seen = []
        self.holds_jobs = False

    def time_passed(self):
        if not self.holds_jobs:
            self.work()

    def work(self):
        with use(self.machine):
            for application, job_id in self.machine.jobs():
                main(application, job_id)
                self.machine.job_ended(application, job_id)

    def restart(self, releases):
        before, self.runs = self.runs, releases.current.name
        if before not in {"", self.runs}:
            self.model.interrupted.append((self.number, self.runs))
            others = [n for n, worker in self.model.workers.items() if n != self.number and worker.ask()]
            assert not others, f"{others} do not serve while {self.number} restarts"

    def ask(self):
        """A request with a write and a read, as clients send them; return why it fails."""
        name = self.runs.partition("-")[0]
        if name in self.sick_with or self.runs in self.sick_with:
            return f"500 from {name}"
        if not name:
            return "does not run"
        write, read = CODE[name]
        try:
            with sqlite3.connect(self.model.database) as database:
                database.execute(write, (f"user of {self.number}",))
                (count,) = database.execute(read).fetchone()
                (total,) = database.execute("SELECT count(*) FROM users").fetchone()
        except sqlite3.Error as error:
            return str(error)
        return "" if count == total else f"{count} of {total} rows are to be seen"


class Probe(ops.CharmBase):
    """A charm with nothing but a service of a release; the model makes a class of it for each hook."""

    step = staticmethod(lambda _charm: None)
    told: ClassVar[list] = []
    locks = Path()
    machine: MemoryMachine
    worker: Worker

    def __init__(self, framework):
        super().__init__(framework)
        self.releases = Releases(self.machine, self.app.name)
        self.cluster = Cluster(self, "cluster")
        self.upgrade = Upgrade(
            self.model,
            machine=self.machine,
            cluster=self.cluster,
            jobs=Jobs(self.machine, self.app.name),
            releases=self.releases,
            locks=self.locks,
            first=OLD,
            operations=Operations(
                schema="schema.schema",
                restart=lambda: self.worker.restart(self.releases),
                health=self.worker.ask,
            ),
        )
        framework.observe(self.on.update_status, self._on_update_status)

    def _on_update_status(self, _):
        self.cluster.grant_lock()
        if self.upgrade.prepare():
            if not self.worker.runs:
                self.worker.restart(self.releases)
            self.step(self)
        self.told.append(self.upgrade.statuses())


class Model:
    """Units with a machine each, the peer data that Juju keeps, and a database."""

    def __init__(self, folder, units):
        self.locks = folder / "releases"
        for name in (OLD, NEW):
            (self.locks / name).mkdir(parents=True)
            self.lock(name, 0)
        self.database = str(folder / "database")
        with sqlite3.connect(self.database) as database:
            database.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        self.data, self.app_data, self.leader = {}, {}, 0
        self.machines, self.workers, self.interrupted, self.statuses = {}, {}, [], {}
        for number in range(units):
            self.add(number)

    def lock(self, name, version):
        (self.locks / name / "python3.13.txt").write_text(f"keystone=={name}.{version} --hash=sha256:aa\n")

    def add(self, number):
        machine = MemoryMachine()
        worker = Worker(machine, self, number)
        machine.bring(Packaging(machine))
        machine.bring(worker)
        self.data[number], self.machines[number], self.workers[number] = {}, machine, worker

    def remove(self, number):
        for units in (self.data, self.machines, self.workers):
            del units[number]
        if self.leader == number:
            self.leader = min(self.data)

    def run(self, number, step=lambda charm: charm.upgrade.advance()):
        """Play one hook of a unit; a hook that fails or is killed leaves no word in the relation."""
        told = []
        probe = type(
            "Probe",
            (Probe,),
            {
                "step": staticmethod(step),
                "told": told,
                "locks": self.locks,
                "machine": self.machines[number],
                "worker": self.workers[number],
            },
        )
        context = testing.Context(probe, META, app_name="probe", unit_id=number)
        peers = {other: dict(data) for other, data in self.data.items() if other != number}
        relation = testing.PeerRelation(
            "cluster", local_unit_data=self.data[number], local_app_data=self.app_data, peers_data=peers
        )
        state = testing.State(leader=number == self.leader, relations={relation})
        machine = self.machines[number]
        with pytest.MonkeyPatch.context() as patched, use(machine):
            patched.setattr(ops.hookcmds, "goal_state", self.goal_state)
            before = machine.now()
            after = context.run(context.on.update_status(), state)
            assert machine.now() - before <= 60, "a hook took longer than a minute"
        written = after.get_relation(relation.id)
        self.data[number], self.app_data = dict(written.local_unit_data), dict(written.local_app_data)
        self.statuses[number] = told[0]

    def goal_state(self):
        goal = ops.hookcmds.Goal(status="active", since=datetime.now(tz=UTC))
        return ops.hookcmds.GoalState(units={f"probe/{n}": goal for n in self.data}, relations={})

    def settle(self, *, without=()):
        """Play hooks until none changes anything; every unit serves all the while."""
        for _ in range(40):
            before = self.recorded()
            for number in sorted(self.data):
                if number not in without:
                    self.run(number)
            if before == self.recorded():
                return
        pytest.fail("it does not come to rest")

    def recorded(self):
        """What the relation and the machines know of the units."""
        records = [machine.read("/var/lib/openinfra/probe/switch.json") for machine in self.machines.values()]
        return json.dumps([self.data, self.app_data, records], sort_keys=True)

    def play_until(self, reached):
        """Play hooks until something holds."""
        for _ in range(40):
            for number in sorted(self.data):
                if reached():
                    return
                self.run(number)
        pytest.fail("it does not come to that")

    def act(self, action, number=None, **params):
        """Run an action of a unit, the leader's where none is named; return its outcome."""
        outcomes = []

        def step(charm):
            try:
                outcomes.append(STANDARD[action](charm, **params))
            except ActionError as error:
                outcomes.append(error)

        self.run(self.leader if number is None else number, step)
        if isinstance(outcomes[0], ActionError):
            raise outcomes[0]
        return outcomes[0]

    def upgrade(self, **params):
        return self.act("upgrade-release", **({"release": NEW, "backup": "monday"} | params))

    @property
    def plan(self):
        return json.loads(self.app_data["release"])

    @property
    def running(self):
        """The release that each unit's service runs."""
        return [worker.runs.partition("-")[0] for _, worker in sorted(self.workers.items())]

    @property
    def columns(self):
        with sqlite3.connect(self.database) as database:
            return {row[1] for row in database.execute("PRAGMA table_info(users)")}

    def words(self, number):
        return [f"{status.name}: {status.message}" for status in self.statuses[number]]

    def everybody_serves(self):
        return [worker.ask() for worker in self.workers.values()] == [""] * len(self.workers)


@pytest.fixture
def schema(tmp_path, monkeypatch):
    """The job that changes the schema."""
    (tmp_path / "schema.py").write_text(SCHEMA)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "schema", raising=False)
    module = importlib.import_module("schema")
    vars(module)["DATABASE"] = str(tmp_path / "database")
    return module


@pytest.fixture
def make(tmp_path, schema):
    """Return a function that makes a model whose units run the old release."""

    def make(units=3):
        model = Model(tmp_path, units)
        model.settle()
        assert model.running == [OLD] * units
        assert model.everybody_serves()
        return model

    return make


# The way forth


def test_new_units_run_the_first_release_and_then_nothing_is_done(make):
    model = make()
    assert model.plan["release"] == OLD
    assert model.interrupted == []
    for machine in model.machines.values():
        machine.log.clear()
    model.settle()
    assert all(machine.log == [] for machine in model.machines.values())
    assert model.statuses == {0: [], 1: [], 2: []}


def test_units_switch_one_by_one_on_an_expanded_schema_and_nothing_is_lost(make):
    model = make()
    outcome = model.upgrade()
    assert outcome.summary == f"upgrade to {NEW}: its tree is being built on probe/1, probe/2"
    assert model.columns == {"id", "name"}
    model.settle()
    assert model.running == [NEW] * 3
    assert [number for number, _ in model.interrupted] == [0, 1, 2]
    assert model.columns == {"id", "name", "title"}
    assert model.everybody_serves()
    assert model.plan["phase"] == upgrade.SWITCHED
    assert model.words(0) == [
        f"active: {NEW} runs; to end the upgrade: finish-upgrade; to take it back: rollback-release"
    ]


def test_a_single_unit_is_through_in_one_action(make):
    model = make(units=1)
    outcome = model.upgrade()
    assert "finish-upgrade" in outcome.summary
    assert model.running == [NEW]
    assert model.act("finish-upgrade").summary == "the upgrade is finished"
    assert model.columns == {"id", "title"}


def test_juju_may_take_a_release_for_a_number(make):
    model = make(units=1)
    model.upgrade(release=float(NEW))
    assert model.running == [NEW]


def test_the_contracted_schema_has_no_way_back_and_the_backup_is_named(make):
    model = make()
    model.upgrade()
    model.settle()
    assert "can be finished" in model.act("finish-upgrade", dry_run=True).summary
    assert model.plan["phase"] == upgrade.SWITCHED
    model.act("finish-upgrade")
    model.settle()
    assert model.columns == {"id", "title"}
    assert model.everybody_serves()
    assert (model.plan["release"], model.plan["phase"]) == (NEW, "")
    before = (dict(model.app_data), dict(model.data))
    with pytest.raises(ActionError, match=r"from 2025.2 was finished.*backup monday: restore it"):
        model.act("rollback-release")
    assert (model.app_data, model.data) == before
    # The negative control: the old code would break.
    model.workers[0].runs = f"{OLD}-tree"
    assert "no column named name" in model.workers[0].ask()


def test_the_way_back_goes_over_the_expanded_schema_and_the_way_forth_is_open_again(make):
    model = make()
    model.upgrade()
    model.settle()
    model.interrupted.clear()
    assert (
        model.act("rollback-release").summary
        == f"back to {OLD}: units switch one by one; not yet: probe/1, probe/2"
    )
    model.settle()
    assert model.running == [OLD] * 3
    assert [number for number, _ in model.interrupted] == [0, 1, 2]
    assert model.columns == {"id", "name", "title"}
    assert model.everybody_serves()
    assert model.plan["phase"] == ""
    with pytest.raises(ActionError, match=f"no upgrade has begun: {OLD} runs"):
        model.act("rollback-release")
    model.upgrade(backup="tuesday")
    model.settle()
    model.act("finish-upgrade")
    model.settle()
    assert model.running == [NEW] * 3
    with pytest.raises(ActionError, match="backup tuesday"):
        model.act("rollback-release")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"backup": ""}, "backup: back the database up and name the backup"),
        (
            {"release": "2027.1"},
            "release=2027.1: .* this charm has 2025.2 for python3.13, 2026.1 for python3.13",
        ),
    ],
)
def test_what_cannot_begin_is_refused_and_nothing_is_changed(make, params, words):
    model = make()
    before = (dict(model.app_data), json.dumps(model.data))
    with pytest.raises(ActionError, match=words):
        model.act("upgrade-release", **({"release": NEW, "backup": "monday"} | params))
    assert (model.app_data, json.dumps(model.data)) == before


def test_an_upgrade_does_not_begin_off_the_leader_nor_before_all_units_serve(make):
    model = make()
    with pytest.raises(
        ActionError, match=r"juju run probe/leader upgrade-release release=2026.1 backup=monday"
    ):
        model.act("upgrade-release", 1, release=NEW, backup="monday")
    model.add(3)
    with pytest.raises(ActionError, match=r"probe/3 has not reported that it serves with 2025.2"):
        model.upgrade()
    model.settle()
    model.workers[0].sick_with = {OLD}
    with pytest.raises(ActionError, match=r"probe/0 does not serve.*500 from 2025.2"):
        model.upgrade()
    assert model.plan["phase"] == ""


def test_nothing_is_finished_or_begun_in_the_middle(make):
    model = make()
    with pytest.raises(ActionError, match="no upgrade has begun"):
        model.act("finish-upgrade")
    model.upgrade()
    with pytest.raises(
        ActionError, match=r"when all units run 2026.1. upgrade to 2026.1: its tree is being built on"
    ):
        model.act("finish-upgrade")
    model.settle()
    with pytest.raises(ActionError, match="an upgrade has begun"):
        model.upgrade()
    with pytest.raises(ActionError, match="an upgrade has begun"):
        model.act("upgrade-release", release=OLD)


def test_no_older_release_is_begun(make):
    model = make(units=1)
    model.upgrade()
    model.act("finish-upgrade")
    with pytest.raises(
        ActionError,
        match=r"2026.1 runs, and an older one comes by rollback-release before finish-upgrade only",
    ):
        model.act("upgrade-release", release=OLD, backup="monday")


# What goes wrong


def test_a_build_that_fails_on_one_unit_holds_the_upgrade_before_anything_has_changed(make):
    model = make()
    packaging = next(software for software in model.machines[1].software if isinstance(software, Packaging))
    packaging.offline = True
    model.upgrade()
    model.settle()
    assert model.running == [OLD] * 3
    assert model.columns == {"id", "name"}
    assert model.words(0) == [f"maintenance: upgrade to {NEW}: its tree is being built on probe/1"]
    assert "is the package index reachable" in model.words(1)[0]
    packaging.offline = False
    model.settle()
    assert model.running == [NEW] * 3
    assert model.words(1) == []


def test_an_upgrade_whose_build_fails_can_be_given_up(make):
    model = make()
    packaging = next(software for software in model.machines[1].software if isinstance(software, Packaging))
    packaging.offline = True
    model.upgrade()
    model.settle()
    assert model.act("rollback-release").summary == "all units are back"
    model.settle()
    assert model.plan["phase"] == ""
    assert model.interrupted == []
    assert model.words(1) == []


def test_a_schema_that_cannot_be_expanded_is_tried_again_and_no_unit_has_switched(make, schema):
    model = make()
    schema.REFUSED.add("expand")
    model.upgrade()
    model.settle()
    assert model.running == [OLD] * 3
    assert "blocked: expand: the database refuses; it is tried again soon" in model.words(0)
    schema.REFUSED.clear()
    for machine in model.machines.values():
        machine.sleep(FIRST_PAUSE)
    model.settle()
    assert model.running == [NEW] * 3


def test_a_second_unit_that_does_not_serve_takes_its_old_tree_back_and_stops_the_others(make):
    model = make()
    model.workers[1].sick_with = {NEW}
    model.upgrade()
    model.settle()
    assert model.running == [NEW, OLD, OLD]
    assert model.everybody_serves()
    assert model.plan["phase"] == upgrade.SWITCH
    (words,) = model.words(1)
    assert words.startswith(f"blocked: {NEW}-")
    assert words.endswith(
        "does not serve here (500 from 2026.1), so the one before is back: mend it, then "
        "juju run probe/leader upgrade-release release=2026.1, or rollback-release"
    )
    # Nobody tries for ever.
    tries = len(model.interrupted)
    model.settle()
    assert len(model.interrupted) == tries
    with pytest.raises(ActionError, match="not yet: probe/1, probe/2"):
        model.act("finish-upgrade")


def test_after_it_was_mended_the_units_go_on_where_they_were(make):
    model = make()
    model.workers[1].sick_with = {NEW}
    model.upgrade()
    model.settle()
    model.workers[1].sick_with = set()
    model.interrupted.clear()
    model.act("upgrade-release", release=NEW)
    model.settle()
    assert model.running == [NEW] * 3
    assert sorted(number for number, _ in model.interrupted) == [1, 2]
    assert model.words(1) == []


def test_a_failed_upgrade_is_taken_back(make):
    model = make()
    model.workers[1].sick_with = {NEW}
    model.upgrade()
    model.settle()
    model.act("rollback-release")
    model.settle()
    assert model.running == [OLD] * 3
    assert model.everybody_serves()
    assert (model.plan["phase"], model.words(1)) == ("", [])


def test_a_unit_that_is_sick_either_way_keeps_the_lock_and_says_so(make):
    model = make()
    model.workers[1].sick_with = {NEW, OLD}
    model.workers[1].ask = lambda: "" if not model.interrupted[1:] else "500"
    model.upgrade()
    model.settle()
    assert model.running[2] == OLD
    assert any("neither" in word and "mend it" in word for word in model.words(1))
    del model.workers[1].ask
    model.workers[1].sick_with = set()
    model.act("rollback-release")
    model.settle()
    assert model.running == [OLD] * 3


@pytest.mark.parametrize(
    "phase", [upgrade.BUILD, upgrade.EXPAND, upgrade.SWITCH, upgrade.SWITCHED, upgrade.CONTRACT]
)
def test_a_new_leader_goes_on_in_every_phase(make, phase):
    model = make()
    model.upgrade()
    if phase == upgrade.CONTRACT:
        model.settle()
        model.workers[0].holds_jobs = True
        model.act("finish-upgrade")
    else:
        model.workers[0].holds_jobs = phase == upgrade.EXPAND
        model.play_until(lambda: model.plan["phase"] == phase)
    assert model.plan["phase"] == phase
    model.leader = 2
    model.workers[0].holds_jobs = False
    model.settle()
    assert model.running == [NEW] * 3
    if phase != upgrade.CONTRACT:
        model.act("finish-upgrade")
        model.settle()
    assert model.columns == {"id", "title"}
    assert model.everybody_serves()


def test_an_executor_that_has_gone_is_followed_by_the_leader(make):
    model = make()
    model.workers[0].holds_jobs = True
    model.upgrade()
    model.workers[0].work()
    model.play_until(lambda: model.plan["phase"] == upgrade.EXPAND)
    model.run(0)
    assert (model.plan["phase"], model.plan["executor"]) == (upgrade.EXPAND, "probe/0")
    model.leader = 1
    model.settle(without={0})
    assert model.plan["phase"] == upgrade.EXPAND
    model.remove(0)
    model.settle()
    assert model.running == [NEW] * 2
    assert model.everybody_serves()


def test_a_unit_that_is_down_holds_the_upgrade_and_is_named(make):
    model = make()
    model.upgrade()
    model.settle(without={2})
    assert model.running == [OLD] * 3
    assert model.words(0) == [f"maintenance: upgrade to {NEW}: its tree is being built on probe/2"]
    model.remove(2)
    model.settle()
    assert model.running == [NEW] * 2


def test_a_holder_that_dies_with_the_lock_is_waited_for_and_one_that_is_removed_is_not(make):
    model = make()
    model.upgrade()
    model.play_until(lambda: model.app_data.get("turn-holder") == '"probe/1"')
    model.settle(without={1})
    assert model.running == [NEW, OLD, OLD]
    model.remove(1)
    model.settle()
    assert model.running == [NEW, NEW]
    assert model.plan["phase"] == upgrade.SWITCHED


def test_a_unit_that_joins_in_the_middle_runs_what_the_others_run(make):
    model = make()
    model.upgrade()
    model.settle()
    model.add(3)
    model.settle()
    assert model.running == [NEW] * 4
    model.act("finish-upgrade")
    model.settle()
    assert model.everybody_serves()


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("number", [0, 1])
def test_hooks_killed_at_any_change_end_where_the_others_do(make, monkeypatch, number, power):
    model = make(units=2)
    original, killed = Model.run, []

    def run(self, unit, step=lambda charm: charm.upgrade.advance()):
        """The n-th hook of the unit is killed at its m-th change; then the machine may lose its power."""
        machine = self.machines[unit]
        if unit != number or len(killed) >= 25:
            original(self, unit, step)
            return
        try:
            with machine.fused(Fuse(len(killed))):
                original(self, unit, step)
        except Killed:
            killed.append(unit)
            machine.services = {
                name: state for name, state in machine.services.items() if "-job-" not in name
            }
            if power:
                machine.power_off()
                machine.power_on()
                current = Releases(machine, "probe").current
                self.workers[unit].runs = current.name if current else ""

    monkeypatch.setattr(Model, "run", run)
    model.leader = 1 - number
    model.upgrade()
    for _ in range(60):
        for unit in (0, 1):
            model.run(unit)
    model.settle()
    assert len(killed) >= 5
    assert model.running == [NEW] * 2
    assert model.plan["phase"] == upgrade.SWITCHED
    assert model.everybody_serves()
    assert not any(
        machine.exists("/var/lib/openinfra/probe/switch.json") for machine in model.machines.values()
    )


@pytest.mark.parametrize("power", [False, True])
def test_a_switch_to_what_does_not_serve_is_taken_back_also_by_the_hook_after_a_killed_one(make, power):
    taken_back = 0
    model = make(units=2)
    good = model.workers[1].runs
    for changes in range(12):
        model.lock(OLD, changes + 1)
        wanted = release.find(model.machines[1], model.locks, OLD).tree
        model.workers[1].sick_with = {wanted}
        model.play_until(lambda: model.app_data.get("turn-holder") == '"probe/1"')
        machine = model.machines[1]
        try:
            with machine.fused(Fuse(changes)):
                model.run(1)
        except Killed:
            if power:
                machine.power_off()
                machine.power_on()
                current = Releases(machine, "probe").current
                model.workers[1].runs = current.name if current else ""
            taken_back += model.workers[1].runs == wanted
        model.settle()
        assert model.workers[1].runs == good
        assert model.words(1)[0].startswith(f"blocked: {wanted} does not serve here")
        assert not machine.exists("/var/lib/openinfra/probe/switch.json")
    assert taken_back


# Another tree of the same release


def test_another_lock_of_the_same_release_is_rolled_out_without_a_word(make):
    model = make()
    model.lock(OLD, 1)
    model.settle()
    assert [number for number, _ in model.interrupted] == [0, 1, 2]
    assert len({tree for _, tree in model.interrupted}) == 1
    assert model.running == [OLD] * 3
    assert model.columns == {"id", "name"}
    assert len(Releases(model.machines[0], "probe").all()) == 2


def test_another_lock_that_does_not_serve_stops_at_the_first_unit_until_the_next_one(make):
    model = make()
    good = model.workers[1].runs
    model.lock(OLD, 1)
    wanted = release.find(model.machines[1], model.locks, OLD).tree
    for worker in model.workers.values():
        worker.sick_with = {wanted}
    model.settle()
    assert {worker.runs for worker in model.workers.values()} == {good}
    assert model.everybody_serves()
    (words,) = model.words(0)
    assert words.startswith(f"blocked: {wanted} does not serve here")
    assert words.endswith("mend it, then juju run probe/leader upgrade-release release=2025.2")
    assert model.words(1) == []
    # Another refresh needs no word.
    model.lock(OLD, 2)
    model.settle()
    assert wanted not in {worker.runs for worker in model.workers.values()}
    assert good not in {worker.runs for worker in model.workers.values()}
    assert model.words(0) == []


def test_a_retry_of_the_same_release_needs_no_backup(make):
    model = make()
    model.lock(OLD, 1)
    wanted = release.find(model.machines[1], model.locks, OLD).tree
    model.workers[0].sick_with = {wanted}
    model.settle()
    model.workers[0].sick_with = set()
    model.act("upgrade-release", release=OLD)
    model.settle()
    assert {worker.runs for worker in model.workers.values()} == {wanted}


def test_a_charm_without_the_lock_of_what_runs_lets_it_run_and_the_next_can_come(make):
    model = make()
    Path(model.locks / OLD / "python3.13.txt").unlink()
    model.settle()
    assert model.running == [OLD] * 3
    model.upgrade()
    model.settle()
    assert model.running == [NEW] * 3
    model.act("rollback-release")
    model.settle()
    assert model.running == [OLD] * 3
