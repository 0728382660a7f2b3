"""The hooks, actions and commands of one model: which are due, which run, and what their tools are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_model.core import hooks, hooktools, timers
from openinfra_model.core.agenda import Agenda
from openinfra_model.core.context import Exit, RunningHook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openinfra_model.core.context import Finished, HookContext, HookRun
    from openinfra_model.core.entities import Machine
    from openinfra_model.core.hooktools import ToolResult
    from openinfra_model.core.state import State


class Core:
    """A model at work.

    Contexts of running hooks live in memory only: after a restart of the controller the hooks that were running are due
    again (`hooks.recover`).
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._contexts: dict[str, RunningHook] = {}
        self._agenda = Agenda(state)

    def due(self, now: float) -> list[HookRun]:
        """Return what each idle unit would run next, at most one for each; timers that are over take effect first."""
        timers.advance(self.state, now)
        busy = {context.run.unit for context in self._contexts.values()}
        return self._agenda.due(busy, now)

    def begin(self, run: HookRun, now: float, *, relation_gone: bool = False) -> HookContext:
        """Begin what `due` returned; with `relation_gone` as if the model had dropped the relation that it is about."""
        running = hooks.begin(self.state, run, now, relation_gone=relation_gone)
        self._contexts[running.context.id] = running
        return running.context

    def tool(self, context_id: str, argv: Sequence[str], stdin: str, now: float) -> ToolResult:
        """Answer a hook tool: `argv[0]` is its name. What it writes waits for the end of the hook."""
        running = self._contexts.get(context_id)
        if running is None or running.unit not in self.state.units:
            return hooktools.unknown_context(context_id)
        return hooktools.call(self.state, running, list(argv), stdin=stdin, now=now)

    def finish(
        self,
        context_id: str,
        exit_code: int,
        now: float,
        *,
        stdout: str = "",
        stderr: str = "",
        problem: str = "",
    ) -> Finished:
        """End a hook, action or command; `problem` says why it could not be run at all.

        A commit that Juju would refuse is a failure of the hook.
        """
        running = self._contexts.pop(context_id)
        ended = Exit(code=exit_code, stdout=stdout, stderr=stderr, problem=problem)
        return hooks.finish(self.state, running, ended, now)

    def abandon(self, context_id: str, now: float) -> None:
        """Forget a hook that was cut off: it is due again. An action that was cut off has failed."""
        hooks.abandon(self.state, self._contexts.pop(context_id), now)

    def machines_to_reboot(self) -> list[Machine]:
        """Return the machines whose charms asked for a reboot, once nothing runs on them."""
        busy = {context.run.machine for context in self._contexts.values()}
        return [
            machine for machine in self.state.machines if machine.reboot_wanted and machine.id not in busy
        ]
