"""Runs in the guest: `write SEED` and `careless SEED` change files without end, `show` tells what is there, `mend` goes on.

`write` does it as charms do. `careless` does the same with no thought of a power loss.
"""

import itertools
import json
import os
import pathlib
import shutil
import sys

import steps
from ledger import Ledger

from openinfra_charm.machine import Machine, is_unfinished

HOME = pathlib.Path("/srv/data/files")
SCRATCH = pathlib.Path("/srv/data/scratch")


class Careless:
    """A file gets its content beside its place and is renamed; nothing is synced."""

    def write(self, path: str, content: str) -> None:
        place = pathlib.Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f".{place.name}.new")
        beside.write_text(content)
        beside.rename(place)

    def link(self, path: str, target: str) -> None:
        beside = pathlib.Path(path).with_name(".link.new")
        beside.symlink_to(target)
        beside.rename(path)

    def remove(self, path: str) -> None:
        place = pathlib.Path(path)
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)

    def move_folder(self, path: str, new: str) -> None:
        pathlib.Path(path).rename(new)

    def allocate(self, path: str, size: int) -> None:
        with pathlib.Path(path).open("xb") as file:
            file.truncate(size)


def change(machine, step: steps.Step) -> None:
    path = str(HOME / step.path)
    if step.kind == "write":
        machine.write(path, step.content)
    elif step.kind == "link":
        machine.link(path, step.content)
    elif step.kind == "remove":
        machine.remove(path)
    elif step.kind == "allocate":
        machine.allocate(path, int(step.content))
    elif step.kind == "move_folder":
        built = SCRATCH / str(step.number)
        for name, content in steps.folder_content(step).items():
            (built / name).parent.mkdir(parents=True, exist_ok=True)
            (built / name).write_text(content)
        (HOME / step.path).parent.mkdir(exist_ok=True)
        machine.move_folder(str(built), path)


def play(machine, seed: int) -> None:
    for name in ("slots", "links", "sparse"):
        (HOME / name).mkdir(parents=True, exist_ok=True)
    SCRATCH.mkdir(exist_ok=True)
    os.sync()
    ledger = Ledger()
    for step in steps.steps(seed):
        change(machine, step)
        ledger.enter(str(step.number))


def show() -> dict[str, str]:
    found = {}
    for folder, _, names in os.walk(HOME):
        for path in (pathlib.Path(folder, name) for name in names):
            what = f"link to {path.readlink()}" if path.is_symlink() else steps.describe(path.read_bytes())
            found[str(path.relative_to(HOME))] = what
    return found


def mend() -> None:
    """Write once more whatever was being written when the power went, and every slot."""
    machine = Machine()
    unfinished = [name for name in show() if is_unfinished(name)]
    real = [HOME / name.replace("/.", "/").removesuffix(".new") for name in unfinished]
    for path in (*real, *(HOME / "slots" / str(number) for number in range(steps.SLOTS))):
        if path.is_symlink() or "links" in path.parts:
            machine.link(str(path), "/mended")
        else:
            machine.write(str(path), "mended")
            assert path.read_text() == "mended", path
    left = [name for name in show() if is_unfinished(name)]
    assert not left, left


def main(verb: str, *arguments: str) -> None:
    if verb == "show":
        sys.stdout.write(json.dumps(show()))
    elif verb == "mend":
        mend()
    else:
        play(Machine() if verb == "write" else Careless(), int(arguments[0]))


if __name__ == "__main__":
    main(*itertools.islice(sys.argv, 1, None))
