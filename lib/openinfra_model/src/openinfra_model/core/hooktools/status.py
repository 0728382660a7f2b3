"""Tools about statuses. What they set shows at once, even if the hook fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from openinfra_model.core import find, history, machines
from openinfra_model.core.entities import Status
from openinfra_model.core.errors import ToolError, UsageError
from openinfra_model.core.hooktools.tool import Call, Tool, require_words
from openinfra_model.core.severity import application_status

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTABLE = ("maintenance", "blocked", "waiting", "active")
_NOT_LEADER = "this unit is not the leader"


def _status_get(call: Call) -> Any:
    require_words(call, 0, 0, "argument")
    with_data = "include-data" in call.arguments.switches
    if "application" in call.arguments.switches:
        return _application_status(call, with_data=with_data)
    unit = call.unit
    if not with_data and call.arguments.format == "smart":
        return unit.workload.current
    return _details(unit.workload.current, unit.workload.message, unit.workload.data, with_data=with_data)


def _details(current: str, message: str, data: Mapping[str, Any], *, with_data: bool) -> dict[str, Any]:
    if not with_data:
        return {"status": current}
    return {"message": message, "status": current, "status-data": dict(data)}


def _application_status(call: Call, *, with_data: bool) -> dict[str, Any]:
    if not call.is_leader:
        raise ToolError(f"finding application status: {_NOT_LEADER}")
    status = application_status(call.state, call.application)
    members = {
        unit.name: _details(
            machines.visible_workload(call.state, unit.name),
            unit.workload.message,
            unit.workload.data,
            with_data=with_data,
        )
        for unit in find.units_of(call.state, call.application.name)
    }
    details = _details(status.current, status.message, status.data, with_data=with_data)
    return {"application-status": {**details, "units": members}}


def _status_set(call: Call) -> None:
    require_words(call, 1, None, "status")
    current, message = call.arguments.word(0), " ".join(call.arguments.words[1:])
    if current not in SETTABLE:
        raise UsageError(f'invalid status "{current}", expected one of [{" ".join(SETTABLE)}]')
    if "application" not in call.arguments.switches:
        history.set_workload(call.state, call.unit.name, current, message, call.now)
        return
    if not call.is_leader:
        raise ToolError(_NOT_LEADER)
    status = Status(current=current, message=message, since=call.now)
    call.state.applications.put(replace(call.application, status=status))


def _version_set(call: Call) -> None:
    require_words(call, 1, 1, "version")
    version = call.arguments.word(0)
    call.state.units.put(replace(call.unit, version=version))
    call.state.applications.put(replace(call.application, version=version))


TOOLS = {
    "status-get": Tool(run=_status_get, switches=("include-data", "application"), format="smart"),
    "status-set": Tool(run=_status_set, switches=("application",)),
    "application-version-set": Tool(run=_version_set),
}
