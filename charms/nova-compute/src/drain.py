"""Servers that leave this host: those that run while they run, those that are shut off when the host is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import RefusedError
from openinfra_charm.daemon.job import JobError, NotNowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from control import Control, Server

PAUSE = 5
TRIES = 2
"""How often a server is moved that is still here afterwards."""
AT_ONCE = 2
"""How many servers are on their way at once."""
_LONGEST = 400


class Drain:
    """One drain of this host.

    Args:
        control: Nova's API.
        report: Takes how far it is.
        sleep: Waits.
    """

    def __init__(
        self, control: Control, report: Callable[[str], None], sleep: Callable[[float], None]
    ) -> None:
        self._control = control
        self._report = report
        self._sleep = sleep
        self._tries: dict[str, int] = {}
        self._refused: dict[str, str] = {}

    def move_running(self) -> str:
        """Move all servers that run; return what was done, in words.

        Raises:
            JobError: Some could not be moved.
            NotNowError: Nova does not answer.
        """
        self._disable()
        first = {one.id for one in self._servers()}
        while servers := [one for one in self._servers() if one.runs or one.moves]:
            on_their_way = [one for one in servers if one.moves]
            due = [one for one in servers if one.runs and self._may_move(one)]
            if not (on_their_way or due):
                break
            for one in due[: max(0, AT_ONCE - len(on_their_way))]:
                self._move(one)
            self._report(f"{len(servers)} servers that run are still here")
            self._sleep(PAUSE)
        stuck = [one for one in self._servers() if one.runs]
        if stuck:
            raise JobError(f"not moved: {self._reasons(stuck)}")
        rest = len(self._servers())
        left = f"; {rest} that do not run stay" if rest else ""
        return f"{len(first) - rest} servers were moved{left}"

    def give_away(self) -> None:
        """Give all servers that are left to other hosts; nova-compute does not run here any more, and Nova knows that.

        Raises:
            JobError: Some could not be given away.
            NotNowError: Nova does not answer.
        """
        self._tries, self._refused = {}, {}
        while servers := self._servers():
            due = [one for one in servers if not one.moves and self._may_move(one)]
            if not (due or any(one.moves for one in servers)):
                raise JobError(f"not given to other hosts: {self._reasons(servers)}")
            for one in due:
                self._tries[one.id] = self._tries.get(one.id, 0) + 1
                try:
                    self._control.evacuate(one)
                except RefusedError as error:
                    self._refused[one.id] = str(error)
            self._report(f"{len(servers)} servers that do not run are still here")
            self._sleep(PAUSE)

    def _disable(self) -> None:
        try:
            self._control.disable("drained by an operator")
        except RefusedError as error:
            raise NotNowError(f"the host cannot be disabled: {error}") from error

    def _servers(self) -> list[Server]:
        try:
            return self._control.servers()
        except RefusedError as error:
            raise NotNowError(f"Nova does not answer: {error}") from error

    def _may_move(self, server: Server) -> bool:
        return self._tries.get(server.id, 0) < TRIES

    def _move(self, server: Server) -> None:
        self._tries[server.id] = self._tries.get(server.id, 0) + 1
        try:
            self._control.live_migrate(server)
        except RefusedError as error:
            self._refused[server.id] = str(error)

    def _reasons(self, servers: list[Server]) -> str:
        words = (f"{one.name} ({one.id}): {self._reason(one)}" for one in servers)
        return "; ".join(words)[:_LONGEST]

    def _reason(self, server: Server) -> str:
        if server.id in self._refused:
            return self._refused[server.id]
        try:
            return self._control.why_not_moved(server)
        except RefusedError as error:
            return str(error)
