"""Many schedules: drawn by Hypothesis from a seed, shrunk to the shortest that violates an invariant, and reported."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from openinfra_model.rehearsal import invariants
from openinfra_model.rehearsal.invariants import Violation
from openinfra_model.rehearsal.play import Listed, Play

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_model.rehearsal.play import Plot, Step
    from openinfra_model.rehearsal.stage import Stage
    from openinfra_model.rehearsal.world import World

SHRINK_SECONDS = 60
"""How long a shorter schedule is looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A schedule that violates an invariant: its decisions, from which it can be played again, and what happened."""

    invariant: str
    what: str
    picks: tuple[int, ...]
    timeline: tuple[Step, ...]


@dataclass(kw_only=True)
class Report:
    """What a rehearsal has seen."""

    seed: int
    schedules: int = 0
    seconds: float = 0
    hooks: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """Of each application: the hooks that each of its units took, in every schedule."""
    restarts: Counter[str] = field(default_factory=Counter[str])
    """Of each service: its starts after the first, in the schedule with the most."""
    without_twin: tuple[str, ...] = ()
    """The charms that were played on their machine alone."""
    found: Found | None = None
    interrupted: bool = False

    def add(self, world: World) -> None:
        """Count a schedule that held to all invariants."""
        self.schedules += 1
        for unit in world.state.units:
            self.hooks.setdefault(unit.application, []).append(world.hooks[unit.name])
        for machine in world.machines.values():
            for service, starts in machine.starts.items():
                name = service.partition("@")[0].removesuffix(".service")
                self.restarts[name] = max(self.restarts[name], starts - 1)

    def merge(self, other: Report) -> None:
        """Add what another process has seen."""
        self.schedules += other.schedules
        self.seconds = max(self.seconds, other.seconds)
        self.without_twin = other.without_twin
        for application, counts in other.hooks.items():
            self.hooks.setdefault(application, []).extend(counts)
        for service, starts in other.restarts.items():
            self.restarts[service] = max(self.restarts[service], starts)
        shorter = other.found and (self.found is None or len(other.found.timeline) < len(self.found.timeline))
        self.found = other.found if shorter else self.found
        self.interrupted = self.interrupted or other.interrupted


class Drawn:
    """Decisions that Hypothesis draws, and shrinks towards the plainest."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def pick(self, options: int) -> int:
        """Return a number from 0 to `options - 1`."""
        return self._data.draw(st.integers(0, options - 1))


class Rehearsal:
    """Plays a plot on a stage."""

    def __init__(self, stage: Stage, plot: Plot, progress: Callable[[Report], None] = lambda _: None) -> None:
        self._stage = stage
        self._plot = plot
        self._progress = progress
        self._files: dict[str, dict[str, int]] = {}
        """Hashes of the machines' files, by what the model said in the end."""

    def run(self, schedules: int, seed: int, *, shrink: bool = True) -> Report:
        """Play schedules until one violates an invariant; return what was seen."""
        report = Report(seed=seed, without_twin=self._stage.without_twin())
        begun = time.monotonic()
        found_at: list[float] = []

        def body(data: Any) -> None:
            if report.found and time.monotonic() > found_at[0] + SHRINK_SECONDS:
                return  # Nothing shorter is looked for any more: what seems to hold is not followed.
            try:
                self._play(Drawn(data), report)
            except Violation:
                found_at.append(time.monotonic())
                raise

        phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
        options = settings(
            max_examples=max(schedules - 1, 1), deadline=None, database=None, phases=phases, verbosity=Verbosity.quiet,
            report_multiple_bugs=False, suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example),
        )  # fmt: skip
        try:
            # The model left alone comes first: what it comes to is what the others are compared with.
            self._play(Listed(), report)
            if schedules > 1:
                seeded(seed)(options(given(st.data())(body)))()
        except (Violation, Flaky):
            pass
        except KeyboardInterrupt:
            report.interrupted = True
        report.seconds = time.monotonic() - begun
        return report

    def replay(self, picks: tuple[int, ...]) -> Report:
        """Play one schedule again."""
        report = Report(seed=0, without_twin=self._stage.without_twin())
        begun = time.monotonic()
        with contextlib.suppress(Violation):
            self._play(Listed(picks), report)
        report.seconds = time.monotonic() - begun
        return report

    def _play(self, choices: Any, report: Report) -> None:
        play = Play(self._stage, self._plot, choices)
        try:
            world = play.run()
            self._check_files(world)
        except Violation as violation:
            report.found = Found(
                invariant=violation.invariant.name,
                what=violation.what,
                picks=tuple(play.picks),
                timeline=tuple(play.timeline),
            )
            self._progress(report)
            raise
        report.add(world)
        self._progress(report)

    def _check_files(self, world: World) -> None:
        files = invariants.final_files(world)
        invariants.check_files(self._files.setdefault(invariants.model_end(world), files), files)


def summary(counts: list[int]) -> tuple[float, int]:
    """Return the median and the worst."""
    return statistics.median(counts), max(counts)
