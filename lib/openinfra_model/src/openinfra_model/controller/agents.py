"""The controller's side of the machines' agents (see `inside/machine_agent.py` for the protocol)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# One line holds a whole message: relation data and secrets may be large.
LINE_LIMIT = 64 * 2**20


class AgentLostError(Exception):
    """The machine's agent went away: the machine stopped, or its agent was restarted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process in a machine ended; a `code` of 128 + N means signal N, None that its time was over."""

    code: int | None
    stdout: str
    stderr: str


@dataclass(slots=True)
class _Process:
    ended: asyncio.Future[int]
    tell: Callable[[str, str], None]
    stopping: bool = False
    stdout: list[str] = field(default_factory=list[str])
    stderr: list[str] = field(default_factory=list[str])


class Agent:
    """One connection of one machine's agent, from its hello to its end."""

    def __init__(
        self, hello: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.hello = dict(hello)
        self._reader = reader
        self._writer = writer
        self._processes: dict[str, _Process] = {}

    async def serve(self, on_addresses: Callable[[], None] = lambda: None) -> None:
        """Hear what the agent tells, until the connection ends; then every running process is lost.

        Args:
            on_addresses: called when `hello` has other interfaces than before.
        """
        try:
            while line := await self._reader.readline():
                message = json.loads(line)
                if "interfaces" in message:
                    self.hello["interfaces"] = message["interfaces"]
                    on_addresses()
                else:
                    self._hear(message)
        except ConnectionError:
            pass  # the same end, less orderly
        finally:
            self._writer.close()
            for process in self._processes.values():
                if not process.ended.done():
                    process.ended.set_exception(AgentLostError("the machine's agent went away"))

    async def run(
        self,
        number: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: str,
        seconds: float | None = None,
        tell: Callable[[str, str], None] = lambda _stream, _line: None,
    ) -> Ended:
        """Run a process in the machine and wait for its end.

        Args:
            number: a name for `stop`, unique on the connection.
            argv: the command.
            environment: its variables, beyond the machine's own.
            directory: its working directory.
            seconds: after how many seconds it is ended; None for never.
            tell: hears the name of the stream ("stdout", "stderr") and each line of output.

        Raises:
            AgentLostError: the agent went away before the end.
        """
        if self._writer.is_closing():
            raise AgentLostError("the machine's agent is gone")
        process = self._processes[number] = _Process(asyncio.get_running_loop().create_future(), tell)
        self._send({"run": number, "argv": list(argv), "env": dict(environment), "cwd": directory})
        try:
            code = await self._wait(number, process, seconds)
        finally:
            del self._processes[number]
        return Ended(code=code, stdout="".join(process.stdout), stderr="".join(process.stderr))

    def close(self) -> None:
        """Let the machine go; its agent comes back to whoever listens then."""
        self._writer.close()

    def stop(self, number: str) -> None:
        """Have a process and all its children ended; the agent kills what does not end when it is asked to."""
        process = self._processes.get(number)
        if process is not None and not process.stopping:
            process.stopping = True
            self._send({"stop": number})

    async def _wait(self, number: str, process: _Process, seconds: float | None) -> int | None:
        done, _ = await asyncio.wait([process.ended], timeout=seconds)
        if done:
            return process.ended.result()
        self.stop(number)
        await process.ended
        return None

    def _hear(self, message: Mapping[str, Any]) -> None:
        process = self._processes.get(message["output"] if "output" in message else message["exit"])
        if process is None or process.ended.done():
            return  # a daemon that a process left behind goes on printing when that has ended
        if "output" in message:
            lines = process.stdout if message["stream"] == "stdout" else process.stderr
            lines.append(message["text"])
            process.tell(message["stream"], message["text"].rstrip("\n"))
        else:
            process.ended.set_result(message["code"])

    def _send(self, message: Mapping[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")
