"""Verbs on this clone: packing, locking, drawing, testing."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_model import bundle as bundles
from openinfra_model.cli.client import CliError
from openinfra_model.cli.output import table, tell
from openinfra_model.cli.project import ROOT
from openinfra_model.cli.verb import argument, verb
from openinfra_model.devtools import graph as drawing
from openinfra_model.devtools import pack as packing
from openinfra_model.devtools import relock as locking
from openinfra_model.document import DocumentError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

    from openinfra_model.cli.client import Client

_SUITES = ("lint", "unit", "contract", "rehearsal", "integration")
_ENGINE = "engine"
"""The suite of the engine's own faults, and its name beside those of charms."""
_FAULTS = ROOT / "tests/faults"


@contextmanager
def _refusals() -> Generator[None]:
    """Turn what the tools refuse into the command line's own error."""
    try:
        yield
    except (DocumentError, locking.RelockError, packing.PackError) as error:
        raise CliError(str(error)) from error


@verb(
    argument("names", nargs="*", metavar="NAME", help="charms to pack (default: all)"),
    argument("--stage", action="store_true", help="write copies that charmcraft pack can use, no archives"),
)
def pack(_: Client, arguments: argparse.Namespace) -> None:
    """Pack charms into `build/`."""
    with _refusals():
        if arguments.stage:
            for path in packing.stage(ROOT, arguments.names):
                print(f"{path.relative_to(ROOT)}: ready for charmcraft pack")
            return
        for packed in packing.pack(ROOT, arguments.names):
            state = "packed" if packed.changed else "unchanged"
            print(f"{packed.path.relative_to(ROOT)}: {state}, sha256 {packed.sha256[:12]}")


@verb(
    argument("names", nargs="*", metavar="NAME", help="charms to lock (default: all with a releases.toml)"),
    argument(
        "--constraints",
        action="append",
        default=[],
        metavar="RELEASE=FILE",
        help="upper-constraints of a release, a file or a URL "
        f"(default: {locking.CONSTRAINTS.format(release='RELEASE')})",
    ),
)
def relock(_: Client, arguments: argparse.Namespace) -> None:
    """Lock the releases of OpenStack that charms bring."""
    with _refusals():
        for line in locking.lock(ROOT, arguments.names, arguments.constraints):
            print(line, flush=True)


@verb(
    argument("bundle", nargs="?", type=Path, help="the bundle to draw (default: bundles/openinfra.yaml)"),
    argument("--overlay", type=Path, action="append", default=[], help="an overlay to merge; repeatable"),
    argument("-o", "--output", type=Path, help="the file to write (default: standard output)"),
)
def graph(_: Client, arguments: argparse.Namespace) -> None:
    """Draw a bundle as SVG."""
    with _refusals():
        svg = drawing.draw(
            bundles.load(arguments.bundle or ROOT / "bundles/openinfra.yaml", arguments.overlay)
        )
    if arguments.output is None:
        sys.stdout.write(svg)
        return
    arguments.output.write_text(svg, encoding="utf-8")
    print(f"{arguments.output}: drawn")


@verb(
    argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"a suite of tox.ini (default: {' '.join(_SUITES)}), or a charm",
    ),
    argument(
        "--faults", action="store_true", help="break things on purpose, of all charms or of those named"
    ),
)
def test(_: Client, arguments: argparse.Namespace) -> int:
    """Run the test suites in their order, each to its end, and show how long each took."""
    runs: list[tuple[str, tuple[str, ...]]] = [(suite, ()) for suite in arguments.names or _SUITES]
    if arguments.faults:
        runs = _fault_runs(arguments.names)
    rows = [_run_suite(suite, files) for suite, files in runs]
    tell("\n" + table([("Suite", "Result", "Minutes"), *rows], right=(2,)))
    return 1 if any(result == "failed" for _, result, _ in rows) else 0


def _fault_runs(names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the suites, with their files, that break things of these charms; of all where none is named.

    Raises:
        CliError: There are no such tests.
    """
    files = {
        path.stem.removeprefix("test_").replace("_", "-"): str(path)
        for path in sorted(_FAULTS.glob("test_*.py"))
    }
    if unknown := sorted(set(names) - {*files, _ENGINE}):
        raise CliError(
            f"there are no fault tests for {unknown[0]!r}: choose from {', '.join([_ENGINE, *files])}"
        )
    chosen = tuple(path for name, path in files.items() if name in names or not names)
    engine = [(_ENGINE, ())] if _ENGINE in names or not names else []
    return [*engine, ("faults", chosen)] if chosen else engine


def _run_suite(suite: str, arguments: tuple[str, ...]) -> tuple[str, str, str]:
    """Run a suite with arguments for pytest; return its row of the table."""
    started = time.monotonic()
    command = [f"{sys.prefix}/bin/tox", "run", "-e", suite, *(("--", *arguments) if arguments else ())]
    done = subprocess.run(command, cwd=ROOT, check=False)
    minutes = (time.monotonic() - started) / 60
    return suite, "failed" if done.returncode else "passed", f"{minutes:.1f}"
