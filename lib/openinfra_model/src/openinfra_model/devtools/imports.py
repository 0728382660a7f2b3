"""Which modules of a package a program needs: those that it imports, and those that these import."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def needed(package: Path, programs: Iterable[Path]) -> set[Path]:
    """Return the files of a package that these files import, directly or by one another.

    What is imported for type checkers only is not. With a module go the packages that it is in, and what these have of
    other files, in a folder `files`.

    Args:
        package: The package's folder.
        programs: Python files that import it.

    Raises:
        SyntaxError: One of the files is no Python.
    """
    found: set[Path] = set()
    waiting = list(programs)
    while waiting:
        program = waiting.pop()
        for name in _imported(ast.parse(program.read_text(encoding="utf-8"), str(program))):
            new = set(_modules(package, name)) - found
            found |= new
            waiting += new
    data = {path.parent / "files" for path in found if path.name != "__init__.py"}
    return found | {path for folder in data for path in folder.rglob("*") if path.is_file()}


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, by full names; of `from a import b`, both `a` and `a.b`: it may be a module."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)


def _modules(package: Path, name: str) -> Iterator[Path]:
    """Yield the files that an import of this name reads."""
    parts = name.split(".")
    if parts[0] != package.name:
        return
    folder = package
    yield folder / "__init__.py"
    for part in parts[1:]:
        folder /= part
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"
        elif folder.with_suffix(".py").is_file():
            yield folder.with_suffix(".py")
            return
        else:
            return
