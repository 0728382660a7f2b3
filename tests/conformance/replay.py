"""Plays a recorded scenario on the pure core: the core says what is due, the recording what the probe did then."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from openinfra_model.charm_archive import read_archive
from openinfra_model.core import (
    Core,
    Ids,
    ModelError,
    State,
    actions,
    applications,
    configuration,
    machines,
    relations,
    show,
    status,
    timers,
    units,
)
from openinfra_model.core import storage as storages
from openinfra_model.core.entities import Model, Network, StorageDirective
from openinfra_model.core.environment import environment

from . import recording
from .compare import Names, Situation, compare_environment, compare_structure, compare_tool
from .scenarios import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from openinfra_model.charm import Charm
    from openinfra_model.core import HookContext, HookRun

BASE = "ubuntu@24.04"
HARDWARE = "arch=amd64 cores=0 mem=0M availability-zone=vm virt-type=container"
HOOK_SECONDS = 0.4


@dataclass(kw_only=True)
class Replay:
    """A driver that plays a scenario on the core, with the machines of the recording."""

    scenario: str
    archives: dict[str, Path]
    recorded: dict[str, list[recording.Dispatch]] = field(init=False)
    played: dict[str, list[tuple[str, ...]]] = field(init=False)
    differences: list[str] = field(default_factory=list)
    names: Names = field(default_factory=Names)

    def __post_init__(self) -> None:
        self.recorded = recording.load(self.scenario)
        self.left = {unit: list(runs) for unit, runs in self.recorded.items()}
        self.played = {unit: [] for unit in self.recorded}
        self.failing: set[tuple[str, str]] = set()
        self.outcomes: dict[str, Outcome] = {}
        self.boots = 0
        self.previous: dict[str, str] = {}
        first = next(iter(self.recorded.values()))[0]
        self.now = min(runs[0].time for runs in self.recorded.values()) - 60
        self.state = State(Ids(random.Random(self.scenario)))
        self.core = Core(self.state)
        environment = first.environment
        self.state.models.put(
            Model(name=environment["JUJU_MODEL_NAME"], uuid=environment["JUJU_MODEL_UUID"], created=self.now)
        )

    # The operator

    def deploy(self, *, interval: str = "5m") -> None:
        configuration.set_model(self.state, {"update-status-hook-interval": interval}, self.now)
        for _ in range(2):
            machines.add(self.state, base=BASE, now=self.now)
        if self.scenario in self.archives:
            self._deploy_owner(str(self.archives[self.scenario]))
            return
        probe, subordinate = (read_archive(self.archives[name]) for name in ("probe", "probesub"))
        archive = str(self.archives["probe"])
        blob = {"blob": ("blob.bin", "sha384")}
        self._deploy(
            "alpha",
            probe,
            archive,
            units=2,
            to=("0", "1"),
            config={"greeting": "salut"},
            storage={"data": StorageDirective(pool="lxd", size=10, count=1)},
            resources=blob,
        )
        self._deploy("beta", probe, archive, to=("0",), resources=blob)
        self._deploy("sub", subordinate, str(self.archives["probesub"]))
        relations.integrate(self.state, "alpha:server", "beta:client", now=self.now)
        relations.integrate(self.state, "sub:client", "alpha:juju-info", now=self.now)

    def _deploy_owner(self, archive: str) -> None:
        keeper = read_archive(Path(archive))
        for name in ("own", "rd"):
            self._deploy(name, keeper, archive, units=2, to=("0", "1"))
        relations.integrate(self.state, "own:db", "rd:use", now=self.now)

    def _deploy(self, name: str, charm: Charm, archive: str, **more: Any) -> None:
        wanted = applications.Deployment(name=name, charm=charm, archive=archive, base=BASE, **more)
        applications.deploy(self.state, wanted, now=self.now)

    def config(self, application: str, **values: str) -> None:
        configuration.set_options(self.state, application, values)

    def run(self, unit: str, action: str, **parameters: object) -> Mapping[str, object]:
        ours = {
            name: self.names.renamed(value) if isinstance(value, str) else value
            for name, value in parameters.items()
        }
        return self._task(actions.enqueue(self.state, [unit], action, ours, self.now))

    def execute(self, unit: str, command: str, outcome: Outcome) -> Mapping[str, object]:
        self.outcomes[unit] = outcome
        return self._task(actions.enqueue_exec(self.state, [unit], command, now=self.now))

    def _task(self, operation: str) -> dict[str, Any]:
        self.settle()
        [task] = self.state.operations[operation].tasks
        return show.task(self.state, task)

    def refused(self, verb: Callable[[], object], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            verb()

    def add_unit(self, application: str, machine: str) -> None:
        units.add(self.state, application, to=[machine], now=self.now)

    def fail_hooks(self, machine: str, kind: str) -> None:
        self.failing.add((machine, kind))

    def mend_hooks(self, machine: str, kind: str) -> None:
        self.failing.remove((machine, kind))

    def resolved(self, unit: str) -> None:
        units.resolve(self.state, unit)

    def integrate(self, first: str, second: str) -> None:
        relations.integrate(self.state, first, second, now=self.now)

    def remove_relation(self, first: str, second: str) -> None:
        relations.remove(self.state, first, second, now=self.now)

    def refresh(self, application: str) -> None:
        probe = self.archives["probe"]
        applications.refresh(self.state, application, read_archive(probe), archive=str(probe), now=self.now)

    def remove_unit(self, unit: str, *, destroy_storage: bool = False) -> None:
        units.remove(self.state, [unit], destroy_storage=destroy_storage, now=self.now)

    def detach_storage(self, storage: str) -> None:
        storages.detach(self.state, storage, now=self.now)

    def remove_machine(self, machine: str) -> None:
        machines.remove(self.state, machine, force=True, now=self.now)

    # The machines

    def restart_machine(self, machine: str) -> None:
        self.stop_machine(machine)
        self.start_machine(machine)

    def stop_machine(self, machine: str) -> None:
        machines.down(self.state, machine, self.now)

    def start_machine(self, machine: str) -> None:
        self.boots += 1
        machines.started(self.state, machine, f"boot-{self.boots}", self.now)

    def _first_run(self, machine: str) -> recording.Dispatch:
        runs = [run for runs in self.recorded.values() for run in runs]
        return min(
            (run for run in runs if run.environment["JUJU_MACHINE_ID"] == machine), key=lambda run: run.time
        )

    def _provision(self, machine: str) -> None:
        network = next(
            tool.output
            for tool in self._first_run(machine).tools
            if tool.command.startswith("network-get --format=json ")
        )
        interface = network["bind-addresses"][0]
        address = interface["addresses"][0]
        hostname = f"juju-{self.state.model.uuid[-6:]}-{machine}"
        machines.provisioned(
            self.state,
            machine,
            instance_id=hostname,
            hostname=hostname,
            network=Network(
                address=address["value"],
                cidr=address["cidr"],
                gateway="10.77.0.1",
                mac=interface["mac-address"],
            ),
            hardware=HARDWARE,
            now=self.now,
        )
        self.start_machine(machine)

    # Time

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        self.settle()
        while (wake := timers.next_time(self.state, self.now)) is not None and wake <= end:
            self.now = max(self.now, wake)
            self.settle()
        self.now = max(self.now, end)
        self.settle()

    def settle(self) -> None:
        while True:
            for item in storages.wanted(self.state):
                storages.provisioned(self.state, item.id, now=self.now)
            for item in storages.to_release(self.state):
                storages.released(self.state, item.id)
            for machine in machines.to_release(self.state):
                machines.released(self.state, machine.id)
            due = [self._matched(run) for run in self.core.due(self.now)]
            waiting = {
                machine.id: self._first_run(machine.id).time for machine in machines.wanted(self.state)
            }
            if waiting and min(waiting.values()) <= min(
                (match.time for match, _ in due if match), default=1e12
            ):
                self._provision(min(waiting, key=waiting.__getitem__))
            elif due:
                # What the recording does not know goes first, so that it cannot stay in the way.
                match, run = min(due, key=self._order)
                self._play(run, match)
            else:
                return

    def _matched(self, run: HookRun) -> tuple[recording.Dispatch | None, HookRun]:
        """Return what the probe did in this run, if the recording has it.

        Juju takes the relations in any order when it runs relation-created: the recording's order is taken.
        """
        left = self.left.get(run.unit, [])
        if run.hook and run.hook.kind == "relation-created":
            run = self._reordered(run, left)
        wanted = recording.subject(environment(self.state, run, ""))
        return next((entry for entry in left if entry.subject == wanted), None), run

    def _reordered(self, run: HookRun, left: list[recording.Dispatch]) -> HookRun:
        created = [entry for entry in left if entry.name.endswith("-relation-created")]
        if not run.hook or not created:
            return run
        variables = created[0].environment
        hook = replace(
            run.hook,
            relation=int(variables["JUJU_RELATION_ID"].partition(":")[2]),
            endpoint=variables["JUJU_RELATION"],
            remote_application=variables["JUJU_REMOTE_APP"],
        )
        return replace(run, hook=hook, name=hook.name)

    def _order(self, pair: tuple[recording.Dispatch | None, HookRun]) -> float:
        """Return when a run comes; update-status has a clock of its own, with a random part in Juju's."""
        match, run = pair
        return match.time if match and run.name != "update-status" else 0.0

    def _play(self, run: HookRun, match: recording.Dispatch | None) -> None:
        if match:
            self.left[run.unit].remove(match)
            self.now = max(self.now, self._order((match, run)))
        context = self.core.begin(run, self.now)
        self.played.setdefault(run.unit, []).append(recording.subject(context.environment))
        where = f"{run.unit} {run.name} {self.now:.1f}"
        if match:
            self.differences += [f"{where}: {text}" for text in compare_environment(match, context)]
            situation = Situation(
                names=self.names,
                state=self.state,
                unit=run.unit,
                previous=self.previous.get(run.unit, ""),
                joining=run.hook.remote_unit if run.hook and run.hook.kind == "relation-joined" else "",
            )
            for tool in match.tools:
                found = list(self._tool(context, tool, situation))
                # What update-status saw depends on when it came.
                if run.name != "update-status":
                    self.differences += [f"{where}: {tool.command}: {text}" for text in found]
        if run.hook:
            self.previous[run.unit] = run.name
        self.now += HOOK_SECONDS
        outcome = self.outcomes.pop(run.unit, None) if run.kind == "exec" else None
        failed = (run.machine, run.name) in self.failing
        outcome = outcome or Outcome(exit_code=3 if failed else 0)
        self.core.finish(
            context.id, outcome.exit_code, self.now, stdout=outcome.stdout, stderr=outcome.stderr
        )

    def _tool(self, context: HookContext, tool: recording.ToolCall, situation: Situation) -> Iterator[str]:
        result = self.core.tool(context.id, self.names.translate(tool.argv), "", self.now)
        self.names.learn(tool, result.stdout)
        return compare_tool(tool, result, situation)

    # Views

    def compare_status(self, recorded: str) -> None:
        expected = json.loads((recording.ROOT / self.scenario / recorded).read_text())
        # Where a recording is of some applications, so is what is compared with it.
        shown = set(expected["applications"])
        found = status.full(
            self.state, self.now, applications=[] if shown == self._applications() else sorted(shown)
        )
        expected["model"]["controller"] = found["model"]["controller"]
        self.differences += [f"{recorded}: {text}" for text in compare_structure(expected, found)]

    def _applications(self) -> set[str]:
        return {application.name for application in self.state.applications}

    def compare_unit(self, unit: str, recorded: str) -> None:
        expected = yaml.safe_load((recording.ROOT / self.scenario / recorded).read_text())
        found = show.unit(self.state, unit)
        for shown in (expected, found):
            shown[unit]["relation-info"].sort(key=lambda relation: relation["relation-id"])
        self.differences += [f"{recorded}: {text}" for text in compare_structure(expected, found)]
