"""Hook tools: the commands with which a charm reads and writes the model during a hook.

Options, formats, exit codes and texts are Juju 4.0's, recorded from a real one; what no recording shows follows
internal/worker/uniter/runner/jujuc in Juju's source. Two things are the caller's, on the machine: an option
`--file PATH` and a value `KEY#file=PATH` are read there and passed as `--file -` with standard input and as
`KEY#base64=...`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_model.core.errors import ToolError
from openinfra_model.core.hooktools import (
    action,
    application,
    port,
    relation,
    secret,
    status,
    storage,
)
from openinfra_model.core.hooktools.tool import Call, Tool, ToolResult, parse, render

if TYPE_CHECKING:
    from openinfra_model.core.context import RunningHook
    from openinfra_model.core.state import State

__all__ = ["NAMES", "TOOLS", "ToolResult", "call", "unknown_context"]

TOOLS: dict[str, Tool] = {
    **action.TOOLS,
    **application.TOOLS,
    **port.TOOLS,
    **relation.TOOLS,
    **secret.TOOLS,
    **status.TOOLS,
    **storage.TOOLS,
}
NAMES = frozenset(TOOLS)


def call(state: State, running: RunningHook, argv: list[str], *, stdin: str, now: float) -> ToolResult:
    """Answer one tool in a hook's context."""
    name, *arguments = argv
    if name not in TOOLS:
        return ToolResult(exit_code=1, stderr=f'ERROR unknown command "{name}"\n')
    tool = TOOLS[name]
    try:
        parsed = parse(tool, arguments)
        outcome = tool.run(Call(state=state, running=running, arguments=parsed, stdin=stdin, now=now))
    except ToolError as error:
        return ToolResult(exit_code=error.exit_code, stdout="", stderr=f"ERROR {error.message}\n")
    if isinstance(outcome, ToolResult):
        return outcome
    return ToolResult(stdout=render(outcome, parsed.format))


def unknown_context(context: str) -> ToolResult:
    """Answer a tool whose hook is over."""
    return ToolResult(exit_code=1, stderr=f'ERROR bad request: unknown context "{context}"\n')
