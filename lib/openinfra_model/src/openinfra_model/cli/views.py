"""Verbs that show the model."""

from __future__ import annotations

import re
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openinfra_model.cli.output import show, table
from openinfra_model.cli.status_table import status_table
from openinfra_model.cli.verb import argument, listed, output_format, verb

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from openinfra_model.cli.client import Client

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# As `controller.log` writes it.
_HEAD = re.compile(rf"(?P<entity>\S+): [\d-]+ [\d:]+ (?P<level>{'|'.join(_LEVELS)}) ")


@verb(
    argument("applications", nargs="*", metavar="application", help="only of these"),
    argument("--relations", action="store_true", help="accepted; the JSON has them always"),
    argument("--storage", action="store_true", help="accepted; the JSON has it always"),
    argument("--color", action="store_true", help="accepted; nothing is coloured"),
    output_format(),
)
def status(client: Client, arguments: argparse.Namespace) -> None:
    """Show the model."""
    wanted = {"applications": arguments.applications} if arguments.applications else {}
    show(client.call("status", **wanted), arguments.format, status_table)


@verb(argument("--every", type=float, default=2.0, metavar="SECONDS"))
def watch(client: Client, arguments: argparse.Namespace) -> None:
    """Show the model, what runs now, and what comes next, until interrupted."""
    while True:
        screen = f"{status_table(client.call('status'))}\n\n{_activity(client.call('activity'))}"
        print(f"\033[H\033[2J{screen}" if sys.stdout.isatty() else screen, flush=True)
        time.sleep(arguments.every)


@verb(argument("units", nargs="+", metavar="unit"), output_format("yaml"))
def show_unit(client: Client, arguments: argparse.Namespace) -> None:
    """Show units with their relation data."""
    data: dict[str, Any] = {}
    for unit in arguments.units:
        data |= client.call("show_unit", unit=unit)
    show(data, arguments.format)


@verb(
    argument("entity", help="a unit"),
    argument("-n", type=int, default=20, help="how many entries"),
    argument("--type", default="unit", help="accepted: units have a log"),
    argument("--days", help="accepted; all that is kept is shown"),
    argument("--utc", action="store_true", help="accepted; times are UTC"),
    output_format(),
)
def show_status_log(client: Client, arguments: argparse.Namespace) -> None:
    """Show the past statuses of a unit."""
    data = client.call("show_status_log", unit=arguments.entity)[-arguments.n :]

    def tabular(data: list[dict[str, Any]]) -> str:
        rows = [("Time", "Type", "Status", "Message")]
        rows += [(item["since"], item["type"], item["status"], item.get("message", "")) for item in data]
        return table(rows)

    show(data, arguments.format, tabular)


@verb(
    argument("-n", "--limit", type=int, default=0, metavar="N", help="only the last N lines"),
    argument("-i", "--include", action="append", default=[], metavar="UNIT", help="only of these units"),
    argument("-x", "--exclude", action="append", default=[], metavar="UNIT", help="none of these units"),
    argument("-l", "--level", choices=_LEVELS, default="DEBUG", help="only this severity and above"),
    argument("--tail", action="store_true", help="wait for more"),
    argument("--no-tail", action="store_true", help="do not wait for more (the default without a terminal)"),
    argument("--replay", action="store_true", help="accepted; the log is shown from its beginning"),
)
def debug_log(client: Client, arguments: argparse.Namespace) -> None:
    """Show what hooks printed and charms logged."""
    path = Path(client.call("log_file"))
    tags, excluded = _tags(arguments.include), _tags(arguments.exclude)
    levels = frozenset(_LEVELS[_LEVELS.index(arguments.level) :])

    shown = False

    def matches(line: str) -> bool:
        """Return whether a line is wanted; one that goes on with a message, as a traceback does, is as its first."""
        nonlocal shown
        if head := _HEAD.match(line):
            is_wanted = (not tags or head["entity"] in tags) and head["entity"] not in excluded
            shown = head["level"] in levels and is_wanted
        return shown

    with path.open(encoding="utf-8") as log:
        lines = [line for line in log if matches(line)]
        sys.stdout.writelines(deque(lines, arguments.limit) if arguments.limit else lines)
        if arguments.tail or (sys.stdout.isatty() and not arguments.no_tail and not arguments.limit):
            for line in _follow(log):
                if matches(line):
                    sys.stdout.write(line)


def _tags(names: list[str]) -> set[str]:
    """Return how the log may name units or machines."""
    words = {unit.replace("/", "-") for unit in listed(names)}
    return {tag for word in words for tag in (word, f"unit-{word}", f"machine-{word}")}


def _follow(log: Any) -> Iterator[str]:
    while True:
        sys.stdout.flush()
        line = log.readline()
        if line:
            yield line
        else:
            time.sleep(0.5)


def _activity(activity: dict[str, Any]) -> str:
    now = ", ".join(
        f"{item['unit']} {item['what']} ({item['seconds']:.0f} s)" for item in activity["running"]
    )
    then = ", ".join(f"{item['unit']} {item['what']}" for item in activity["next"])
    return f"Runs now: {now or 'nothing'}\nNext: {then or 'nothing'}"
