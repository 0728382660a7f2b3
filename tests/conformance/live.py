"""Plays a scenario through a `juju` program on machines, and reads what the probes wrote there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jubilant
import pytest
import yaml

from . import probes, recording
from .compare import compare_structure, shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .scenarios import Outcome

# As a name (sub/0) and in paths (unit-sub-0).
_SUBORDINATE = re.compile(r"\bsub([/-])(\d+)\b")
SETTLE_SECONDS = 300
RESTING = ("idle", "lost")


@dataclass(kw_only=True)
class Live:
    """A driver for a model of its own."""

    scenario: str
    juju: jubilant.Juju
    lxd_dir: Path
    directory: Path
    runs: dict[str, list[recording.Dispatch]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    _logs: dict[str, list[str]] = field(default_factory=dict)

    # The operator

    def deploy(self, *, interval: str = "5m") -> None:
        own_program = recording.ROOT / self.scenario / "charm.py"
        program = own_program if own_program.exists() else None
        probes.build("probe", self.directory, program)
        probes.build("probesub", self.directory, program)
        bundle = self.directory / "bundle/bundle.yaml"
        bundle.parent.mkdir()
        bundle.write_text((recording.ROOT / "bundle.yaml").read_text())
        (self.directory / "blob.bin").write_text("blob")
        self.juju.model_config({"update-status-hook-interval": interval})
        self.juju.cli("deploy", str(bundle))

    def settle(self) -> None:
        self.juju.wait(_is_resting, timeout=SETTLE_SECONDS, delay=1, successes=3)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)
        self.settle()

    def config(self, application: str, **values: str) -> None:
        self.juju.config(application, values)

    def run(self, unit: str, action: str, **parameters: object) -> Mapping[str, object]:
        words = [f"{key}={value}" for key, value in parameters.items()]
        return self._task("run", "--format", "json", unit, action, *words)

    def execute(self, unit: str, command: str, outcome: Outcome) -> Mapping[str, object]:
        return self._task("exec", "--format", "json", "--unit", unit, "--", command)

    def _task(self, *words: str) -> Mapping[str, object]:
        try:
            text = self.juju.cli(*words)
        except jubilant.CLIError as error:
            # A command that ends with a failure makes `juju exec` fail too, after it has told of it.
            text = error.stdout
        [task] = json.loads(text).values()
        return task

    def refused(self, verb: Callable[[], object], message: str) -> None:
        with pytest.raises(jubilant.CLIError) as refused:
            verb()
        assert message in refused.value.stderr

    def add_unit(self, application: str, machine: str) -> None:
        self.juju.add_unit(application, to=machine)

    def fail_hooks(self, machine: str, kind: str) -> None:
        self.juju.exec(f"touch /tmp/fail-{kind}", machine=machine)

    def mend_hooks(self, machine: str, kind: str) -> None:
        self.juju.exec(f"rm /tmp/fail-{kind}", machine=machine)

    def resolved(self, unit: str) -> None:
        self.juju.cli("resolved", unit)

    def integrate(self, first: str, second: str) -> None:
        self.juju.integrate(first, second)

    def remove_relation(self, first: str, second: str) -> None:
        self.juju.remove_relation(first, second)

    def refresh(self, application: str) -> None:
        self.juju.refresh(application, path=self.directory / "probe.charm")

    def remove_unit(self, unit: str, *, destroy_storage: bool = False) -> None:
        self.juju.remove_unit(unit, destroy_storage=destroy_storage)

    def detach_storage(self, storage: str) -> None:
        self.juju.cli("detach-storage", storage)

    def remove_machine(self, machine: str) -> None:
        self.collect()
        self.juju.cli("remove-machine", "--no-prompt", "--force", machine)
        self.juju.wait(lambda status: machine not in status.machines, timeout=SETTLE_SECONDS)

    # The machines

    def restart_machine(self, machine: str) -> None:
        self._lxc("restart", "--force", self._instance(machine))
        self._wait_until_started(machine)

    def stop_machine(self, machine: str) -> None:
        self._lxc("stop", "--force", self._instance(machine))

    def start_machine(self, machine: str) -> None:
        self._lxc("start", self._instance(machine))
        self._wait_until_started(machine)

    def _wait_until_started(self, machine: str) -> None:
        # An agent that is away for a moment only is not told to be away.
        time.sleep(10)
        self.juju.wait(
            lambda status: status.machines[machine].juju_status.current == "started", timeout=SETTLE_SECONDS
        )

    def _instance(self, machine: str) -> str:
        return self.juju.status().machines[machine].instance_id

    def _lxc(self, *words: str) -> str:
        environment = {**os.environ, "LXD_DIR": str(self.lxd_dir)}
        done = subprocess.run(["lxc", *words], capture_output=True, text=True, env=environment, check=True)
        return done.stdout

    def collect(self) -> None:
        """Read what the probes wrote on the machines that are there."""
        for machine in self.juju.status().machines.values():
            command = 'for log in /var/log/probe/*.jsonl; do echo "$log"; cat "$log"; done'
            shown = self._lxc("exec", machine.instance_id, "--", "sh", "-c", command)
            self._logs.update(_by_unit(shown.splitlines()))
        names = _recorded_names(self._logs, self.scenario)
        for unit, lines in self._logs.items():
            renamed = [_renamed(line, names) for line in lines]
            self.runs[names[unit]] = recording.coalesced([recording.parse(line) for line in renamed])

    # Views

    def compare_status(self, recorded: str) -> None:
        expected = json.loads((recording.ROOT / self.scenario / recorded).read_text())
        # Where a recording is of some applications, so is what is compared with it.
        shown = set(expected["applications"])
        names = [] if shown == self.juju.status().apps.keys() else sorted(shown)
        self._compare(recorded, expected, json.loads(self.juju.cli("status", *names, "--format", "json")))

    def compare_unit(self, unit: str, recorded: str) -> None:
        expected = yaml.safe_load((recording.ROOT / self.scenario / recorded).read_text())
        found = yaml.safe_load(self.juju.cli("show-unit", unit))
        for shown in (expected, found):
            shown[unit]["relation-info"].sort(key=lambda relation: relation["relation-id"])
        self._compare(recorded, expected, found)

    def _compare(self, recorded: str, expected: Any, found: Any) -> None:
        self.differences += [
            f"{recorded}: {text}" for text in compare_structure(shape(expected), shape(found))
        ]


def _is_resting(status: jubilant.Status) -> bool:
    """Say whether no agent is at work; a hook in error is not retried at once."""
    agents = [
        unit.juju_status.current
        for application in status.apps
        for unit in status.get_units(application).values()
    ]
    return all(agent in RESTING for agent in agents)


def _by_unit(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each log's lines; a line that is a path names the log whose lines follow."""
    starts = [index for index, line in enumerate(lines) if line.startswith("/")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield recording.unit_of(Path(lines[start])), lines[start + 1 : end]


def _recorded_names(logs: Mapping[str, list[str]], scenario: str) -> dict[str, str]:
    """Return what the recording calls each unit: a subordinate's number depends on which principal came first."""
    numbers = {
        _principal(runs[0]): unit for unit, runs in recording.load(scenario).items() if _principal(runs[0])
    }
    found = {unit: _principal(recording.parse(lines[0])) for unit, lines in logs.items()}
    return {unit: numbers[principal] if principal else unit for unit, principal in found.items()}


def _renamed(line: str, names: Mapping[str, str]) -> str:
    return _SUBORDINATE.sub(lambda match: names[f"sub/{match[2]}"].replace("/", match[1]), line)


def _principal(run: recording.Dispatch) -> str:
    return run.environment["JUJU_PRINCIPAL_UNIT"]
