"""The recordings of `juju-trace`, typed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent / "juju-trace"
REPEATED_SECONDS = 2.0
SUBJECT = (
    "JUJU_ACTION_NAME",
    "JUJU_RELATION_ID",
    "JUJU_REMOTE_UNIT",
    "JUJU_DEPARTING_UNIT",
    "JUJU_STORAGE_ID",
    "JUJU_SECRET_LABEL",
    "JUJU_SECRET_REVISION",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A hook tool as the probe called it; `output` is parsed where it was JSON, in one recording `stripped` where not."""

    command: str
    exit_code: int
    output: Any
    error: str
    stripped: bool = False

    @property
    def argv(self) -> list[str]:
        # No argument of the probe holds a space except at the end of a message, which the tools join again.
        return self.command.split(" ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dispatch:
    """One run of the probe. A recording that tells only Juju's own variables has no `directory`."""

    time: float
    name: str
    environment: dict[str, str]
    directory: str
    tools: tuple[ToolCall, ...]

    @property
    def subject(self) -> tuple[str, ...]:
        """What ran and what it was about."""
        return subject(self.environment)


def subject(environment: dict[str, str]) -> tuple[str, ...]:
    """Return what a run is about, from its environment: the same in a recording and on the engine."""
    name = environment.get("JUJU_HOOK_NAME") or environment.get("JUJU_DISPATCH_PATH", "")
    if environment.get("JUJU_ACTION_NAME") == "juju-exec":
        name = "juju-exec"
    return (name, *(environment.get(variable, "") for variable in SUBJECT))


def load(scenario: str) -> dict[str, list[Dispatch]]:
    """Return the runs of each unit in a scenario, in their order."""
    return {
        unit_of(path): coalesced([parse(line) for line in path.read_text().splitlines()])
        for path in _files(scenario)
    }


def coalesced(runs: list[Dispatch]) -> list[Dispatch]:
    """Drop what Juju 4.0.15 did twice: a change of the configuration ran config-changed two times in a row."""
    kept: list[Dispatch] = []
    for run in runs:
        again = kept and run.name == kept[-1].name == "hooks/config-changed"
        if not (again and run.time - kept[-1].time < REPEATED_SECONDS):
            kept.append(run)
    return kept


def _files(scenario: str) -> list[Path]:
    return sorted((ROOT / scenario).glob("*.jsonl"))


def unit_of(path: Path) -> str:
    """Return the unit that wrote a log."""
    return path.stem.replace("-", "/")


def parse(line: str) -> Dispatch:
    """Read one line of a log."""
    row = json.loads(line)
    as_found = "cwd" not in row
    return Dispatch(
        time=row["t"],
        name=row["hook"],
        environment=row["env"],
        directory=row.get("cwd", ""),
        tools=tuple(
            ToolCall(
                command=tool["cmd"],
                exit_code=tool["rc"],
                output=_parsed(tool) if as_found else tool["out"],
                error=tool["err"],
                stripped=as_found,
            )
            for tool in row["tools"]
        ),
    )


def _parsed(tool: dict[str, Any]) -> Any:
    """Return what a tool printed, which one of the probes wrote down as it found it."""
    is_json = "--format=json" in tool["cmd"].split(" ")
    return json.loads(tool["out"]) if is_json and tool["out"] else tool["out"]
