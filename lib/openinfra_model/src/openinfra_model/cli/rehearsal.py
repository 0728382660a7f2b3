"""The verb that plays a bundle in one process, under many orders of events and faults."""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import signal
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openinfra_model import bundle as bundles
from openinfra_model.cli.client import CliError
from openinfra_model.cli.output import table, tell
from openinfra_model.cli.project import ROOT
from openinfra_model.cli.verb import argument, pairs, verb
from openinfra_model.devtools import pack as packing
from openinfra_model.document import DocumentError
from openinfra_model.rehearsal import invariants
from openinfra_model.rehearsal.commands import NotPlayedError
from openinfra_model.rehearsal.faults import FAULTS, HARD
from openinfra_model.rehearsal.guard import TouchesThisMachineError
from openinfra_model.rehearsal.play import Plot
from openinfra_model.rehearsal.rehearse import Rehearsal, Report, summary
from openinfra_model.rehearsal.stage import Stage, find_twins

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from openinfra_model.bundle import Bundle
    from openinfra_model.cli.client import Client
    from openinfra_model.rehearsal.rehearse import Found

_INTERRUPTED = 130
"""What a shell says of a program that an interrupt has ended."""
_WATCH_SECONDS = 0.3
_CHANGES_SHOWN = 3
"""Changes of a step that the timeline shows; the file has them all."""


@verb(
    argument("bundle", nargs="?", type=Path, default=ROOT / "bundles" / "openinfra.yaml"),
    argument("--overlay", action="append", default=[], metavar="FILE"),
    argument(
        "--units",
        action="append",
        default=[],
        metavar="APP=N",
        help="other numbers of units than the bundle's",
    ),
    argument("--schedules", type=int, default=100, metavar="N", help="how many to play (100)"),
    argument("--seed", type=int, default=1, metavar="S", help="the same seed plays the same schedules (1)"),
    argument(
        "--do",
        action="append",
        default=[],
        metavar="COMMAND",
        help="then do this, such as 'remove-unit ceph/0'",
    ),
    argument(
        "--usual",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="first do what operators usually do, such as adding disks (the default)",
    ),
    argument(
        "--hasty",
        action="store_true",
        help="do each --do while the one before is still under way",
    ),
    argument(
        "--operations",
        type=int,
        default=1,
        metavar="N",
        help="at most so many more changes, drawn from what operators do (1)",
    ),
    argument(
        "--faults",
        default=",".join(FAULTS),
        metavar="LIST",
        help=f"which may strike ({','.join((*FAULTS, *HARD))}); or none",
    ),
    argument(
        "--twins",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a charm's source with tests/twins/rehearsal.py, or a folder of several; "
        "not needed for this clone's, nor where the archive lies in the source",
    ),
    argument("--jobs", type=int, default=1, metavar="N", help="processes that play (1)"),
    argument(
        "--no-shrink",
        action="store_true",
        help="report a violation at once, without looking for a shorter schedule",
    ),
    argument("--replay", type=Path, metavar="FILE", help="play a saved schedule again"),
    argument(
        "--save", type=Path, default=Path("rehearsal.json"), metavar="FILE", help="where a violation is saved"
    ),
)
def rehearse(_: Client, arguments: argparse.Namespace) -> int:
    """Play a bundle's deployment and operation without a machine; exit code 1 when an invariant does not hold."""
    if arguments.replay:
        return _replay(arguments.replay)
    asked: dict[str, Any] = {
        "bundle": str(arguments.bundle.resolve()),
        "overlays": [str(Path(overlay).resolve()) for overlay in arguments.overlay],
        "twins": _twins(arguments.twins),
        "units": _counts(arguments.units),
        "do": list(arguments.do),
        "usual": arguments.usual,
        "hasty": arguments.hasty,
        "operations": arguments.operations,
        "faults": _faults(arguments.faults),
        "shrink": not arguments.no_shrink,
    }
    _prepare(asked["bundle"])
    shares = _shares(arguments.schedules, arguments.jobs, arguments.seed)
    watch = _Watch(arguments.schedules)
    if len(shares) == 1:
        report = _play(asked, *shares[0], watch.show)
    else:
        report = _play_in_processes(asked, shares, watch)
    watch.clear()
    return _tell(report, asked, arguments.save)


def _counts(words: list[str]) -> dict[str, int]:
    try:
        return {name: int(count) for name, count in pairs(words).items()}
    except ValueError as error:
        raise CliError(f"--units takes APPLICATION=NUMBER: {error}") from error


def _twins(folders: Sequence[Path]) -> list[str]:
    for folder in folders:
        if not find_twins(folder):
            raise CliError(
                f"--twins {folder}: no charm with a twin there: expected charmcraft.yaml and tests/twins/rehearsal.py "
                "in it, or in folders in it"
            )
    return [str(folder.resolve()) for folder in folders]


def _faults(text: str) -> list[str]:
    names = [] if text == "none" else [name for name in text.split(",") if name]
    if unknown := [name for name in names if name not in {*FAULTS, *HARD}]:
        raise CliError(f"--faults: {unknown[0]!r} is none of {', '.join((*FAULTS, *HARD))}; or none")
    return names


def _shares(schedules: int, jobs: int, seed: int) -> list[tuple[int, int]]:
    """Divide schedules among processes, each with a seed of its own."""
    count = max(1, min(jobs, schedules))
    return [
        (schedules // count + (index < schedules % count), seed + 1_000_003 * index) for index in range(count)
    ]


def _prepare(bundle: str) -> None:
    """Pack the charms, if the bundle is this clone's."""
    if Path(bundle).is_relative_to(ROOT):
        packing.pack(ROOT)


def _load(asked: Mapping[str, Any], folder: Path) -> Stage:
    try:
        bundle = bundles.load(Path(asked["bundle"]), [Path(path) for path in asked["overlays"]])
    except DocumentError as error:
        raise CliError(str(error)) from error
    twins = map(Path, asked.get("twins", []))
    return Stage(_resized(bundle, asked["units"]), folder, ROOT / "charms", *twins)


def _resized(bundle: Bundle, units: Mapping[str, int]) -> Bundle:
    if unknown := units.keys() - bundle.applications.keys():
        raise CliError(f"--units: the bundle has no application {min(unknown)!r}")
    applications = {
        name: replace(application, units=units[name], to=()) if name in units else application
        for name, application in bundle.applications.items()
    }
    return replace(bundle, applications=applications)


def _plot(asked: Mapping[str, Any]) -> Plot:
    return Plot(
        operations=tuple(asked["do"]),
        usual=asked["usual"],
        hasty=asked.get("hasty", False),
        undertakings=asked["operations"],
        faults=tuple(asked["faults"]),
    )


def _play(asked: Mapping[str, Any], schedules: int, seed: int, progress: Callable[[Report], None]) -> Report:
    with tempfile.TemporaryDirectory() as folder, _told():
        return Rehearsal(_load(asked, Path(folder)), _plot(asked), progress).run(
            schedules, seed, shrink=asked["shrink"]
        )


@contextlib.contextmanager
def _told() -> Generator[None]:
    """Tell of what cannot be rehearsed."""
    try:
        yield
    except TouchesThisMachineError as error:
        raise CliError(str(error)) from None
    except NotPlayedError as error:
        raise CliError(f"--do: {error}") from None


class _Watch:
    """A line on the terminal that says how far a rehearsal is."""

    def __init__(self, schedules: int) -> None:
        self._schedules = schedules
        self._begun = time.monotonic()
        self._shown = sys.stderr.isatty()

    def show(self, report: Report) -> None:
        """Tell of what one process has played."""
        self.tell(report.schedules, found=report.found is not None)

    def tell(self, played: int, *, found: bool) -> None:
        """Tell how many schedules were played, and whether one violates an invariant."""
        rate = 60 * played / max(time.monotonic() - self._begun, 1)
        seeking = "; one violates an invariant, looking for a shorter one" if found else ""
        self._write(f"{played} of {self._schedules} schedules, {rate:.0f} a minute{seeking}")

    def clear(self) -> None:
        """Take the line away."""
        self._write("")

    def _write(self, line: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\033[K{line}")
            sys.stderr.flush()


_PLAYED, _FOUND, _STOP = 0, 1, 2
_shared: Any = None
"""In a process that plays: how many schedules all have played, how many violations they found, whether to stop."""


def _play_in_processes(asked: Mapping[str, Any], shares: Sequence[tuple[int, int]], watch: _Watch) -> Report:
    """Have several processes play; at an interrupt they hand in what they have."""
    shared = multiprocessing.Array("q", 3)
    report = Report(seed=shares[0][1])
    with multiprocessing.Pool(len(shares), _begin, (shared,)) as pool:
        result = pool.starmap_async(_play_share, [(asked, *share) for share in shares])
        while not result.ready():
            try:
                result.wait(_WATCH_SECONDS)
            except KeyboardInterrupt:
                shared[_STOP] = 1
            watch.tell(shared[_PLAYED], found=shared[_FOUND] > 0)
        for other in result.get():
            report.merge(other)
    return report


def _begin(shared: Any) -> None:
    global _shared  # noqa: PLW0603  what a pool hands to its processes
    _shared = shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _play_share(asked: Mapping[str, Any], schedules: int, seed: int) -> Report:
    return _play(asked, schedules, seed, _count)


def _count(report: Report) -> None:
    """Count a schedule.

    Raises:
        KeyboardInterrupt: The operator has had enough.
    """
    with _shared.get_lock():
        _shared[_FOUND if report.found else _PLAYED] += 1
    if _shared[_STOP]:
        raise KeyboardInterrupt


def _replay(path: Path) -> int:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        asked, picks = kept["asked"], tuple(kept["picks"])
    except (OSError, ValueError, KeyError) as error:
        raise CliError(f"{path} is not a saved rehearsal: {error}") from error
    _prepare(asked["bundle"])
    with tempfile.TemporaryDirectory() as folder, _told():
        report = Rehearsal(_load(asked, Path(folder)), _plot(asked)).replay(picks)
    return _tell(report, asked, None)


def _tell(report: Report, asked: Mapping[str, Any], save: Path | None) -> int:
    """Tell what was seen; return the exit code."""
    if report.found:
        _tell_violation(report.found)
        if save:
            save.write_text(
                json.dumps({"asked": asked, **asdict(report.found)}, indent=1) + "\n", encoding="utf-8"
            )
            tell(f"\nTo play it again: ./openinfra rehearse --replay {save}")
    how = "interrupted after" if report.interrupted else "played"
    rate = f", {60 * report.schedules / report.seconds:.0f} a minute" if report.seconds else ""
    tell(
        f"\n{how} {report.schedules} schedules that hold in {report.seconds:.0f} s{rate} (seed {report.seed})"
    )
    if report.without_twin:
        names = ", ".join(report.without_twin)
        tell(
            f"Played without a twin of the software they manage: {names}\n"
            "A twin is tests/twins/rehearsal.py in a charm's source; --twins DIR says where that is"
        )
    if report.hooks:
        rows = [("Application", "Hooks per unit: median", "worst")]
        rows += [
            (name, *(f"{count:g}" for count in summary(counts)))
            for name, counts in sorted(report.hooks.items())
        ]
        tell(table(rows, right=(1, 2)))
    if restarts := {name: count for name, count in report.restarts.items() if count}:
        tell("Restarts, at most: " + ", ".join(f"{name} {count}" for name, count in sorted(restarts.items())))
    return 1 if report.found else _INTERRUPTED if report.interrupted else 0


def _tell_violation(found: Found) -> None:
    known = next(invariant for invariant in invariants.ALL if invariant.name == found.invariant)
    for number, step in enumerate(found.timeline):
        changes = "; ".join(step.changes[:_CHANGES_SHOWN])
        more = (
            f"; and {len(step.changes) - _CHANGES_SHOWN} more" if len(step.changes) > _CHANGES_SHOWN else ""
        )
        tell(f"{number:4}  {step.what}")
        if changes:
            tell(f"        {changes}{more}")
        if step.status and not step.status.startswith("active"):
            tell(f"        {step.status}")
    tell(f"\nViolated: {known.name}: {known.sentence}.\n{found.what}")
