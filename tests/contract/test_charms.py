"""What every charm keeps to, so that who knows one knows all."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from charmcraft.models.config import JujuConfig
from charmcraft.models.project import PlatformCharm

from openinfra_charm.openstack.actions import STANDARD
from openinfra_model.pack import charm_names

ROOT = Path(__file__).parents[2]
KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RESULT_KEY = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
BARE_NUMBER = ["string", "integer"]
"""The type of a text that a person may give as a bare number: Juju reads osd-ids=6 as one."""
SCALARS = {"string": "str", "integer": "int", "boolean": "bool", "number": "float"}
MAX_CHARM_LINES = 300

# Prints, for each of the actions named as arguments, the parameters that it takes: type and default. Those that every API has are
# in the shared package, if the charm has no module of that name.
DESCRIBE_ACTIONS = """\
import dataclasses, importlib, importlib.util, json, sys
def find(name):
    if importlib.util.find_spec("actions." + name.replace("-", "_")) is None:
        return importlib.import_module("openinfra_charm.openstack.actions").STANDARD[name]
    module = importlib.import_module("actions." + name.replace("-", "_"))
    return type("Action", (), {"params": module.Params, "run": module.run})
def describe(field):
    required = field.default is dataclasses.MISSING
    return {"type": str(field.type), "required": required, "default": None if required else field.default}
print(json.dumps({
    name: {field.name: describe(field) for field in dataclasses.fields(action.params)}
    for name in sys.argv[1:]
    if callable((action := find(name)).run)
}))
"""


def run_python(unpacked, *arguments):
    """Run this Python on the charm's own packages, without those of the tests, and return what it prints."""
    paths = [str(unpacked / name) for name in ("lib", "src", "venv")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-S", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_charms():
    assert {"ceph", "host"} <= set(charm_names(ROOT))


def test_charmcraft_takes_it(source):
    project = PlatformCharm.unmarshal(source.project)

    assert project.name == f"openinfra-{source.name}"
    JujuConfig.model_validate(source.project.get("config", {}))


def test_its_rooms_are_there(source):
    for name in ("README.md", "src/charm.py", "tests/unit"):
        assert (source.path / name).exists(), name
    renders = any(
        word in file.read_text() for file in source.path.glob("src/*.py") for word in ("Templates(", "Spec(")
    )
    assert (source.path / "src/templates").exists() == renders
    assert (source.path / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_its_icon_is_a_square_of_100(source):
    icon = (source.path / "icon.svg").read_text()

    assert re.search(r"<svg[^>]*\bviewBox=\"0 0 100 100\"", icon)


def test_its_links_are_given(source):
    assert {"documentation", "source", "issues"} <= source.project["links"].keys()


def test_endpoints_say_whether_they_are_optional(source):
    for name, endpoint in source.endpoints.items():
        assert isinstance(endpoint, dict), name
        assert isinstance(endpoint.get("optional"), bool), name
        assert KEBAB.fullmatch(name), name


def test_interfaces_have_one_module_for_both_sides(source):
    modules = ROOT / "lib/openinfra_charm/src/openinfra_charm/interfaces"
    shared = {
        endpoint["interface"]
        for role in ("provides", "requires")
        for endpoint in source.project.get(role, {}).values()
        if endpoint["interface"] != "juju-info"
    }

    for interface in shared:
        assert (modules / f"{interface.replace('-', '_')}.py").is_file(), interface


def test_what_is_required_some_charm_provides(source, charms):
    provided = {
        end.interface
        for charm in charms.values()
        for end in charm.endpoints.values()
        if end.role == "provides"
    }

    for name, endpoint in source.project.get("requires", {}).items():
        assert endpoint["optional"] or endpoint["interface"] in provided, name


def test_options_are_described(source):
    for name, option in source.project.get("config", {}).get("options", {}).items():
        assert KEBAB.fullmatch(name), name
        assert len(option["description"].split()) > 2, name
        assert "type" in option, name


def test_actions_are_closed_and_say_where_they_run(source):
    for name, action in source.actions.items():
        assert KEBAB.fullmatch(name), name
        assert action["additionalProperties"] is False, name
        assert re.search(r"\b([Aa]ny unit|[Ll]eader)\b", action["description"]), name


def test_actions_take_described_scalars(source):
    for name, action in source.actions.items():
        params = action.get("params", {})
        for key, param in params.items():
            assert KEBAB.fullmatch(key), f"{name}: {key}"
            assert param["type"] == BARE_NUMBER or param["type"] in SCALARS, f"{name}: {key}"
            assert param["type"] == BARE_NUMBER or key not in {"osd-id", "osd-ids"}, f"{name}: {key}"
            assert param["description"], f"{name}: {key}"
        assert set(action.get("required", [])) <= params.keys(), name


def test_each_action_is_a_module_that_takes_its_parameters(source, unpacked):
    described = json.loads(run_python(unpacked, "-c", DESCRIBE_ACTIONS, *source.actions))

    for name, action in source.actions.items():
        params = {key.replace("-", "_"): param for key, param in action.get("params", {}).items()}
        assert described[name].keys() == params.keys(), name
        for key, field in described[name].items():
            kind = params[key]["type"]
            allowed = {
                "str" if kind == BARE_NUMBER else SCALARS[kind],
                *(["Literal"] if "enum" in params[key] else []),
            }
            assert field["type"].partition("[")[0] in allowed, f"{name}: {key}"
            if not field["required"] and "default" in params[key]:
                assert field["default"] == params[key]["default"], f"{name}: {key}"
        required = {key.replace("-", "_") for key in action.get("required", [])}
        with_default = {key for key, param in params.items() if "default" in param}
        assert {
            key for key, field in described[name].items() if field["required"]
        } <= required | with_default, name


def bound_names(node: ast.stmt) -> set[str]:
    """Return the function that a statement defines, or the names that it imports."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    return {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()


def test_actions_modules_are_all_declared(source):
    modules = {path.stem.replace("_", "-") for path in source.path.glob("src/actions/*.py")} - {"--init--"}
    called = {
        path.stem.replace("_", "-")
        for path in source.path.glob("src/actions/*.py")
        if any("run" in bound_names(node) for node in ast.parse(path.read_text()).body)
    }

    standard = STANDARD.keys() if is_an_openstack_api(source) else set()
    assert called == modules & source.actions.keys()
    assert source.actions.keys() == modules & source.actions.keys() | standard
    assert not modules & standard


def is_an_openstack_api(source):
    return "openinfra_charm.openstack.service" in set(runtime_imports(source.path / "src/charm.py"))


def test_an_openstack_api_has_what_all_have(source):
    if not is_an_openstack_api(source):
        return
    project = source.project
    assert {"release", "region", "workers", "debug", "extra-config"} <= project["config"]["options"].keys()
    assert {"cluster", "certificates", "gateway"} <= source.endpoints.keys()
    assert "internal" in project["extra-bindings"]


def test_an_openstack_apis_modules_are_given_what_they_need(source):
    """None but `charm.py` and the actions knows the charm, and none of them needs one that needs it."""
    if not is_an_openstack_api(source):
        return
    folder = source.path / "src"
    names = {path.stem for path in folder.glob("*.py")}
    imports = {name: all_imports(folder / f"{name}.py") & names for name in names}
    assert [name for name, imported in imports.items() if "charm" in imported] == []
    while leaves := [name for name, imported in imports.items() if not imported]:
        for name in leaves:
            del imports[name]
        imports = {name: imported - set(leaves) for name, imported in imports.items()}
    assert imports == {}


def all_imports(path):
    """Return the modules that a file imports, also for type checkers alone."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_charm_py_is_short(source):
    assert len((source.path / "src/charm.py").read_text().splitlines()) <= MAX_CHARM_LINES


def runtime_imports(path):
    """Return the modules that a file imports when it runs, not those that only type checkers read."""
    tree = ast.parse(path.read_text())
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_workload_imports_no_ops(source):
    """Neither do the modules that it consists of; what it is told comes from `state`."""
    waiting = [source.name.replace("-", "_")]
    seen = {"state"}
    while waiting:
        module = waiting.pop()
        path = source.path / "src" / f"{module.replace('.', '/')}.py"
        if module in seen or not path.exists():
            continue
        seen.add(module)
        imported = set(runtime_imports(path))
        assert not {name for name in imported if name.partition(".")[0] == "ops"}, module
        waiting += imported
    assert len(seen) > 1


def test_only_the_gateway_opens_ports(source):
    if source.name == "gateway":
        return
    for path in source.path.glob("src/**/*.py"):
        assert not re.search(r"\b(open_port|set_ports)\b", path.read_text()), path


def test_results_have_legal_names(source):
    """Results go through `openinfra_charm.model.actions`, which names them; none is named elsewhere."""
    for path in source.path.glob("src/**/*.py"):
        assert ".set_results(" not in path.read_text(), path
    perform = (ROOT / "lib/openinfra_charm/src/openinfra_charm/model/actions.py").read_text()
    for key in re.findall(r"results\[\"(.*?)\"\]|results = \{\"(.*?)\"", perform):
        assert RESULT_KEY.fullmatch("".join(key))


def test_errors_are_named(source):
    """Whoever catches everything passes it on."""
    for path in source.path.glob("src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "Exception"
                passed_on = isinstance(node.body[-1], ast.Raise)
                assert caught not in {"Exception", "BaseException"} or passed_on, f"{path}:{node.lineno}"


@pytest.mark.parametrize("word", [".defer()", "StoredState"])
def test_nothing_is_kept_for_later(source, word):
    for path in source.path.glob("src/**/*.py"):
        assert word not in path.read_text(), path
