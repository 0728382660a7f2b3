"""HAProxy's own words: what it answers on its socket (management guide, "show stat", "show servers state")."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAINED = 0x08
"""The bit of a server's administrative state that drains it."""
_STOPPED = "0"
"""The operational state of a server that is down."""
_ROW_OF_SERVER = 23
"""The columns that a server's row has, at least, in what `show servers state` prints."""


class NoAnswerError(Exception):
    """HAProxy does not answer; the message is what there is to say."""


class InvalidConfigError(Exception):
    """HAProxy does not take a configuration; the message names the route and the reason.

    `section` is the line of the configuration that begins the section which it complains of; empty if it names none.
    """

    def __init__(self, message: str, *, section: str = "") -> None:
        self.section = section
        super().__init__(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A backend as HAProxy sees it: `seconds` since it became `status`, for the reason `why`."""

    route: str
    server: str
    status: str
    why: str
    seconds: int
    sessions: int
    total: int


def servers(answer: str) -> list[Server]:
    """Read the answer to `show stat`."""
    rows = csv.DictReader(answer.removeprefix("# ").strip().splitlines())
    return [
        Server(
            route=row["pxname"],
            server=row["svname"],
            status=row["status"],
            why=" ".join(
                word
                for word in (row["check_status"].lstrip("* "), row["check_code"], row["last_chk"])
                if word
            ),
            seconds=int(row["lastchg"] or 0),
            sessions=int(row["scur"] or 0),
            total=int(row["stot"] or 0),
        )
        for row in rows
        if row["svname"] not in {"FRONTEND", "BACKEND"} and row["type"] == "2"
    ]


def description(answer: str) -> str:
    """Return from the answer to `show info`, or from a configuration, which one it is."""
    found = re.search(r"^ *description:? (\S+)$", answer, re.MULTILINE)
    return found[1] if found else ""


def drained(answer: str) -> dict[tuple[str, str], bool]:
    """Read from the answer to `show servers state` whether each server is drained, by route and server."""
    return dict(_drained(answer))


def up(answer: str) -> dict[str, int]:
    """Read from the answer to `show servers state` how many servers of each backend are not down."""
    counts: dict[str, int] = {}
    for line in answer.splitlines():
        words = line.split()
        if len(words) >= _ROW_OF_SERVER and words[0].isdecimal():
            counts[words[1]] = counts.get(words[1], 0) + (words[5] != _STOPPED)
    return counts


def _drained(answer: str) -> Iterator[tuple[tuple[str, str], bool]]:
    for line in answer.splitlines():
        words = line.split()
        if len(words) >= _ROW_OF_SERVER and words[0].isdecimal():
            yield (words[1], words[3]), bool(int(words[6]) & DRAINED)


def invalid(complaint: str, config: str) -> InvalidConfigError:
    """Return what HAProxy complains of, with the section that the line it names is in."""
    lines = config.splitlines()
    alerts = [
        line for line in complaint.splitlines() if "[ALERT]" in line and "fatal" not in line.lower()
    ] or [complaint.strip()]
    text = alerts[0].partition(" : ")[2] or alerts[0]
    number = next(
        (part.partition("]")[0] for part in text.split(":")[1:] if part.partition("]")[0].isdecimal()), ""
    )
    before = lines[: int(number)] if number else []
    section = next((line for line in reversed(before) if line.startswith(("backend ", "frontend "))), "")
    return InvalidConfigError(f"{section}: {text.strip()}" if section else text.strip(), section=section)
