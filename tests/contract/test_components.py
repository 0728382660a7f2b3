"""Modules are components with explicit inputs: only `charm.py` and the actions know the charm, and none go in circles."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from .conftest import NAMES, ROOT
from .test_charms import import_statements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIBRARY = ROOT / "lib/openinfra_charm/src"
PARTS = ("ceph", "daemon", "interfaces", "machine")
"""The packages of the library that know no charm; `model` and `openstack` are what a charm is made with."""


def components(name: str) -> list[Path]:
    """Return the modules of a charm that must not know it."""
    source = ROOT / "charms" / name / "src"
    return sorted(
        path
        for path in source.rglob("*.py")
        if path != source / "charm.py" and path.parent != source / "actions"
    )


def knowledge(text: str) -> Iterator[str]:
    """Yield where a module imports the charm, for type checkers alone too, or takes it as a parameter."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names) if any(alias.name == "charm" for alias in names):
                yield f"line {node.lineno}: imports the charm"
            case ast.ImportFrom(module="charm"):
                yield f"line {node.lineno}: imports the charm"
            case ast.arg(arg="charm"):
                yield f"line {node.lineno}: takes the charm"
            case ast.arg(annotation=ast.expr() as annotation) if "CharmBase" in ast.unparse(annotation):
                yield f"line {node.lineno}: takes the charm as {node.arg}"
            case _:
                pass


def graph(root: Path) -> dict[str, set[str]]:
    """Return which modules below a folder import which others there when they run."""
    paths = {module_name(path, root): path for path in root.rglob("*.py")}
    return {name: set(imported(path, set(paths))) - {name} for name, path in paths.items()}


def module_name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path, known: set[str]) -> Iterator[str]:
    """Yield the known modules that a file imports: of `from package import name` the module `name`, if it is one."""
    for node in import_statements(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            within = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else str(node.module) for name in within]
        yield from known & set(names)


def circle(modules: dict[str, set[str]]) -> list[str]:
    """Return a circle in which modules import each other; empty where there is none."""
    try:
        TopologicalSorter(modules).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize(
    "text",
    [
        "from charm import ProbeCharm",
        "if TYPE_CHECKING:\n    from charm import ProbeCharm",
        "def publish(charm: Any): ...",
        "def publish(*, charm): ...",
        "class Clients:\n    def __init__(self, host: ops.CharmBase | None): ...",
        "lambda charm: charm.unit",
    ],
)
def test_a_module_that_knows_the_charm_is_found(text):
    assert list(knowledge(text))


def test_a_circle_is_found(tmp_path):
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe/__init__.py").write_text("from probe.one import x\n")
    (tmp_path / "probe/one.py").write_text("def x():\n    from probe import two\n")
    (tmp_path / "probe/two.py").write_text("import probe.one\n")
    assert set(circle(graph(tmp_path))) == {"probe.one", "probe.two"}
    (tmp_path / "probe/two.py").write_text("if TYPE_CHECKING:\n    import probe.one\n")
    assert circle(graph(tmp_path)) == []


@pytest.mark.parametrize("name", NAMES)
def test_only_charm_py_and_actions_know_the_charm(name):
    found = {str(path.relative_to(ROOT)): list(knowledge(path.read_text())) for path in components(name)}
    assert {path: places for path, places in found.items() if places} == {}


@pytest.mark.parametrize("part", PARTS)
def test_these_parts_of_the_library_know_no_charm(part):
    package = LIBRARY / "openinfra_charm"
    paths = {str(path.relative_to(package)): path for path in (package / part).rglob("*.py")}
    found = {name: list(knowledge(path.read_text())) for name, path in paths.items()}
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_modules_of_a_charm_do_not_import_each_other_in_a_circle(name):
    assert circle(graph(ROOT / "charms" / name / "src")) == []


def test_the_modules_of_the_library_do_not_import_each_other_in_a_circle():
    assert circle(graph(LIBRARY)) == []
