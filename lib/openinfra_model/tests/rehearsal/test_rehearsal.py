"""What a rehearsal plays and sees, with charms that do one thing each."""

import os
import random
from pathlib import Path

import pytest

from openinfra_charm.daemon.job import Jobs
from openinfra_charm.testing import Disk, MemoryMachine, Twin
from openinfra_model.rehearsal import commands, credentials, operator, served
from openinfra_model.rehearsal.commands import NotPlayedError
from openinfra_model.rehearsal.guard import TouchesThisMachineError
from openinfra_model.rehearsal.invariants import Violation
from openinfra_model.rehearsal.play import CALM, Listed, Play, Plot
from openinfra_model.rehearsal.rehearse import Rehearsal
from openinfra_model.rehearsal.served import Served
from openinfra_model.rehearsal.stage import Stage

ALONE = Plot(faults=())


class Storm:
    """Has a fault strike at every step, as long as there are any; all else at random."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)

    def pick(self, options):
        return CALM if options == CALM + 1 else self.random.randrange(options)


def play(stage, plot=ALONE, choices=None):
    rehearsed = Play(stage, plot, choices or Listed())
    rehearsed.run()
    return rehearsed


def test_each_charm_has_modules_of_its_own(stage):
    machines = play(stage()).world.machines.values()
    words = sorted(
        machine.read(f"/etc/{word}/word") or ""
        for machine in machines
        for word in machine.list_folder("/etc")
        if word in {"alpha", "beta"}
    )
    assert words == ["alpha", "alpha", "beta", "beta"]


def test_what_a_charm_leaves_of_its_process_is_gone(stage):
    before = dict(os.environ)
    play(stage())
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("line", "invariant", "what"),
    [
        ('raise RuntimeError("no")', "no-traceback", "alpha/0 install: RuntimeError: no"),
        ("machine.sleep(61)", "patient", "alpha/0 install waits for longer than a minute"),
        (
            'machine.write("/etc/alpha/at", str(machine.now()))',
            "silent",
            "config-changed changes its machine",
        ),
        (
            'self.unit.status = ops.WaitingStatus(""); return',
            "says-why",
            "alpha/0 is waiting and says nothing",
        ),
        (
            'self.unit.status = ops.WaitingStatus("for you"); return',
            "converges",
            "alpha/1 is waiting (for you)",
        ),
        ('event.handle.kind == "update_status" and self.unit.reboot()', "silent", "changes reboots"),
    ],
)
def test_what_does_not_hold_is_told(stage, line, invariant, what):
    with pytest.raises(Violation) as violation:
        play(stage(line))
    assert violation.value.invariant.name == invariant
    assert what in violation.value.what


def test_a_file_that_depends_on_the_order_of_hooks_is_found(stage):
    line = """if (event.handle.kind, self.model.get_relation("cluster")) == ("start", None): machine.write("/etc/alpha/first", "")"""
    early = 'if event.handle.kind == "cluster_relation_joined" and not machine.exists("/etc/alpha/first"): machine.write("/etc/alpha/first", event.unit.name)'
    report = Rehearsal(stage(line, early, units=3), ALONE).run(50, seed=1, shrink=False)
    assert report.found
    assert report.found.invariant == "same-files"
    assert "/etc/alpha/first" in report.found.what


# Credentials, clocks and time

KEY = "-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEIJ\\n-----END PRIVATE KEY-----"
ADD = f"""alone = self.unit.name == "alpha/0" and event.handle.kind == "start"
        secret = self.app.add_secret({{"private-key": "{KEY}"}}, label="key", rotate=ops.SecretRotate.MONTHLY) if alone else None"""
KEEPS = """if self.unit.name == "alpha/0" and event.handle.kind in ("update_status", "cluster_relation_changed"):
            machine.write("/etc/alpha/key", self.model.get_secret(label="key").peek_content()["private-key"], mode=0o600)"""
ROTATES = """if event.handle.kind == "secret_rotate":
            event.secret.set_content({"private-key": f"another-{machine.now()}"})"""


@pytest.mark.parametrize(
    ("line", "where"),
    [
        (
            'if secret: bag = self.model.get_relation("cluster").data[self.unit]; bag["k"] = secret.peek_content()["private-key"]',
            "relation data",
        ),
        (
            'if secret: self.unit.status = ops.ActiveStatus(secret.peek_content()["private-key"])',
            "what charms said",
        ),
        (
            'if secret: machine.write("/etc/alpha/key", secret.peek_content()["private-key"])',
            "/etc/alpha/key of machine-0, which everybody may read",
        ),
        (
            'if secret: machine.run("true", secret.peek_content()["private-key"], check=False)',
            "a command line",
        ),
    ],
)
def test_a_credential_is_found_wherever_it_has_ever_been(stage, line, where):
    gone = """if event.handle.kind == "cluster_relation_changed" and self.unit.name == "alpha/0":
            try: self.model.get_secret(label="key").remove_all_revisions()
            except ops.SecretNotFoundError: pass"""
    takes_back = 'if event.handle.kind == "cluster_relation_changed": self.model.get_relation("cluster").data[self.unit]["k"] = ""'
    with pytest.raises(Violation, match=f"secret: a secret's content is in {where}"):
        play(stage(ADD, line, takes_back, gone), choices=Listed())


def test_what_exists_to_give_a_credential_may(stage):
    shows = """if event.handle.kind == "show_action":
            event.set_results({"key": self.model.get_secret(label="key").peek_content()["private-key"]})"""

    class Giving(Twin):
        reveals = frozenset({"show"})

        def join(self, machine, address):
            pass

    plot = Plot(operations=("run alpha/0 show",), faults=())
    with pytest.raises(Violation, match="what charms said"):
        play(stage(ADD, shows), plot)
    played = Play(stage(ADD, shows), plot, Listed())
    played.world.twins["alpha"] = Giving()
    played.run()


def after_a_month(world):
    """Play what is due a month later; return its names."""
    world.pass_time(32 * 86400)
    names = []
    while due := world.due():
        names.append(world.play(due[0]).what)
    return names


def test_secrets_are_rotated_when_their_time_has_come(stage):
    world = play(stage(ADD, ROTATES, KEEPS)).world
    assert "secret-rotate" in after_a_month(world)
    assert any(value.startswith("another-") for value in world.credentials)
    credentials.check_end(world)


def test_a_credential_that_was_replaced_is_found(stage):
    stays = KEEPS.replace("if ", 'if not machine.exists("/etc/alpha/key") and ', 1)
    world = play(stage(ADD, ROTATES, stays)).world
    credentials.check_end(world)
    after_a_month(world)
    with pytest.raises(
        Violation, match="rotated: /etc/alpha/key of machine-0 has a credential that was replaced"
    ):
        credentials.check_end(world)


def test_an_operators_secret_is_granted_and_changed(stage):
    operations = (
        "add-secret site password=one",
        "grant-secret site alpha",
        "update-secret site password=two",
    )
    world = play(stage(), Plot(operations=operations, faults=())).world
    (secret,) = world.state.secrets
    assert [grant.grantee for grant in secret.grants] == ["alpha"]
    assert secret.latest == 2
    assert set(world.credentials) == {"one", "two"}
    assert commands._options(world.state, ["key=secret:site"]) == {"key": f"secret:{secret.id}"}


def test_a_wrong_clock_is_right_in_the_end(stage):
    notes = 'None if "config" in event.handle.kind or "update" in event.handle.kind else machine.log.append(f"at {machine.now()}")'
    told = []
    for seed in range(
        4
    ):  # one of the four machines has the wrong clock, and on two of them somebody tells the time
        played = play(stage(notes), Plot(faults=("clock",), most_faults=9), Storm(seed))
        assert not played.world.wrong_clocks()
        assert any("is right again" in step.what for step in played.timeline)
        lines = [line for step in played.timeline for line in step.changes if line[:3] == "at "]
        told.append([float(line.removeprefix("at ")) for line in lines])
    assert any(max(times) - min(times) > 3000 for times in told)


def test_services_do_not_wait_for_a_clock():
    machine = MemoryMachine()
    machine.start_seconds = 5
    machine.enable_services("a.service")
    machine.start_services("a.service")
    machine.drift = -86400
    assert not machine.serves("a.service")
    machine.sleep(5)
    assert machine.serves("a.service")
    assert machine.now() == machine.time.now - 86400


def test_while_all_machines_are_off_no_hook_runs(stage):
    played = play(stage(), Plot(faults=("outage",), most_faults=1), Storm())
    steps = [step.what for step in played.timeline]
    off = next(number for number, step in enumerate(steps) if step.startswith("all machines are off for"))
    assert "has power again" in steps[off + 1]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ('__import__("subprocess").run(["touch", "/etc/openinfra-rehearsed"])', "subprocess.Popen"),
        ('open("/etc/openinfra-rehearsed", "w")', "open /etc/openinfra-rehearsed"),
        ('os.mkdir("/etc/openinfra-rehearsed")', "os.mkdir"),
        ('__import__("socket").create_connection(("127.0.0.1", 9))', "socket.connect"),
        ("os.kill(os.getpid(), 0)", "os.kill"),
    ],
)
def test_a_charm_that_would_touch_this_machine_is_stopped(stage, line, event, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where files are free, but programs are not
    with pytest.raises(TouchesThisMachineError) as stopped:
        play(stage(f"try: {line}", "except Exception: pass"))
    assert f"alpha cannot be rehearsed: it would do {event}" in str(stopped.value)
    assert not Path("/etc/openinfra-rehearsed").exists()


@pytest.mark.parametrize(
    "asked",
    [
        'self.model.get_binding("cluster").network.bind_address',
        "event.relation.data[self.unit]['key'] = 'value'",
    ],
)
def test_a_hook_that_needs_a_relation_which_is_gone_is_found(stage, asked):
    """Where relations end together, the last hooks of them may come when the model has dropped them: a draw of its own."""
    line = f'if os.environ["JUJU_HOOK_NAME"] == "one-relation-broken": {asked}'
    plot = Plot(operations=("remove-application beta",), faults=())
    found = Rehearsal(stage(line, related=True), plot).run(40, seed=1, shrink=False).found
    assert found is not None
    assert found.invariant == "no-traceback"
    assert "one-relation-broken: " in found.what
    assert any("when the relation is gone from the model" in step.what for step in found.timeline)
    # Two units of each: it is there for the others, and everybody when nothing is drawn.
    assert Rehearsal(stage(line, related=True), plot).run(1, seed=1).found is None


def test_charms_without_a_twin_are_named(stage):
    assert Rehearsal(stage(), ALONE).run(1, seed=1).without_twin == ("alpha", "beta")


TWIN = """\
from openinfra_charm import testing


class Twin(testing.Twin):
    def join(self, machine, address):
        machine.have("/etc/twin", "here")
"""


@pytest.mark.parametrize(
    "beside", [True, False], ids=["in the source that the archive lies in", "where it is said"]
)
def test_twins_of_a_bundle_of_ones_own_are_found(stage, tmp_path, beside):
    made = stage()
    source = tmp_path if beside else tmp_path / "sources/alpha"
    (source / "tests/twins").mkdir(parents=True)
    (source / "charmcraft.yaml").write_text("name: alpha\n")
    (source / "tests/twins/rehearsal.py").write_text(TWIN)
    own = Stage(made.bundle, tmp_path / "again", *([] if beside else [tmp_path / "sources"]))
    assert own.without_twin() == ("beta",)
    machines = play(own).world.machines.values()
    assert sorted(machine.read("/etc/twin") or "" for machine in machines) == ["", "", "here", "here"]


MANY_CHANGES = """[
            machine.write(name, "")
            for number in range(9)
            if not machine.exists(name := f"/run/alpha/{event.handle.kind}-{number}")
            and event.handle.kind != "update_status"
        ]"""


def test_hooks_run_in_the_middle_of_another(stage):
    played = play(stage(MANY_CHANGES), Plot(faults=("overlap",), most_faults=20), Storm())
    steps = [step.what for step in played.timeline]
    middles = [number for number, step in enumerate(steps) if step.startswith("in the middle of")]
    assert len(middles) > 5
    assert played.world.hooks.total() == sum(step.startswith(("alpha/", "beta/")) for step in steps)


def test_what_is_wrong_in_the_middle_of_a_hook_ends_the_play_not_the_hook(stage):
    wrong = 'if event.handle.kind == "start": raise RuntimeError("no")'
    played = Play(stage(MANY_CHANGES, wrong), Plot(faults=("overlap",), most_faults=20), Storm())
    with pytest.raises(Violation, match="start: RuntimeError: no"):
        played.run()


def test_juju_forces_all_hooks_of_charms_that_say_nothing(stage):
    world = play(stage(units=3)).world
    rounds = 2 * len(world.state.units)
    assert world.hooks.total() == world.forced.total()
    # install, leader-elected once, created, config-changed, start; joined and changed for each of two peers
    assert world.hooks.total() - rounds == 6 * (4 + 2 * 2) + 2


def test_hooks_that_charms_bring_on_are_not_forced(stage):
    tells = 'if event.handle.kind == "cluster_relation_changed": event.relation.data[self.unit]["met"] = event.unit.name'
    world = play(stage(tells)).world
    # What the second of the two writes is told to the first, which has heard of it before.
    assert 0 < world.hooks.total() - world.forced.total() <= 2


def test_an_operator_keeps_what_a_quorum_needs(stage):
    two, three = (
        operator.undertakings(play(stage(units=units)).world, lambda _options: 0) for units in (2, 3)
    )
    lost = [[next(iter(undertaking())) for undertaking in known] for known in (two, three)]
    assert not [command for command in lost[0] if "remove-machine" in command]
    assert [command for command in lost[1] if "remove-machine" in command] == [
        f"remove-machine {number} --force" for number in range(6)
    ]
    # Each unit has a machine of its own here: with the unit it goes.
    assert [command for known in lost for command in known if "lose-machine" in command] == ["lose-machine 0"]
    assert not [
        command for known in lost for command in known if "remove-unit" in command and "--force" in command
    ]


def test_a_unit_is_given_up_where_its_machine_stays_and_the_others_bear_it(stage):
    world = play(stage(units=3)).world
    commands.do(world, "add-unit beta --to 0")
    rare = operator.undertakings(world, lambda options: options - 1)[-2]
    assert next(rare()) == "remove-unit beta/3 --force"
    door = world.twins["beta"] = Door()
    door.bears_leftovers = False
    rare = operator.undertakings(world, lambda options: options - 1)[-2]
    assert next(rare()) == "remove-unit alpha/0 --force"


def test_a_machine_that_never_comes_back_goes_with_the_last_of_its_units(stage):
    played = play(stage(units=3), Plot(operations=("lose-machine 1", "add-unit beta"), faults=()))
    assert not played.world.machines["1"].powered
    commands.do(played.world, "remove-unit alpha/1 --force")
    played.world.make()
    assert "1" not in played.world.machines
    assert played.world.given_up == {"alpha/1": "1"}


def test_undertakings_are_carried_out(stage):
    rehearsal = Rehearsal(stage(units=3), Plot(faults=(), undertakings=2))
    report = rehearsal.run(30, seed=2)
    assert report.found is None, report.found.what
    assert max(report.hooks["alpha"]) > 12


def test_a_command_that_nobody_plays_is_told(stage):
    with pytest.raises(NotPlayedError, match="does not play 'dance alpha'; it plays run UNIT ACTION"):
        play(stage(), Plot(operations=("dance alpha",), faults=()))


def test_an_interrupt_keeps_what_was_seen(stage):
    def enough(report):
        if report.schedules == 3:
            raise KeyboardInterrupt

    report = Rehearsal(stage(), ALONE, enough).run(50, seed=1)
    assert (report.interrupted, report.schedules) == (True, 3)


class Door(Twin):
    """It serves until it is shut, or an operator asks for anything of the application."""

    def __init__(self):
        self.shut = False
        self.known = ["a user"]

    def join(self, machine, address):
        pass

    def asked(self, command, machines):
        self.shut = True

    def why_not_served(self, client):
        return "the door is shut" if self.shut else ""

    def users(self):
        return ((user, "") for user in self.known)


def behind_a_door(stage, *operations):
    """Return a play in which beta has a door, before which alpha stands."""
    played = Play(stage, Plot(operations=operations, faults=()), Listed())
    played.world.twins["beta"] = Door()
    return played


def test_who_is_not_served_any_more_is_found(stage):
    with pytest.raises(Violation) as violation:
        behind_a_door(stage(related=True), "add-unit alpha", "add-unit beta").run()
    assert violation.value.what.startswith(
        "beta does not serve alpha/0 over relation 2 any more: the door is shut; it did after 'add-unit alpha', and "
        "beta/0, beta/1, beta/2, alpha/0 are active"
    )


def test_who_was_never_served_or_uses_nothing_any_more_is_no_matter(stage):
    shut = behind_a_door(stage(related=True))
    door = shut.world.twins["beta"] = Door()
    door.shut = True
    shut.run()
    for goes in (
        "remove-application alpha",
        "remove-relation alpha:one beta:first; remove-relation alpha:two beta:second",
    ):
        behind_a_door(stage(related=True), goes, "add-unit beta").run()
    with pytest.raises(Violation, match="beta does not serve alpha/1 "):
        behind_a_door(stage(related=True), "remove-unit alpha/0", "add-unit beta").run()


def test_who_is_not_served_and_told_so_is_no_matter(stage):
    world = play(stage(related=True)).world
    door = world.twins["beta"] = Door()
    seen = Served()
    seen.note(world, "nothing")
    door.shut = True
    assert len(seen.unserved(world)) == 4  # two units over two relations each
    world.power_off(world.state.units["alpha/0"].machine)
    assert len(seen.unserved(world)) == 2
    world.power_off(world.state.units["beta/1"].machine)
    assert not seen.unserved(world)


def test_a_user_whom_nobody_knows_any_more_is_not_served(stage):
    world = play(stage()).world
    door = world.twins["beta"] = Door()
    seen = Served()
    seen.note(world, "nothing")
    door.known = []
    seen.note(world, "add-unit beta")  # a rest at which nobody has looked makes nobody forgotten
    assert seen.unserved(world) == [
        "beta does not serve a user any more: nobody there knows it; it did after 'nothing', and beta/0, beta/1 are active"
    ]


def test_a_client_knows_the_secrets_that_it_may_read(stage):
    world = play(stage(ADD)).world
    (secret,) = world.state.secrets
    told = {"key": f"secret:{secret.id}", "place": "here"}
    assert served._with_secrets(world, "beta/0", told) == told
    assert served._with_secrets(world, "alpha/1", told).keys() == {"key", "key.private-key", "place"}


def test_a_job_that_waits_goes_on_later(stage):
    charms = stage()
    world = play(charms).world
    machine, come = world.machines["0"], []
    charms.codes["alpha"].module("word").word = lambda job: (
        machine.wait_until(lambda: bool(come), 10_000) and "it has come"
    )
    jobs = Jobs(machine, "alpha")
    jobs.start("word.word")
    (job,) = world.jobs()
    assert world.play_job(*job).error == "the job waits"
    assert world.jobs() == []
    assert world.waiting_jobs() == [job]
    assert [(one.state, one.errors) for one in jobs.all()] == [("running", 0)]
    come.append(True)
    before = world.now
    while not world.jobs():
        assert world.wait()
    assert world.now - before <= 300
    assert not world.play_job(*job).error
    assert [(one.state, one.progress) for one in jobs.all()] == [("done", "it has come")]
    assert world.waiting_jobs() == []


def test_a_job_whose_end_is_not_on_record_begins_anew_while_an_operator_goes_on(stage):
    class Busy(Twin):
        def join(self, machine, address):
            pass

        def meanwhile(self, unit):
            yield f"run {unit} show"
            yield f"run {unit} dance"  # which is refused

    works = "from openinfra_charm.daemon import job; jobs = job.Jobs(machine, self.app.name); jobs.once('word.word'); jobs.resume()"
    charms, runs = stage(works), []
    charms.codes["alpha"].module("word").word = lambda job: runs.append(job.machine.name)
    played = Play(charms, Plot(faults=("record",), most_faults=1), Storm())
    played.world.twins["alpha"] = Busy()
    played.run()
    assert len(runs) == len(set(runs)) + 1 == 3  # alpha is on two machines
    lines = [step.what for step in played.timeline]
    end = next(index for index, line in enumerate(lines) if line.endswith("job word-1: the power went away"))
    assert lines[end + 1].endswith("has power again")
    assert lines[end + 2].startswith("the operator, meanwhile: run ")
    assert len([line for line in lines if "meanwhile" in line]) == 1


def test_a_dead_disk_is_swapped_for_an_empty_one_of_its_name(stage):
    class Disks(Twin):
        def join(self, machine, address):
            pass

        def spare_disks(self):
            yield machine, "/dev/sdb"

        def swapped(self, unit, machine, path):
            yield f"run {unit} show path={path} there={machine.disk(path).read(0, 4)!r}"

    world = play(stage()).world
    world.twins["alpha"] = Disks()
    machine = world.machines["0"]
    old = Disk(1 << 20)
    old.write(0, b"data")
    machine.add_disk("/dev/sdb", old)
    assert world.spare_disks() == [("0", "/dev/sdb")]
    zeros = bytes(4)
    assert world.swap_disk("0", "/dev/sdb") == [f"run alpha/0 show path=/dev/sdb there={zeros!r}"]
    assert machine.disk("/dev/sdb").size == 1 << 20
    world.power_off("0")
    assert world.spare_disks() == []
