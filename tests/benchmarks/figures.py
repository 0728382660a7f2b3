"""Figures with their budgets, as they are printed and as they stand in the documentation."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

MARK = "<!-- written by: tox -e benchmark -- --write-figures -->\n"
HEAD = ("What", "Measured", "Compared with", "Ratio", "Budget")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something measured, what it is compared with, and the most that their ratio may be."""

    what: str
    measured: float
    baseline: float
    of: str
    """What the baseline is."""
    unit: str
    budget: float
    details: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        return self.measured / self.baseline

    def row(self) -> tuple[str, ...]:
        return (
            self.what,
            f"{number(self.measured)} {self.unit}",
            f"{number(self.baseline)} {self.unit}: {self.of}",
            f"{self.ratio:.2f}",
            f"{self.budget:.2f}{'' if self.ratio <= self.budget else ' (missed)'}",
        )


def number(value: float) -> str:
    """Write a number with three digits that matter, and never fewer than it has before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


class Figures:
    """The figures of one run."""

    def __init__(self) -> None:
        self._figures: list[Figure] = []
        self._load = os.getloadavg()[0]

    def check(self, figure: Figure) -> None:
        """Note a figure, then hold it to its budget."""
        self._figures.append(figure)
        assert figure.ratio <= figure.budget, (
            f"{figure.what}: {figure.ratio:.2f} x {figure.of}, may be {figure.budget}"
        )

    def __bool__(self) -> bool:
        return bool(self._figures)

    def text(self) -> str:
        """Return all figures in Markdown, with the machine that they are of."""
        rows = [HEAD, tuple("---" for _ in HEAD), *(figure.row() for figure in self._figures)]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        for figure in self._figures:
            if figure.details:
                lines += ["", f"{figure.what}:", "", *(f"- {line}" for line in figure.details)]
        return "\n".join((f"{machine()}; load when it began: {self._load:.2f}.", "", *lines)) + "\n"

    def write(self, path: Path) -> None:
        """Put the figures in place of those that stand in a document after the mark."""
        explanation, mark, _ = path.read_text().partition(MARK)
        assert mark, f"{path} has no line {MARK}"
        path.write_text(f"{explanation}{MARK}\n{self.text()}")


def machine() -> str:
    """Describe this computer, and the day."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}: {os.cpu_count()} processors ({model}), "
        f"{memory:.0f} GiB, Linux {platform.release()}"
    )
