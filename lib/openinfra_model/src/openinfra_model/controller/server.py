"""The controller's socket: one line of JSON from the command line, one back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any

from openinfra_model.charm_archive import CharmError
from openinfra_model.controller.agents import LINE_LIMIT, AgentLostError
from openinfra_model.controller.sockets import bind
from openinfra_model.core.errors import ModelError
from openinfra_model.document import DocumentError

if TYPE_CHECKING:
    from pathlib import Path

    from openinfra_model.controller.service import Service


_logger = logging.getLogger(__name__)


async def serve(service: Service, path: Path) -> None:
    """Host the models and answer at `path` until the service is stopped."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line:
            writer.write(json.dumps(await _answer(service, json.loads(line))).encode() + b"\n")
            with contextlib.suppress(ConnectionError):  # whoever asked may have gone meanwhile
                await writer.drain()
        writer.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run())
        await asyncio.sleep(0)  # the models are loaded before the first question
        server = await asyncio.start_unix_server(accept, sock=bind(path), limit=LINE_LIMIT)
    server.close()
    await asyncio.to_thread(path.unlink, missing_ok=True)


async def _answer(service: Service, question: dict[str, Any]) -> dict[str, Any]:
    """Answer `verb`, `model` and `arguments` with `result` or `error`."""
    try:
        return {"result": await service.call(question["verb"], question["model"], question["arguments"])}
    except (ModelError, CharmError, DocumentError, AgentLostError) as error:
        return {"error": str(error)}
    except Exception as error:  # whoever asked is told; everybody else is served on
        _logger.exception("%s has failed", question["verb"])
        what = f"{type(error).__name__}: {error}"
        return {"error": f"unexpected error in {question['verb']}: {what}: see the controller's log"}
