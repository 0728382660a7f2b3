"""The controller's sockets; those of machines take an agent's connection for its life, and a hook tool's for one question."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import TYPE_CHECKING

from openinfra_model.controller.agents import LINE_LIMIT, Agent
from openinfra_model.inside import hook_tool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def bind(path: Path) -> socket.socket:
    """Bind a socket that only root can connect to, in the place of one that a killed controller left.

    Raises:
        OSError: The path cannot be used.
    """
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    path.chmod(0o600)
    return bound


class Sockets:
    """Listens to machines, one socket each, which only root can use."""

    def __init__(
        self,
        serve: Callable[[str, Agent], Awaitable[None]],
        answer: Callable[[str, list[str]], Awaitable[list[str]]],
    ) -> None:
        """Listen to nothing yet.

        Args:
            serve: Serves the agent of a machine until it goes.
            answer: Answers a machine's question: context, standard input, and the words of the tool. Returns exit code, output,
                errors.
        """
        self._serve = serve
        self._answer = answer
        self._servers: dict[str, asyncio.Server] = {}

    async def open(self, machine: str, path: Path) -> None:
        """Listen to a machine at a path, if it is not listened to yet.

        Raises:
            OSError: The path cannot be used.
        """
        if machine in self._servers:
            return

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accept(machine, reader, writer)

        self._servers[machine] = await asyncio.start_unix_server(accept, sock=bind(path), limit=LINE_LIMIT)

    def close(self, machine: str) -> None:
        """Listen to a machine no longer."""
        if server := self._servers.pop(machine, None):
            server.close()

    def close_all(self) -> None:
        """Listen to no machine any longer."""
        for machine in tuple(self._servers):
            self.close(machine)

    async def _accept(self, machine: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1)
        if first == b"{":
            hello = json.loads(first + await reader.readline())["hello"]
            await self._serve(machine, Agent(hello, reader, writer))
        elif first:
            size = first + await reader.readuntil(b":")
            question = hook_tool.decode(size + await reader.readexactly(int(size[:-1]) + 1))
            writer.write(
                hook_tool.encode(await self._answer(machine, [os.fsdecode(word) for word in question]))
            )
        writer.close()
