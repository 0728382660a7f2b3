"""Verbs on storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_model.cli.output import show, table, tell
from openinfra_model.cli.verb import argument, output_format, verb

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from openinfra_model.cli.client import Client

_FORCE = argument("--force", action="store_true")


@verb(argument("unit"), argument("storage", nargs="+", metavar="NAME[=DIRECTIVE]"))
def add_storage(client: Client, arguments: argparse.Namespace) -> None:
    """Add storage to a unit."""
    wanted = {name: text or None for name, _, text in (word.partition("=") for word in arguments.storage)}
    for storage_id in client.call("add_storage", unit=arguments.unit, storage=wanted):
        tell(f"added storage {storage_id} to {arguments.unit}")


@verb(argument("storage", nargs="+"), _FORCE)
def detach_storage(client: Client, arguments: argparse.Namespace) -> None:
    """Take storage from its unit and keep it."""
    for storage_id in arguments.storage:
        client.call("detach_storage", storage_id=storage_id, force=arguments.force)
        tell(f"detaching {storage_id}")


@verb(argument("storage", nargs="+"), _FORCE)
def remove_storage(client: Client, arguments: argparse.Namespace) -> None:
    """Remove storage with its data."""
    for storage_id in arguments.storage:
        client.call("remove_storage", storage_id=storage_id, force=arguments.force)
        tell(f"removing {storage_id}")


@verb(output_format())
def storage(client: Client, arguments: argparse.Namespace) -> None:
    """List the storage."""

    def tabular(data: dict[str, Any]) -> str:
        rows = [("Unit", "Storage ID", "Type", "Status", "Message")]
        for storage_id, item in data.get("storage", {}).items():
            units: list[str] = list(item.get("attachments", {}).get("units", {})) or [""]
            rows += [
                (unit, storage_id, item["kind"], item["status"]["current"], item["status"].get("message", ""))
                for unit in units
            ]
        return table(rows) if len(rows) > 1 else "No storage to display."

    show(client.call("show_storage"), arguments.format, tabular)
