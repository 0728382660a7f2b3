"""Long lists page by page: an action has a minute, and Juju takes no more of a result than fits into one argument (128 KiB)."""

from __future__ import annotations

import json
import shlex
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openinfra_charm.machine import Machine

SECONDS = 20
"""How long a page may take before its last entry is begun: that one may take as long as two commands of radosgw-admin."""
BYTES = 64 << 10
"""How long a page may be, in JSON, before its last entry."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A part of a sorted list. `marker` is the name after which the next one begins; empty where this is the last one."""

    entries: list[Any]
    total: int
    marker: str

    def outcome(self, one: str, many: str, command: str) -> Outcome:
        """Return what an action says of it: how many there are, and the command that shows more."""
        found, shown = (one if self.total == 1 else many), len(self.entries)
        words = f"{self.total} {found}" if shown == self.total else f"{shown} of {self.total} {found}"
        if not self.marker:
            return Outcome(summary=words, result=self.entries)
        summary = f"{words}; go on with: {command} {shlex.quote(f'marker={self.marker}')}"
        return Outcome(summary=summary, result=self.entries, texts={"marker": self.marker})


def page(
    machine: Machine,
    names: Sequence[str],
    describe: Callable[[str], Any],
    *,
    marker: str,
    limit: int,
) -> Page:
    """Describe the names after a marker: no more than `limit` of them, and than there are time and room for.

    Args:
        machine: The machine, for its clock.
        names: All names, sorted.
        describe: What returns the entry of a name; None where it is gone by now.
        marker: The name after which to begin; empty: at the first.
        limit: The most entries.
    """
    begun, size = machine.now(), 0
    entries: list[Any] = []
    last = marker
    for name in names[bisect_right(names, marker) :]:
        enough = size >= BYTES or machine.now() - begun >= SECONDS
        if len(entries) == limit or (entries and enough):
            return Page(entries=entries, total=len(names), marker=last)
        last = name
        if (entry := describe(name)) is not None:
            entries.append(entry)
            size += len(json.dumps(entry))
    return Page(entries=entries, total=len(names), marker="")
