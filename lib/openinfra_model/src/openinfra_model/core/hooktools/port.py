"""Tools about ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_model.core import ports
from openinfra_model.core.errors import ToolError
from openinfra_model.core.hooktools.tool import Call, Tool, require_words

if TYPE_CHECKING:
    from openinfra_model.core.entities import Port


def _wanted(call: Call) -> list[Port]:
    """Return the range of the command line, once for each endpoint that it names."""
    require_words(call, 1, 1, "port or range")
    endpoints = [name for name in call.arguments.values.get("endpoints", "").split(",") if name]
    known = call.state.charm_of(call.application).charm.endpoints
    for name in endpoints:
        if name not in known:
            raise ToolError(f'endpoint "{name}" not found')
    return [ports.parse(call.arguments.word(0), endpoint) for endpoint in endpoints or [""]]


def _open_port(call: Call) -> None:
    for port in _wanted(call):
        ports.check_open(call.state, call.unit.name, port)
        call.running.opened.append(port)
        call.running.closed = [closed for closed in call.running.closed if closed != port]


def _close_port(call: Call) -> None:
    for port in _wanted(call):
        ports.check_close(call.state, call.unit.name, port)
        call.running.closed.append(port)
        call.running.opened = [opened for opened in call.running.opened if opened != port]


def _opened_ports(call: Call) -> list[str]:
    """Return the ports as they were when the hook began, as Juju does."""
    require_words(call, 0, 0, "argument")
    if "endpoints" not in call.arguments.switches:
        return ports.shown(call.unit.ports)
    return [f"{port} ({port.endpoint or '*'})" for port in call.unit.ports]


TOOLS = {
    "open-port": Tool(run=_open_port, values=("endpoints",), format="smart"),
    "close-port": Tool(run=_close_port, values=("endpoints",), format="smart"),
    "opened-ports": Tool(run=_opened_ports, switches=("endpoints",), format="smart"),
}
