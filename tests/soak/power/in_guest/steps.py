"""What is done to files, step by step, decided by a seed; and what is there after each step. Guest and host share it."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

SLOTS = 16
LONGEST = 20_000
IN_A_FOLDER = 12


@dataclass(frozen=True)
class Step:
    """One change: `kind` is write, link, remove, move_folder or allocate."""

    number: int
    kind: str
    path: str
    content: str = ""


def steps(seed: int):
    """Yield steps without end; paths are below a folder of their own, and no content comes twice."""
    chance = random.Random(seed)
    number = 0
    while True:
        number += 1
        slot = f"slots/{chance.randrange(SLOTS)}"
        kind = chance.choices(("write", "link", "remove", "deep", "move", "allocate"), (10, 2, 3, 3, 2, 1))[0]
        text = f"{number} {hashlib.sha256(f'{seed} {number}'.encode()).hexdigest()} "
        content = (text * (chance.randrange(LONGEST) // len(text) + 1)).rstrip()
        if kind == "deep":
            yield Step(number, "write", f"deep/{number}/a/b/file", content)
        elif kind == "move":
            yield Step(number, "move_folder", f"moved/{number}", content)
        elif kind == "allocate":
            yield Step(number, "allocate", f"sparse/{number}", "1000000")
        elif kind == "link":
            yield Step(number, "link", f"links/{chance.randrange(SLOTS)}", f"/nowhere/{number}")
        elif kind == "remove" and number % 3 == 0:
            yield Step(number, "remove", "moved")
        else:
            yield Step(number, kind, slot, content if kind == "write" else "")


def folder_content(step: Step) -> dict[str, str]:
    """Return the files of a folder that gets its name in one step."""
    return {f"{name % 3}/{name}": f"{name} {step.content[: 100 * name]}" for name in range(IN_A_FOLDER)}


def apply(tree: dict[str, str], step: Step) -> dict[str, str]:
    """Return what is there after a step: each path and what `describe` says of it."""
    rest = {
        path: what
        for path, what in tree.items()
        if path != step.path and not path.startswith(f"{step.path}/")
    }
    if step.kind == "write":
        rest[step.path] = describe(step.content.encode())
    elif step.kind == "link":
        rest[step.path] = f"link to {step.content}"
    elif step.kind == "allocate":
        rest[step.path] = describe(bytes(int(step.content)))
    elif step.kind == "move_folder":
        for name, content in folder_content(step).items():
            rest[f"{step.path}/{name}"] = describe(content.encode())
    return rest


def describe(content: bytes) -> str:
    """Return what tells a file's content from any other."""
    return f"{len(content)} bytes {hashlib.sha256(content).hexdigest()[:16]}"
