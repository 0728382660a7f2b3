"""What a rehearsal plays and sees, with charms that do one thing each."""

import os
import random
from pathlib import Path

import pytest

from openinfra_model.rehearsal import operator
from openinfra_model.rehearsal.guard import TouchesThisMachineError
from openinfra_model.rehearsal.invariants import Violation
from openinfra_model.rehearsal.play import CALM, Listed, Play, Plot
from openinfra_model.rehearsal.rehearse import Rehearsal
from openinfra_model.rehearsal.world import NotPlayedError

ALONE = Plot(faults=())


class Storm:
    """Has a fault strike at every step, as long as there are any; all else at random."""

    def __init__(self):
        self.random = random.Random(1)

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


def test_charms_without_a_twin_are_named(stage):
    assert Rehearsal(stage(), ALONE).run(1, seed=1).without_twin == ("alpha", "beta")


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
    two, three = (operator.undertakings(play(stage(units=units)).world) for units in (2, 3))
    lost = [[next(iter(undertaking())) for undertaking in known] for known in (two, three)]
    assert not [command for command in lost[0] if "remove-machine" in command]
    assert [command for command in lost[1] if "remove-machine" in command] == [
        f"remove-machine {number} --force" for number in range(6)
    ]


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
