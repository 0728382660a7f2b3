"""One schedule: a bundle deployed and operated while hooks come in any order and faults strike, held to the invariants."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from openinfra_charm.testing import Fuse
from openinfra_model.core import relations
from openinfra_model.core.context import HookRun
from openinfra_model.core.entities import Hook
from openinfra_model.core.errors import ModelError
from openinfra_model.rehearsal import credentials, invariants, operator
from openinfra_model.rehearsal.commands import do, first_line
from openinfra_model.rehearsal.faults import AT_REST, FAULTS, GIVE_UP, ONLY_AT_REST, Faults
from openinfra_model.rehearsal.guard import unguarded
from openinfra_model.rehearsal.invariants import Violation
from openinfra_model.rehearsal.served import Served
from openinfra_model.rehearsal.world import Fault, Ran, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openinfra_model.rehearsal.stage import Stage

REST = 4
"""Of so many rests and one for each of these kinds, one has a fault."""
STARTS = (5.0, 90.0)
"""Seconds from the start of a service until it serves; the longer one is more than any hook waits."""
OPERATOR = 120
"""Seconds from when all is settled until the operator goes on."""
CALM = 40
"""Of so many steps and one for each kind of fault, one step has a fault, while there are any left."""
LONGEST_HOOK = 40
"""The changes within which something befalls a hook, if it makes so many."""
MOST_OVERLAPPING = 3
HOOKS = 50
"""Hooks beyond those that Juju forces which a unit may take to converge, for the bundle, each operation, each fault."""
HOOKS_FOR_PEER = 2
WAITS = 30
"""Timers that may pass until all is active in the end."""
UPDATE_STATUS = 300
"""Seconds between two update-status hooks of a unit."""
HASTE = 200
"""Steps within which a hasty operator does the next thing."""
PATIENCE = 12
"""Timers that an operator waits for all to be active before the next operation."""


class Choices(Protocol):
    """Where a schedule's decisions come from. 0 is always the plainest: a schedule of zeros is the model left alone."""

    def pick(self, options: int) -> int:
        """Return a number from 0 to `options - 1`."""
        ...


class Listed:
    """Decisions that were made before; when they are used up, the plainest."""

    def __init__(self, picks: Sequence[int] = ()) -> None:
        self._picks = list(reversed(picks))

    def pick(self, options: int) -> int:
        """Return the next one."""
        return min(self._picks.pop(), options - 1) if self._picks else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """What a schedule consists of: operations in the words of the command line, and which faults may strike how often.

    With `usual` the operations come after what an operator usually does with the applications, as their twins say. At
    most `undertakings` more are drawn from what operators do. A `hasty` operator waits for nothing: each operation comes at
    some step of what the one before has set going.
    """

    operations: tuple[str, ...] = ()
    usual: bool = False
    undertakings: int = 0
    hasty: bool = False
    faults: tuple[str, ...] = FAULTS
    most_faults: int = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A line of the timeline."""

    what: str
    changes: tuple[str, ...] = ()
    status: str = ""


@dataclass
class Play:
    """A schedule being played."""

    stage: Stage
    plot: Plot
    choices: Choices
    timeline: list[Step] = field(default_factory=list[Step])
    picks: list[int] = field(default_factory=list[int])
    disturbances: int = 1

    def __post_init__(self) -> None:
        self.world = World(
            self.stage, start_seconds=STARTS[self._pick(len(STARTS))], names_return=bool(self._pick(2))
        )
        self._faults = Faults(self.world, self._pick, self._tell)
        self._served = Served()
        self._operation = "deploy the bundle"
        """What the operator did last."""
        self._away = ""
        self._is_record_lost = False
        """Whether the next job that does its work comes to no record of it."""
        self._faults_left = self.plot.most_faults if self.plot.faults else 0
        self._delayed: Violation | None = None

    def run(self) -> World:
        """Play the schedule to its end.

        Raises:
            Violation: An invariant does not hold.
        """
        self.world.deploy()
        self._tell(self._operation)
        if self.plot.usual or not self.plot.hasty:
            self._settle()
            self._look_who_is_served()
            self._rest()
        for operation in self._usual():
            if not self._operate(operation):
                # A fault has struck; what comes later counts on this, and so the operator does it again.
                self._operate(operation)
        for twin in self.world.twins.values():
            twin.fill()
        self.world.is_equipped = self.plot.usual
        for operation in self.plot.operations:
            if self.plot.hasty:
                self._go_on(self._pick(HASTE))
            else:
                self._rest()
            self._operate(operation)
        for _ in range(self.plot.undertakings):
            self._undertake()
        self._rest()
        self._faults_left = 0
        self._bring_back()
        for name in self.world.wrong_clocks():
            self._faults.set_clock(name)
        self._faults.mend_disks()
        self._settle(WAITS)
        if self.disturbances > 1:
            # Juju tells peers of some changes by no event; what they do then comes with their next update-status.
            self._let_update_status_pass(WAITS)
        self._second_round()
        self._look_who_is_served()
        invariants.check_end(self.world)
        credentials.check_end(self.world)
        return self.world

    def _usual(self) -> list[str]:
        """Return what an operator usually does first, if the plot has it."""
        twins = self.world.twins.items() if self.plot.usual else ()
        return [command for name, twin in twins for command in twin.usual(self.world.units_of(name))]

    def _pick(self, options: int) -> int:
        if options < 2:  # noqa: PLR2004  nothing to choose
            return 0
        chosen = self.choices.pick(options)
        self.picks.append(chosen)
        return chosen

    def _tell(self, what: str, ran: Ran | None = None) -> None:
        status = ""
        if ran and ran.unit in self.world.state.units:
            workload = self.world.state.units[ran.unit].workload
            status = f"{workload.current}: {workload.message}".rstrip(": ")
        self.timeline.append(Step(what=what, changes=ran.changes if ran else (), status=status))

    # Steps

    def _settle(self, most_waits: int = 0) -> None:
        """Play until nothing is due, and for so many timers more until all units are active.

        Raises:
            Violation: They do not become active, or hooks come without end.
        """
        waits, counted = 0, self.world.now
        while True:
            self.world.make()
            moves = self._moves()
            if moves:
                self._step(moves)
            elif self._is_settled():
                return
            elif waits < (most_waits or PATIENCE) and self.world.wait():
                # A unit that looks again and again does so between two of the others' timers.
                if not self.world.looks_again or self.world.now > counted + UPDATE_STATUS:
                    waits, counted = waits + 1, self.world.now
            elif most_waits:
                raise Violation(invariants.CONVERGES, self._unsettled())
            else:
                return
            if (own := self.world.hooks.total() - self.world.forced.total()) > self._limit():
                raise Violation(
                    invariants.CONVERGES, f"after {own} hooks that Juju does not force: {self._unsettled()}"
                )

    def _go_on(self, steps: int) -> None:
        """Play so many steps, or as many as there are."""
        for _ in range(steps):
            self.world.make()
            if moves := self._moves():
                self._step(moves)
            elif not self.world.wait():
                return

    def _let_update_status_pass(self, most_waits: int = 0) -> None:
        """Let each unit look twice: what one starts when it looks first, such as a daemon on a mended disk, others see then."""
        end = self.world.now + 2 * UPDATE_STATUS
        while self.world.now < end and self.world.wait():
            self._settle(most_waits)

    def _look_who_is_served(self) -> None:
        """See that all are served who were, or are told why not; units may have to look first."""
        if self._served.unserved(self.world):
            self._let_update_status_pass()
        self._served.check(self.world)
        self._served.note(self.world, self._operation)

    def _limit(self) -> int:
        units = max(len(self.world.state.units), 1)
        return units * (HOOKS + HOOKS_FOR_PEER * units) * self.disturbances

    def _is_settled(self) -> bool:
        return all(status == "active" for status, _ in self.world.statuses().values())

    def _unsettled(self) -> str:
        waiting = [
            f"{unit} is {status} ({message})"
            for unit, (status, message) in self.world.statuses().items()
            if status != "active"
        ]
        return "; ".join(waiting) or "hooks come without end"

    def _moves(self) -> list[Callable[[], None]]:
        """Return what could happen next, the plainest first."""
        # Jobs run beside hooks, of which a large model always has one to run: last in line they would never begin.
        moves: list[Callable[[], None]] = [partial(self._job, *job) for job in self.world.jobs()]
        moves += [partial(self._hook, run) for run in self.world.due()]
        machines = self.world.machines.items()
        off = [
            name
            for name, machine in machines
            if not machine.powered and not machine.scrapped and name != self._away
        ]
        return [*moves, *(partial(self._power_on, name) for name in off)]

    def _step(self, moves: list[Callable[[], None]]) -> None:
        kinds = [kind for kind in self.plot.faults if kind not in (*ONLY_AT_REST, GIVE_UP)]
        if self._faults_left and kinds and (strike := self._pick(CALM + len(kinds))) >= CALM:
            self._faults_left -= 1
            self.disturbances += 1
            self._strike(kinds[strike - CALM])
            return
        moves[self._pick(len(moves))]()
        invariants.check_step(self.world)

    def _hook(self, run: HookRun, fault: Fault | None = None) -> None:
        before = invariants.relation_data(self.world) if run.kind == "action" else None
        waited = self._waits_for_update_status(run)
        # Whether Juju has dropped the relation by then is a matter of moments, and it may be so at any time: no fault.
        gone = relations.may_be_gone(self.world.state, run) and self._pick(2) == 1
        ran = self.world.play(run, fault, relation_gone=gone)
        what = f"{ran.unit} {ran.what}" + (f" from {_remote(run)}" if _remote(run) else "")
        what += ", when the relation is gone from the model" if gone else ""
        self._tell(f"{what}: {_short(ran.error or ran.message)}" if ran.error or ran.message else what, ran)
        self._raise_delayed()
        if "OutOfPatienceError" in ran.error:
            raise Violation(invariants.PATIENT, f"{ran.unit} {ran.what} waits for longer than a minute")
        if ran.error and not fault and not _is_refusal(ran):
            # What has come of it tells more than the traceback.
            invariants.check_step(self.world)
            raise Violation(invariants.NO_TRACEBACK, f"{ran.unit} {ran.what}: {_short(ran.error)}")
        if before is not None and ran.message and not fault:
            invariants.check_refused(self.world, ran, before)
        if waited and self.world.statuses().get(ran.unit, ("waiting", ""))[0] == "active":
            raise Violation(invariants.PROMPT, f"{ran.unit} was waiting {waited}, until its update-status")

    def _waits_for_update_status(self, run: HookRun) -> str:
        """Return what a unit waits for that now has its regular update-status, where nothing has gone wrong yet."""
        if run.name != "update-status" or run.unit in self.world.asked or self.disturbances > 1:
            return ""
        status, message = self.world.statuses()[run.unit]
        return message if status == "waiting" else ""

    def _job(self, machine: str, application: str, job_id: str, fault: Fault | None = None) -> None:
        lost = self._is_record_lost and not fault
        if lost:
            fault = Fault(fuse=Fuse(0), power=True, at_end=True)
        ran = self.world.play_job(machine, application, job_id, fault)
        words = _short(ran.error or ran.message)
        self._tell(f"machine {machine} {ran.what}" + (f": {words}" if words else ""), ran)
        self._raise_delayed()
        if ran.message and not self.plot.faults:
            raise Violation(invariants.DONE, f"{ran.what}: {ran.message}")
        if lost and not self.world.machines[machine].powered:
            self._is_record_lost = False
            self._go_on_meanwhile(machine)

    def _go_on_meanwhile(self, machine: str) -> None:
        """Give a machine its power again, and have an operator go on with it at once."""
        self._power_on(machine)
        for command in self.world.meanwhile(machine):
            with contextlib.suppress(ModelError):
                do(self.world, command)
                self._tell(f"the operator, meanwhile: {first_line(command)}")

    def _power_on(self, machine: str) -> None:
        self.world.power_on(machine)
        self._tell(f"machine {machine} has power again")

    # Faults

    def _strike(self, kind: str) -> None:
        strikes: dict[str, Callable[[], None]] = {
            **{kind: partial(self._befall, kind) for kind in ("kill", "power", "overlap")},
            **self._faults.by_name(),
            "away": self._send_away,
            "swap": self._swap_disk,
            "record": self._lose_record,
        }
        if kind not in strikes:
            raise ValueError(f"{kind} is no fault that a rehearsal knows; known: {', '.join(strikes)}")
        strikes[kind]()

    def _befall(self, kind: str) -> None:
        """Have something befall a hook or a job in the middle of its work."""
        due, jobs = self.world.due(), self.world.jobs()
        if not due and not jobs:
            return
        chosen = self._pick(len(due) + len(jobs))
        fuse = Fuse(self._pick(LONGEST_HOOK))
        if kind == "overlap":
            machine = due[chosen].machine if chosen < len(due) else ""
            fuse.event = partial(self._meanwhile, machine)
        fault = Fault(fuse=fuse, power=kind == "power")
        if chosen < len(due):
            self._hook(due[chosen], fault)
        else:
            self._job(*jobs[chosen - len(due)], fault)

    def _meanwhile(self, machine: str) -> None:
        """Run hooks while another hook has the machine, or while a job runs, which no machine waits for."""
        self._tell(f"in the middle of what comes next{f' on machine {machine}' if machine else ''}:")
        with unguarded():
            try:
                for _ in range(1 + self._pick(MOST_OVERLAPPING)):
                    due = [run for run in self.world.due() if run.machine != machine]
                    if due:
                        self._hook(due[self._pick(len(due))])
                        invariants.check_step(self.world)
            except Violation as violation:
                # It is to end the play, not the hook that it is raised in the middle of.
                self._delayed = violation

    def _raise_delayed(self) -> None:
        if self._delayed:
            raise self._delayed

    def _rest(self) -> None:
        """Have something strike while nothing else happens, or nothing."""
        kinds = [kind for kind in self.plot.faults if kind in AT_REST]
        if kinds and (strike := self._pick(REST + len(kinds))) >= REST:
            self.disturbances += 1
            self._strike(kinds[strike - REST])
            self._settle()
            self._look_who_is_served()

    def _swap_disk(self) -> None:
        """Have a disk die for good, and an operator put another one in its place."""
        if spare := self.world.spare_disks():
            name, path = spare[self._pick(len(spare))]
            commands = self.world.swap_disk(name, path)
            self._tell(f"{path} of machine {name} is swapped for an empty disk")
            self._settle()
            for command in commands:
                if not self._operate(command):
                    # A fault has struck; the operator sees that it is not done.
                    self._operate(command)

    def _lose_record(self) -> None:
        """Have the next job that does its work come to no record of it."""
        self._is_record_lost = True
        self._tell("the next job's machine will lose its power at the job's end")

    def _send_away(self) -> None:
        """Have a machine lose its power until the operator has done the next thing."""
        names = [name for name, machine in self.world.machines.items() if machine.powered]
        if names and not self._away:
            self._away = names[self._pick(len(names))]
            self.world.power_off(self._away)
            self._tell(f"machine {self._away} has no power for a while")

    def _bring_back(self) -> None:
        """Give the machine its power again that was away."""
        name, self._away = self._away, ""
        if name in self.world.machines and not self.world.machines[name].scrapped:
            self._power_on(name)
            self._settle()

    # Operations

    def _operate(self, operation: str) -> bool:
        """Do what an operator does, several things at once where `;` is between them, and settle; return whether it is done.

        What has failed when a fault struck is done again, as an operator does who sees it.
        """
        commands = operation.split(";")
        while True:
            before, was_away = self.disturbances, bool(self._away)
            failed = self._do(commands)
            if not failed:
                return True
            if not self.plot.faults:
                raise Violation(invariants.DONE, f"{operation}: {next(iter(failed.values()))}")
            if self.disturbances == before + 1 and not was_away:
                return False
            commands = list(failed)

    def _do(self, commands: list[str]) -> dict[str, str]:
        """Do things at once, settle, and look who is served; return what has failed, and why."""
        self.disturbances += 1
        self._operation = first_line(";".join(commands))
        self._tell(f"the operator: {self._operation}")
        try:
            tasks = {command: task for command in commands if (task := do(self.world, command))}
        except ModelError as error:
            raise Violation(invariants.DONE, f"{self._operation}: {error}") from error
        self._settle()
        if self._away:
            self._bring_back()
        self.world.pass_time(OPERATOR)
        self._look_who_is_served()
        done = {command: self.world.state.tasks[task] for command, task in tasks.items()}
        return {command: task.message for command, task in done.items() if task.status != "completed"}

    def _undertake(self) -> None:
        """Do what an operator may do to a healthy model, or nothing."""
        if not self._is_settled() or any(self.world.unfinished()):
            return
        possible = operator.undertakings(self.world, self._pick if GIVE_UP in self.plot.faults else None)
        if chosen := self._pick(len(possible) + 1):
            for command in possible[chosen - 1]():
                self._operate(command)

    def _second_round(self) -> None:
        """Run one more config-changed and update-status on every unit: nothing may come of it."""
        for kind in ("config-changed", "update-status"):
            for unit in [
                unit for unit in self.world.state.units if self.world.machines[unit.machine].powered
            ]:
                before = invariants.fingerprint(self.world)
                run = HookRun(
                    unit=unit.name, machine=unit.machine, name=kind, kind="hook", hook=Hook(kind=kind)
                )
                ran = self.world.play(run)
                self._tell(f"{ran.unit} {kind} once more", ran)
                if ran.error:
                    raise Violation(invariants.NO_TRACEBACK, f"{ran.unit} {kind}: {_short(ran.error)}")
                invariants.check_silent(self.world, ran, before)
        if self.world.due():
            run = self.world.due()[0]
            raise Violation(invariants.SILENT, f"{run.unit} has {run.name} to run after the second round")


def _is_refusal(ran: Ran) -> bool:
    """Return whether a hook that a unit leaves with has failed on purpose, to be tried again: its data would be lost."""
    return ran.what in {"stop", "remove", "storage-detaching"} and "UnsafeToRemoveError" in _short(ran.error)


def _remote(run: HookRun) -> str:
    return run.hook.remote_unit if run.hook and run.hook.remote_unit else ""


def _short(text: str) -> str:
    """Return the last line of a traceback, or all of a message."""
    return text.strip().splitlines()[-1] if text.strip() else ""
