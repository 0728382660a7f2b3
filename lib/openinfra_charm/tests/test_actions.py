"""Actions: where they are found, their parameters, what they report and how they are refused."""

import json
import sys
from dataclasses import dataclass
from types import ModuleType

import ops
import pytest
from ops import testing

from openinfra_charm.model.actions import ActionError, NoParams, Outcome, find, perform, require_leader

META = {"name": "probe"}
ACTIONS = {
    "add-disk": {"params": {"osd-devices": {"type": ["string", "integer"]}, "wipe": {"type": "boolean"}}},
    "promote": {},
    "openrc": {},
    "create-pool": {"params": {"pool": {"type": ["string", "integer"]}, "replicas": {"type": "integer"}}},
}
POOLS = """\
from openinfra_charm.model.actions import ActionError, Outcome, require_leader


def create_pool(charm, *, pool: "str", replicas: "int" = 3):
    if replicas < 1:
        raise ActionError(f"replicas={replicas}: expected 1 or more")
    return Outcome(summary=f"{charm.app.name}: {pool!r} has {replicas} copies")
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """As an action's module has them."""

    osd_devices: str
    wipe: bool = False

    def __post_init__(self):
        if self.osd_devices == "bad":
            raise ValueError("osd-devices=bad: expected a path")


def add_disk(_charm, params):
    if params.wipe:
        raise ActionError("wipe needs confirm")
    if params.osd_devices == "none":
        return Outcome(summary="nothing to do")
    return Outcome(summary=f"added {params.osd_devices}", result={"b": [1], "a": None})


def promote(charm, _params):
    require_leader(charm, "promote")
    return Outcome(summary="promoted", result=[])


def openrc(_charm, _params):
    return Outcome(summary="save it", texts={"clouds-yaml": "clouds:\n  here: {}\n"})


class Probe(ops.CharmBase):
    """A charm with two actions."""

    def __init__(self, framework):
        super().__init__(framework)
        for name in self.meta.actions:
            framework.observe(self.on[name].action, self._on_action)

    def _on_action(self, event):
        perform(self, event)


@pytest.fixture
def run(monkeypatch):
    """Run an action; return what it reported."""
    modules = {"actions": {}, "actions.add_disk": {"Params": Params, "run": add_disk}}
    modules["actions.promote"] = {"Params": NoParams, "run": promote}
    modules["actions.openrc"] = {"Params": NoParams, "run": openrc}
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)

    def run(name, *, leader=True, **params):
        context = testing.Context(Probe, META, actions=ACTIONS)
        params = {key.replace("_", "-"): value for key, value in params.items()}
        context.run(context.on.action(name, params=params), testing.State(leader=leader))
        return context.action_results

    return run


def test_what_was_done_is_told_to_people_and_to_programs(run):
    results = run("add-disk", osd_devices="/dev/sdb")
    assert results["summary"] == "added /dev/sdb"
    assert json.loads(results["result"]) == {"a": None, "b": [1]}


def test_a_text_that_is_given_as_a_bare_number_is_a_text(run):
    assert run("add-disk", osd_devices=6)["summary"] == "added 6"


def test_an_empty_result_is_a_result_and_none_is_not(run):
    assert run("promote")["result"] == "[]"
    assert run("add-disk", osd_devices="none") == {"summary": "nothing to do"}


def test_a_text_is_a_result_as_it_is(run):
    assert run("openrc") == {"summary": "save it", "clouds-yaml": "clouds:\n  here: {}\n"}


def test_a_refusal_fails_the_action_with_its_reason(run):
    with pytest.raises(testing.ActionFailed, match="wipe needs confirm"):
        run("add-disk", osd_devices="/dev/sdb", wipe=True)


def test_bad_parameters_fail_the_action_before_it_begins(run):
    with pytest.raises(testing.ActionFailed, match="osd-devices=bad: expected a path"):
        run("add-disk", osd_devices="bad")


def test_off_the_leader_the_command_to_use_is_named(run):
    with pytest.raises(
        testing.ActionFailed, match="only the leader can do this: juju run probe/leader promote"
    ):
        run("promote", leader=False)


@pytest.fixture
def grouped(run, monkeypatch, tmp_path):
    """Have a module with functions that are actions."""
    (tmp_path / "pools.py").write_text(POOLS)
    monkeypatch.setattr(sys.modules["actions"], "__path__", [str(tmp_path)], raising=False)
    monkeypatch.delitem(sys.modules, "actions.pools", raising=False)
    return run


def test_a_function_is_an_action_and_its_arguments_are_the_parameters(grouped):
    assert grouped("create-pool", pool=6)["summary"] == "probe: '6' has 3 copies"
    assert grouped("create-pool", pool="data", replicas=2)["summary"] == "probe: 'data' has 2 copies"
    with pytest.raises(testing.ActionFailed, match="replicas=0: expected 1 or more"):
        grouped("create-pool", pool="data", replicas=0)


@pytest.mark.parametrize("name", ["require_leader", "delete_pool"])
def test_what_a_module_imports_is_no_action(grouped, name):
    with pytest.raises(LookupError, match=f"there is no action {name}"):
        find(name)
