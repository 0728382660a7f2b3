"""Progress of the model: a line for each change of a machine or a unit, until the model is settled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from openinfra_model.cli.output import tell
from openinfra_model.cli.status_table import status_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from openinfra_model.cli.client import Client

_QUIET_SECONDS = 3.0
_UNDER_WAY = frozenset({"maintenance", "waiting", "pending", "allocating"})


def show_until_settled(client: Client, limit: float) -> bool:
    """Show what happens until the model settles or `limit` seconds are over; return whether all is well.

    Settled is: every machine runs, no hook runs or is due, and no unit says that it is busy.
    """
    started = quiet_since = time.monotonic()
    told: dict[str, str] = {}
    while True:
        status, activity = client.call("status"), client.call("activity")
        now = time.monotonic()
        for name, text in _lines(status):
            if told.get(name) != text:
                told[name] = text
                tell(f"{now - started:5.0f} s  {name:18} {text}")
        if activity["running"] or activity["next"] or _is_under_way(status):
            quiet_since = now
        if now - quiet_since > _QUIET_SECONDS or now - started > limit:
            break
        time.sleep(0.5)
    tell("\n" + status_table(status))
    in_error = [name for name, unit in _units(status) if unit["workload-status"]["current"] == "error"]
    if in_error:
        tell(f"\nIn error: {', '.join(in_error)}. See `./openinfra debug-log --include {in_error[0]}`.")
    elif now - started > limit:
        tell(f"\nNot settled after {limit:.0f} s. See `./openinfra watch`.")
    return not in_error and now - started <= limit


def _lines(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, machine in status["machines"].items():
        yield f"machine {name}", f"{machine['juju-status']['current']} {machine.get('dns-name', '')}"
    for name, unit in _units(status):
        workload, agent = unit["workload-status"], unit["juju-status"]
        doing = f"  [{agent['message']}]" if agent.get("message") else ""
        yield name, f"{workload['current']}: {workload.get('message', '')}{doing}"


def _is_under_way(status: Mapping[str, Any]) -> bool:
    machines = (machine["juju-status"]["current"] for machine in status["machines"].values())
    workloads = (unit["workload-status"]["current"] for _, unit in _units(status))
    return any(state in _UNDER_WAY for state in (*machines, *workloads))


def _units(status: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for application in status["applications"].values():
        for name, unit in application.get("units", {}).items():
            yield name, unit
            yield from unit.get("subordinates", {}).items()
