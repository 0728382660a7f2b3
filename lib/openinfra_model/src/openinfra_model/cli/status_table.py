"""`status` as a table, in Juju's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openinfra_model.cli.output import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SCALE, _REVISION = 3, 6


def status_table(status: Mapping[str, Any]) -> str:
    """Lay out what `status --format json` shows."""
    parts = [_model(status)]
    applications = status.get("applications", {})
    if not applications and not status.get("machines"):
        return f'{parts[0]}\n\nModel "{status["model"]["name"]}" is empty.'
    if applications:
        parts += [_applications(applications), _units(applications)]
    if status.get("machines"):
        parts.append(machines_table(status["machines"]))
    return "\n\n".join(part for part in parts if part)


def _model(status: Mapping[str, Any]) -> str:
    model = status["model"]
    clock = status.get("controller", {}).get("timestamp", "")
    cloud = f"{model['cloud']}/{model['region']}"
    return table(
        [
            ("Model", "Controller", "Cloud/Region", "Version", "Timestamp"),
            (model["name"], model["controller"], cloud, model["version"], clock),
        ]
    )


def _applications(applications: Mapping[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = [
        ("App", "Version", "Status", "Scale", "Charm", "Channel", "Rev", "Exposed", "Message")
    ]
    for name, application in sorted(applications.items()):
        units = list(application.get("units", {}).values()) or _as_subordinate(name, applications)
        here = sum(unit["juju-status"]["current"] not in {"lost", "down"} for unit in units)
        rows.append(
            (
                name,
                application.get("version", ""),
                application["application-status"]["current"],
                len(units) if here == len(units) else f"{here}/{len(units)}",
                application["charm-name"],
                application.get("charm-channel", ""),
                application["charm-rev"],
                "yes" if application["exposed"] else "no",
                application["application-status"].get("message", ""),
            )
        )
    return table(rows, right=(_SCALE, _REVISION))


def _units(applications: Mapping[str, Any]) -> str:
    rows = [("Unit", "Workload", "Agent", "Machine", "Public address", "Ports", "Message")]
    for _, application in sorted(applications.items()):
        for name, unit, is_subordinate in _walk(application):
            rows.append(
                (
                    f"{'  ' * is_subordinate}{name}{'*' if unit.get('leader') else ''}",
                    unit["workload-status"]["current"],
                    unit["juju-status"]["current"],
                    unit.get("machine", ""),
                    unit.get("public-address", ""),
                    " ".join(unit.get("open-ports", ())),
                    _message(unit),
                )
            )
    return table(rows) if len(rows) > 1 else ""


def _message(unit: Mapping[str, Any]) -> str:
    """What the workload says, and what its agent is doing."""
    doing = unit["juju-status"].get("message", "")
    said = unit["workload-status"].get("message", "")
    return f"({doing}) {said}".strip() if doing and unit["juju-status"]["current"] == "executing" else said


def machines_table(machines: Mapping[str, Any]) -> str:
    """Lay out the machines of a status."""
    rows = [("Machine", "State", "Address", "Inst id", "Base", "AZ", "Message")]
    for name, machine in sorted(machines.items(), key=lambda item: int(item[0])):
        hardware = dict(word.split("=", 1) for word in machine.get("hardware", "").split())
        base = machine.get("base", {})
        rows.append(
            (
                name,
                machine["juju-status"]["current"],
                machine.get("dns-name", ""),
                machine.get("instance-id", "pending"),
                f"{base['name']}@{base['channel'].partition('/')[0]}" if base else "",
                hardware.get("availability-zone", ""),
                machine["machine-status"].get("message", ""),
            )
        )
    return table(rows)


def _walk(application: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield an application's units, each followed by its subordinates."""
    for name, unit in sorted(application.get("units", {}).items(), key=lambda item: _number(item[0])):
        yield name, unit, False
        for subordinate, subordinate_unit in sorted(unit.get("subordinates", {}).items()):
            yield subordinate, subordinate_unit, True


def _as_subordinate(name: str, applications: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Find a subordinate application's units below those of its principals."""
    return [
        unit
        for application in applications.values()
        for unit_name, unit, is_subordinate in _walk(application)
        if is_subordinate and unit_name.rpartition("/")[0] == name
    ]


def _number(unit: str) -> int:
    return int(unit.rpartition("/")[2])
