"""Actions: where they are found, their parameters, what they report and how they are refused."""

import json
import sys
from types import ModuleType

import ops
import pytest
from ops import testing

from openinfra_charm.model.actions import ActionError, Actions, Outcome, failing_on, find
from openinfra_charm.model.status import ConfigError

META = {"name": "probe"}
ACTIONS = {
    "add-disk": {"params": {"osd-devices": {"type": ["string", "integer"]}, "wipe": {"type": "boolean"}}},
    "promote": {},
    "openrc": {},
    "create-pool": {"params": {"pool": {"type": ["string", "integer"]}, "replicas": {"type": "integer"}}},
    "show-job": {"params": {"job-id": {"type": "string"}}},
}
POOLS = """\
from openinfra_charm.model.actions import ActionError, Outcome, require_leader


def create_pool(charm, *, pool: "str", replicas: "int" = 3):
    if replicas < 1:
        raise ActionError(f"replicas={replicas}: expected 1 or more")
    return Outcome(summary=f"{charm.app.name}: {pool!r} has {replicas} copies")
"""
OTHERS = """\
from openinfra_charm.model.actions import ActionError, Outcome, require_leader


def add_disk(charm, *, osd_devices: str, wipe: bool = False):
    if wipe:
        raise ActionError("wipe needs confirm")
    if osd_devices == "none":
        return Outcome(summary="nothing to do")
    return Outcome(summary=f"added {osd_devices}", result={"b": [1], "a": None})


def promote(charm):
    require_leader(charm, "promote")
    return Outcome(summary="promoted", result=[])


def openrc(charm):
    return Outcome(summary="save it", texts={"clouds-yaml": "clouds:\\n  here: {}\\n"})
"""


def show_job(*, job_id: str):
    if not job_id:
        raise ActionError("which?")
    if job_id == "none":
        raise ConfigError("jobs", 0, "1 or more")
    with failing_on(KeyError, OSError, words="{}; see the status"):
        if job_id == "lost":
            raise OSError("no disk")
    return Outcome(summary=f"{job_id} is done")


class Probe(ops.CharmBase):
    """A charm with actions of its own, and one that it shares with others."""

    def __init__(self, framework):
        super().__init__(framework)
        self.actions = Actions(self, {"show-job": show_job})


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run an action; return what it reported."""
    package = ModuleType("actions")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "actions", package)
    for name, text in (("pools", POOLS), ("others", OTHERS)):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, f"actions.{name}", raising=False)

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


def test_off_the_leader_the_command_to_use_is_named(run):
    with pytest.raises(
        testing.ActionFailed, match="only the leader can do this: juju run probe/leader promote"
    ):
        run("promote", leader=False)


def test_a_function_is_an_action_and_its_arguments_are_the_parameters(run):
    assert run("create-pool", pool=6)["summary"] == "probe: '6' has 3 copies"
    assert run("create-pool", pool="data", replicas=2)["summary"] == "probe: 'data' has 2 copies"
    with pytest.raises(testing.ActionFailed, match="replicas=0: expected 1 or more"):
        run("create-pool", pool="data", replicas=0)


@pytest.mark.parametrize("name", ["require_leader", "delete_pool"])
def test_what_a_module_imports_is_no_action(run, name):
    with pytest.raises(LookupError, match=f"there is no action {name}"):
        find(name)


def test_an_action_that_is_shared_is_none_of_the_charms_package(run):
    assert run("show-job", job_id="build-1")["summary"] == "build-1 is done"
    with pytest.raises(testing.ActionFailed, match=r"which\?"):
        run("show-job", job_id="")


@pytest.mark.parametrize(
    ("job_id", "words"),
    [("none", "config jobs=0 cannot be used: expected 1 or more"), ("lost", "no disk; see the status")],
)
def test_what_an_operator_has_to_put_right_fails_the_action(run, job_id, words):
    with pytest.raises(testing.ActionFailed, match=words):
        run("show-job", job_id=job_id)
