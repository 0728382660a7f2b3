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
from openinfra_model.devtools.pack import charm_names

ROOT = Path(__file__).parents[2]
KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RESULT_KEY = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
BARE_NUMBER = ["string", "integer"]
"""The type of a text that a person may give as a bare number: Juju reads osd-ids=6 as one."""
SCALARS = {"string": "str", "integer": "int", "boolean": "bool", "number": "float"}
MAX_CHARM_LINES = 300

# Prints, for each of the actions named as arguments, the parameters that it takes: type and default. An OpenStack API brings
# only its own; those that all have are in the shared package.
DESCRIBE_ACTIONS = """\
import inspect, json, sys
from openinfra_charm.model import actions
def find(name):
    if sys.argv[1] != "openstack":
        return actions.find(name.replace("-", "_"))
    from openinfra_charm.openstack.actions import STANDARD
    return STANDARD.get(name) or actions.find(name.replace("-", "_"))
def describe(one):
    required = one.default is one.empty
    return {"type": str(one.annotation), "required": required, "default": None if required else one.default}
def parameters(name):
    _, *taken = inspect.signature(find(name)).parameters.values()
    return {one.name: describe(one) for one in taken}
print(json.dumps({name: parameters(name) for name in sys.argv[2:]}))
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


def test_each_action_takes_its_parameters(source, unpacked):
    kind = "openstack" if has_releases(source) else "other"
    described = json.loads(run_python(unpacked, "-c", DESCRIBE_ACTIONS, kind, *source.actions))
    if has_releases(source) and not is_an_openstack_api(source):
        # Agents have no database, of which there could be a backup.
        del described["upgrade-release"]["backup"]

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


def actions_in(path):
    """Return the actions in a module: its public functions that make an outcome of the charm."""
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and [argument.arg for argument in node.args.args] == ["charm"]
        and node.returns is not None
        and ast.unparse(node.returns) == "Outcome"
    }


def test_actions_are_all_declared(source):
    found = [name for path in source.path.glob("src/actions/[!_]*.py") for name in actions_in(path)]
    standard = STANDARD if has_releases(source) else ()
    own = [name.replace("_", "-") for name in found]

    assert len(own) == len(set(own))
    # One that has a service as a part may have more to pause than that.
    assert sorted({*standard, *own}) == sorted(source.actions)


def has_releases(source):
    """Return whether it has something of OpenStack's releases: an API, or agents."""
    return "openinfra_charm.openstack.service" in set(runtime_imports(source.path / "src/charm.py"))


def is_an_openstack_api(source):
    return has_releases(source) and "gateway" in source.endpoints


def test_what_has_releases_has_what_all_such_have(source):
    if has_releases(source):
        assert {"release", "debug", "extra-config"} <= source.project["config"]["options"].keys()
        assert {"cluster", "certificates"} <= source.endpoints.keys()


def test_an_openstack_api_has_what_all_have(source):
    if not is_an_openstack_api(source):
        return
    project = source.project
    assert {"release", "region", "workers", "debug", "extra-config"} <= project["config"]["options"].keys()
    assert {"cluster", "certificates", "gateway"} <= source.endpoints.keys()
    assert "internal" in project["extra-bindings"]


def test_charm_py_is_short(source):
    assert len((source.path / "src/charm.py").read_text().splitlines()) <= MAX_CHARM_LINES


def runtime_imports(path):
    """Return the modules that a file imports when it runs, not those that only type checkers read."""
    for node in import_statements(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif node.module:
            yield node.module


def import_statements(path):
    """Yield the imports that are made when a file runs, also those in its functions."""
    tree = ast.parse(path.read_text())
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in unseen:
            yield node


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
    # A service of OpenStack may be a specification and nothing else.
    assert len(seen) > 1 or has_releases(source)


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
