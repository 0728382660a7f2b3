"""The world: a model on machines in memory, in which nothing happens but what is called for."""

from __future__ import annotations

import contextlib
import importlib
import io
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import openinfra_charm
from openinfra_charm.daemon import job as jobs
from openinfra_charm.daemon import leftovers
from openinfra_charm.daemon.next_hook import JUJU_EXEC
from openinfra_charm.machine import Result, use
from openinfra_charm.testing import Clock, Disk, Fuse, Killed, MemoryMachine, StillWaiting
from openinfra_model.controller import deployment
from openinfra_model.core import (
    Core,
    Ids,
    State,
    machines,
    models,
    secrets,
    storage,
    timers,
)
from openinfra_model.core.entities import Network
from openinfra_model.core.errors import ModelError
from openinfra_model.rehearsal.adapter import Memory, Outcome
from openinfra_model.rehearsal.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from openinfra_charm.testing import Twin
    from openinfra_model.core.context import HookRun
    from openinfra_model.core.hooktools import ToolResult
    from openinfra_model.rehearsal.stage import Stage

NAMES = frozenset({"username", "access-key", "secret-uuid"})
"""Fields of secrets that are no credentials: how a user, a key or a secret of libvirt's is called."""
HOOK_SECONDS = 60
"""No hook and no action takes longer."""
ROOTS_OWN = "/root/key"
"""A file that no service has anything to do with; it holds its own name."""
JOB_SECONDS = 120
"""What takes a job longer here, where data move at once, waits for something that others have to do."""
STEP_SECONDS = 5
"""While a hook or a job waits, software moves on in steps of so many."""
JOB_PAUSE = 300
"""Seconds after which such a job looks again. It begins anew then, as every job may at any point."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """A hook, an action or a job that has run: what it was, what it changed, and what it said."""

    unit: str
    what: str
    changes: tuple[str, ...] = ()
    error: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What befalls a hook or a job at one of its changes; with `power` its machine goes with it.

    With `at_end` it is a job's last change, the record of its end, whatever the fuse says.
    """

    fuse: Fuse
    power: bool = False
    at_end: bool = False


@dataclass
class World:
    """A model and its machines. Nothing happens but what is called for."""

    stage: Stage
    seed: int = 0
    start_seconds: float = 0
    """How long a service takes from its start until it serves."""
    names_return: bool = False
    """Whether a new machine gets the host name of one that is gone, as MAAS gives them."""
    is_equipped: bool = False
    """Whether an operator has done with the units what is usual, and does it with every new one."""
    clock: Clock = field(default_factory=Clock)
    machines: dict[str, MemoryMachine] = field(default_factory=dict[str, MemoryMachine])
    twins: dict[str, Twin] = field(default_factory=dict[str, "Twin"])
    """Of each application that has one."""
    hooks: Counter[str] = field(default_factory=Counter[str])
    forced: Counter[str] = field(default_factory=Counter[str])
    """Of these hooks, those that Juju runs whatever the charms do."""
    told: list[str] = field(default_factory=list[str])
    """Everything that charms said where others read it: logs, messages and results of actions."""

    @property
    def now(self) -> float:
        """The time, which all machines and the model share."""
        return self.clock.now

    def __post_init__(self) -> None:
        self.state = State(Ids(random.Random(self.seed)))  # noqa: S311  the same seed makes the same names
        models.create(self.state, "rehearsal", now=self.now)
        self.core = Core(self.state)
        self.credentials: dict[str, None] = {}
        """Every value that any secret of the model has ever had."""
        self.written: dict[str, None] = {}
        """What charms have ever put into relation data, as they wrote it."""
        self._memories: defaultdict[str, Memory] = defaultdict(Memory)
        self._joined: set[tuple[str, str]] = set()
        self._agents: dict[str, MemoryMachine] = {}
        """The machines on which Juju has a folder of a unit, by unit."""
        self.given_up: dict[str, str] = {}
        """Units that were removed by force, which runs none of their hooks, and the machine of each."""
        self.looks_again = False
        """Whether the last wait was for a hook that a machine had asked for, since a unit there waits for its software."""
        self.asked: set[str] = set()
        """The units whose next update-status comes since their machine has asked for a hook."""
        self._waiting: dict[tuple[str, str, str], float] = {}
        """Until when jobs wait that could not go on."""
        self._free_names: list[str] = []
        self._addresses: dict[str, tuple[str, ...]] = {}

    # The operator

    def deploy(self) -> None:
        """Deploy the bundle."""
        deployment.apply_bundle(self.state, self.stage.bundle, deployment.UnkeptShelf(), self.now)

    def note_credentials(self) -> None:
        """Keep every value that a secret of the model has now."""
        for secret in self.state.secrets:
            for revision in secret.revisions.values():
                content = secrets.decoded(revision.content)
                self.credentials.update({content[key]: None for key in content if key not in NAMES})

    # What surrounds the model

    def make(self) -> None:
        """Make and take away what the model asks for."""
        for item in storage.to_release(self.state):
            storage.released(self.state, item.id)
        for machine in machines.to_release(self.state):
            if there := self.machines.pop(machine.id, None):
                self._free_names.append(there.name)
                there.scrap()
            machines.released(self.state, machine.id)
        for machine in machines.wanted(self.state):
            number = int(machine.id)
            here = self.machines[machine.id] = MemoryMachine(self._host_name(number), self.clock)
            here.handlers["python3"] = lambda argv, _stdin, there=here: self._python(there, argv[1:])
            here.start_seconds = self.start_seconds
            here.step = STEP_SECONDS
            here.renames_disks = True
            here.have(JUJU_EXEC, "")
            here.hold(f"{_address(number)}/8")
            self._tell_addresses(machine.id, here)
            machines.started(self.state, machine.id, here.boot_id(), self.now)
        for name, there in self.machines.items():
            if there.powered:
                self._tell_addresses(name, there)
        for item in storage.wanted(self.state):
            storage.provisioned(self.state, item.id, now=self.now)
        self._take_hooks()
        for machine in self.core.machines_to_reboot():
            self.machines[machine.id].power_off()
            self.power_on(machine.id)

    def _take_hooks(self) -> None:
        """Have those units run a hook soon whose machines have asked for one."""
        asked = [unit for machine in self.machines.values() for unit in machine.take_hooks()]
        for unit in asked:
            if unit not in self.state.units:
                continue
            agent = self.state.agents[unit]
            self.state.agents.put(replace(agent, update_status_at=min(agent.update_status_at, self.now)))
            self.asked.add(unit)

    def _tell_addresses(self, machine: str, here: MemoryMachine) -> None:
        """Have the model know all addresses that a machine has, virtual ones too, where they are others than before."""
        held = tuple(f"{one.address}/{one.prefix}" for one in here.held)
        if self._addresses.get(machine) != held:
            self._addresses[machine] = held
            network = Network.of(held, gateway="10.255.255.254")
            machines.provisioned(
                self.state, machine, instance_id=here.name, hostname=here.name, network=network, now=self.now
            )

    def _host_name(self, number: int) -> str:
        """Return the name of a new machine."""
        return self._free_names.pop() if self.names_return and self._free_names else f"machine-{number}"

    def due(self) -> list[HookRun]:
        """Return what the units would run next, on machines that are on."""
        return [run for run in self.core.due(self.now) if self.machines[run.machine].powered]

    def jobs(self) -> list[tuple[str, str, str]]:
        """Return the jobs that machines are about to run: machine, application, id."""
        return [job for job in self._started_jobs() if self._waiting.get(job, 0) <= self.now]

    def waiting_jobs(self) -> list[tuple[str, str, str]]:
        """Return the jobs that wait for something: machine, application, id."""
        return [job for job in self._started_jobs() if job in self._waiting]

    def _started_jobs(self) -> list[tuple[str, str, str]]:
        """Return the jobs whose processes are there, and forget the waits of others."""
        started = [
            (name, application, job_id)
            for name, machine in self.machines.items()
            if machine.powered
            for application, job_id in machine.jobs()
        ]
        self._waiting = {job: until for job, until in self._waiting.items() if job in started}
        return started

    def power_off(self, *names: str) -> None:
        """Cut machines' power at once."""
        for name in names:
            self.machines[name].power_off()
            machines.down(self.state, name, self.now)

    def power_on(self, *names: str) -> None:
        """Start machines."""
        for name in names:
            machine = self.machines[name]
            machine.power_on()
            machines.started(self.state, name, machine.boot_id(), self.now)

    def lose_machine(self, name: str) -> None:
        """Have a machine die for good, of which the model knows no more than that it is down.

        Raises:
            ModelError: There is none of this name.
        """
        if name not in self.machines:
            raise ModelError(f"machine {name} does not exist")
        self.machines[name].scrap()
        machines.down(self.state, name, self.now)

    def plant_links(self, name: str) -> int:
        """Have the services of a machine put links to a file of root's in their folders; return how many there are new."""
        machine = self.machines[name]
        machine.have(ROOTS_OWN, ROOTS_OWN, mode=0o600)
        return machine.plant_links(ROOTS_OWN)

    def roots_own_is_changed(self, name: str) -> bool:
        """Return whether the file to which services have planted links is other than it was."""
        node = self.machines[name].nodes.get(ROOTS_OWN)
        return node is not None and (node.content, node.mode, node.owner) != (
            ROOTS_OWN,
            0o600,
            ("root", "root"),
        )

    def wrong_clocks(self) -> list[str]:
        """Return the machines whose clocks are wrong."""
        return [name for name, machine in self.machines.items() if machine.drift]

    def broken_disks(self) -> list[tuple[str, str]]:
        """Return the disks that cannot be read: the machine's name and the disk's."""
        return [place for place in self._disks() if self.machines[place[0]].disk(place[1]).errno]

    def working_disks(self) -> list[tuple[str, str]]:
        """Return the disks that can be read: the machine's name and the disk's."""
        return [place for place in self._disks() if not self.machines[place[0]].disk(place[1]).errno]

    def _disks(self) -> list[tuple[str, str]]:
        return [
            (name, path)
            for name, machine in self.machines.items()
            for path, node in machine.nodes.items()
            if node.is_device
        ]

    def break_disk(self, name: str, path: str, error: int) -> None:
        """Let a disk be read no more, with this errno; with 0 it works again."""
        machine = self.machines[name]
        machine.disk(path).errno = error
        for software in machine.software:
            software.services_changed()

    def spare_disks(self) -> list[tuple[str, str]]:
        """Return the disks any one of which may die: the machine's name and the disk's."""
        spare = [disk for twin in self.twins.values() for disk in twin.spare_disks()]
        names = {id(machine): name for name, machine in self.machines.items() if machine.powered}
        return [(names[id(machine)], path) for machine, path in spare if id(machine) in names]

    def swap_disk(self, name: str, path: str) -> list[str]:
        """Let a disk die for good and an empty one be there under its name; return what an operator does about it."""
        machine = self.machines[name]
        machine.add_disk(path, Disk(machine.disk(path).size))
        for software in machine.software:
            software.services_changed()
        units = [unit for unit in self.state.units if unit.machine == name and unit.application in self.twins]
        return [
            command
            for unit in units
            for command in self.twins[unit.application].swapped(unit.name, machine, path)
        ]

    def meanwhile(self, name: str) -> list[str]:
        """Return what an operator may do with the units of a machine at any moment."""
        units = [unit for unit in self.state.units if unit.machine == name and unit.application in self.twins]
        return [command for unit in units for command in self.twins[unit.application].meanwhile(unit.name)]

    # Hooks, actions and jobs

    def play(self, run: HookRun, fault: Fault | None = None, *, relation_gone: bool = False) -> Ran:
        """Run a hook or an action to its end, or to what befalls it; `relation_gone` as `Core.begin` has it."""
        machine = self.machines[run.machine]
        application = self.state.units[run.unit].application
        self._join(application, run.machine)
        if run.unit not in self._agents:
            self._agents[run.unit] = machine
            machine.have(f"{_agent_folder(run.unit)}/charm/dispatch", "")
        context = self.core.begin(run, self.now, relation_gone=relation_gone)
        begun = len(machine.log)
        self.hooks[run.unit] += 1
        self.forced[run.unit] += self._is_forced(run)
        code = self.stage.codes[self._charm(application)]
        twin = self.twins.get(application)
        told: list[str] = []
        killed = False
        try:
            with (
                guarded(self._charm(application)),
                code.active(),
                use(machine),
                machine.waiting(HOOK_SECONDS),
                machine.fused(fault.fuse if fault else None),
            ):
                outcome = code.program.dispatch(
                    context.environment,
                    lambda argv, stdin: self._tool(context.id, argv, stdin, told=told),
                    self._memories[run.unit],
                )
        except Killed:
            outcome, killed = Outcome(code=137), True
        if not (run.kind == "action" and twin and run.name in twin.reveals):
            self.told += told
        self.clock.now += 1
        if run.name == "update-status":
            self.asked.discard(run.unit)
        if killed and fault and fault.power:
            self.core.abandon(context.id, self.now)
            self.power_off(run.machine)
            return self._ran(run, machine, begun, error="the power went away")
        ended = self.core.finish(context.id, outcome.code, self.now)
        self.forget_agents()
        self.note_credentials()
        if killed:
            return self._ran(run, machine, begun, error="the hook was killed")
        return self._ran(run, machine, begun, error=outcome.error, message=ended.message)

    def forget_agents(self) -> None:
        """Take Juju's folders of units that the model has no more off their machines, as Juju does whatever they have run."""
        for unit in [unit for unit in self._agents if unit not in self.state.units]:
            self._agents.pop(unit).lose(_agent_folder(unit))

    def _is_forced(self, run: HookRun) -> bool:
        """Return whether Juju runs a hook whatever the charms do: all but what another unit's data or a reboot brings."""
        agent = self.state.agents[run.unit]
        match run.hook.kind if run.hook else "":
            case "relation-changed" if run.hook:
                known = agent.memberships.get(str(run.hook.relation))
                return bool(run.hook.remote_unit and known and known.pending_change == run.hook.remote_unit)
            case "start":
                return not agent.started
            case kind:
                return bool(kind) and not kind.startswith("secret-")

    def play_job(self, name: str, application: str, job_id: str, fault: Fault | None = None) -> Ran:
        """Run a job to its end, or to what befalls it."""
        machine = self.machines[name]
        begun = len(machine.log)
        error = ""
        try:
            with (
                self.stage.codes[self._charm(application)].active(),
                use(machine),
                machine.waiting(JOB_SECONDS, StillWaiting),
                machine.fused(fault.fuse if fault and not fault.at_end else None),
                _without_end() if fault and fault.at_end else contextlib.nullcontext(),
            ):
                jobs.main(application, job_id)
        except Killed:
            error = "the job was killed"
        except StillWaiting:
            self._waiting[name, application, job_id] = self.now + JOB_PAUSE
            changes = tuple(machine.log[begun:])
            return Ran(unit=name, what=f"job {job_id}", changes=changes, error="the job waits")
        except Exception as problem:  # noqa: BLE001  the traceback goes to the journal, and systemd forgets the unit
            error = f"{type(problem).__name__}: {problem}"
        machine.job_ended(application, job_id)
        with use(machine):
            record = jobs.Jobs(machine, application).find(job_id)
        self.clock.now += 1
        if error and fault and fault.power:
            self.power_off(name)
            error = "the power went away"
        failed = record.progress if record and record.state == "failed" else ""
        changes = tuple(machine.log[begun:])
        return Ran(unit=name, what=f"job {job_id}", changes=changes, error=error, message=failed)

    def _ran(
        self, run: HookRun, machine: MemoryMachine, begun: int, *, error: str = "", message: str = ""
    ) -> Ran:
        changes = tuple(machine.log[begun:])
        return Ran(unit=run.unit, what=run.name, changes=changes, error=error, message=message)

    def _tool(self, context: str, argv: Sequence[str], stdin: str, *, told: list[str]) -> ToolResult:
        result = self.core.tool(context, argv, stdin, self.now)
        if argv[0] in {"juju-log", "action-set", "action-fail", "action-log", "status-set"}:
            told.append(" ".join(argv))
        elif argv[0] == "relation-set":
            self.written[f"{' '.join(argv)} {stdin}"] = None
        return result

    def _charm(self, application: str) -> str:
        return self.state.charm_of(self.state.applications[application]).charm.name

    def _join(self, application: str, machine: str) -> None:
        """Have an application's twin on a machine where it begins to run."""
        if (application, machine) in self._joined:
            return
        self._joined.add((application, machine))
        charm = self._charm(application)
        if twin := self.twins.get(application) or self.stage.twin(charm):
            self.twins[application] = twin
            with self.stage.codes[charm].active():
                twin.join(self.machines[machine], _address(int(machine)))

    def _python(self, machine: MemoryMachine, arguments: Sequence[str]) -> Result:
        """Run a Python program of a charm, or one that all share, as the checks that it left on the machine do."""
        path, shared = Path(arguments[0]), Path(openinfra_charm.__file__).parents[1]
        if path.is_relative_to(shared):
            name, code = ".".join(path.relative_to(shared).with_suffix("").parts), contextlib.nullcontext()
        else:
            codes = self.stage.codes.values()
            name, code = path.stem, next(one for one in codes if path.is_relative_to(one.directory)).active()
        said = io.StringIO()
        with code, use(machine), contextlib.redirect_stdout(said):
            exit_code = importlib.import_module(name).main(*arguments[1:])
        return Result(code=exit_code, stdout=said.getvalue(), stderr="")

    # Time

    def wait(self) -> bool:
        """Go on to the next timer of the model or a machine, or the end of a job's pause; return whether there is one."""
        wake = timers.next_time(self.state, self.now)
        asked = [time for machine in self.machines.values() for time, _ in machine.timers.values()]
        waits = (self._waiting[job] for job in self.waiting_jobs())
        ends = [*([] if wake is None else [wake]), *waits, *asked]
        self.looks_again = bool(asked) and min(ends) in asked
        if ends:
            self.pass_time(max(min(ends) - self.now, 0))
        return bool(ends)

    def pass_time(self, seconds: float) -> None:
        """Let nothing happen for a while but what daemons do by themselves."""
        self.clock.now += seconds
        for machine in self.machines.values():
            if machine.powered:
                machine.sleep(0)

    # What is so

    def violations(self) -> Iterator[str]:
        """Yield what the twins say must never be so."""
        for name, twin in self.twins.items():
            twin.staying = [
                unit.name for unit in self.state.units if unit.application == name and unit.life == "alive"
            ]
            yield from twin.violations()

    def unfinished(self) -> Iterator[str]:
        """Yield what the twins say must be so in the end and is not."""
        for name, twin in self.twins.items():
            if units := self.units_of(name):
                yield from twin.unfinished(units)

    def served(self) -> Iterator[tuple[str, str, str]]:
        """Yield the certificates that daemons serve: the application, who serves it, the certificates (PEM)."""
        for name, twin in self.twins.items():
            for who, chain in twin.served():
                yield name, who, chain

    def accepted(self) -> Iterator[tuple[str, str]]:
        """Yield the passwords that let somebody in: the application, and the password."""
        for name, twin in self.twins.items():
            for password in twin.accepts() if self.units_of(name) else ():
                yield name, password

    def units_of(self, application: str) -> list[str]:
        """Return the names of an application's units."""
        return [unit.name for unit in self.state.units if unit.application == application]

    def statuses(self) -> Mapping[str, tuple[str, str]]:
        """Return each unit's status and message."""
        return {unit.name: (unit.workload.current, unit.workload.message) for unit in self.state.units}


def _without_end() -> AbstractContextManager[Any]:
    """Have jobs killed when they are about to record how they have ended."""
    return mock.patch.object(jobs.Job, "end", side_effect=Killed)


def _agent_folder(unit: str) -> str:
    return f"{leftovers.AGENTS}/unit-{unit.replace('/', '-')}"


def _address(number: int) -> str:
    """Return a machine's own address. As text it comes after most, so that Juju lists a virtual one first."""
    return f"10.{90 + (number >> 16)}.{number >> 8 & 255}.{number % 256}"
