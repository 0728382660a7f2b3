"""The controller with machines of straw: what is deployed runs, what is killed is taken up, what is refused is not begun."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path

import pytest
import yaml

from openinfra_model.cli.client import CliError
from openinfra_model.controller import runner, service
from openinfra_model.inside import hook_tool

from . import charms

SECONDS = 20


def deploy(controller, tmp_path, **changes):
    arguments = {
        "charm": str(charms.build(tmp_path)),
        "application": "",
        "base": "",
        "units": 1,
        "to": [],
        "config": {},
        "storage": {},
        "resources": {},
        "trust": False,
        "constraints": "",
        "bindings": {},
    }
    return controller.client.call("deploy", **arguments | changes)


@pytest.fixture
def model(controller, tmp_path):
    """A model with one unit of the tiny charm, settled."""
    controller.client.call("add_model", name="m", config={}, switch=True)
    deploy(controller, tmp_path)
    wait(controller, is_settled)
    return controller


def status_of(controller, unit="tiny/0"):
    return controller.client.call("status")["applications"]["tiny"]["units"][unit]


def is_settled(controller) -> bool:
    activity = controller.client.call("activity")
    return status_of(controller)["workload-status"]["current"] == "active" and not any(activity.values())


def wait(controller, condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition(controller):
        assert time.monotonic() < deadline, (
            controller.client.call("status")["applications"],
            controller.client.call("activity"),
        )
        time.sleep(0.02)


def log_of(controller) -> str:
    return Path(controller.client.call("log_file")).read_text()


def dispatched(controller) -> list[str]:
    return [run["env"].get("JUJU_DISPATCH_PATH", "") for run in controller.machines.runs if "run" in run]


def juju_exec(controller, *words):
    """Run juju-exec on the machine of tiny/0."""
    path = controller.paths.machine(controller.client.call("instance", target="tiny/0")) / "controller.socket"
    return [os.fsdecode(field) for field in hook_tool.ask(str(path), ["", "", "juju-exec", *words])]


def test_a_machine_runs_a_command_in_the_context_of_its_unit(model):
    seen = []

    def charm(tool, environment, request):
        seen.append((request["argv"][-1], environment["JUJU_UNIT_NAME"], tool("is-leader")[1]))
        return 4

    model.machines.charm = charm
    assert juju_exec(model, "-u", "tiny/0", "./dispatch now") == ["4", "", ""]
    assert seen == [("./dispatch now", "tiny/0", "True\n")]


def test_a_machine_is_rebooted_by_juju_exec(model):
    """Juju refuses juju-reboot in actions only, which a command on the machine is none of (jujuc/reboot.go)."""
    told = []

    def charm(tool, environment, request) -> int:
        if request["argv"][-1] == "juju-reboot":
            told.append((tool("juju-reboot"), [name for name in environment if "ACTION" in name]))
        return 0

    model.machines.charm = charm
    assert juju_exec(model, "tiny/0", "juju-reboot") == ["0", "", ""]
    assert told == [(["0", "", ""], [])]
    wait(model, lambda model: dispatched(model).count("hooks/start") == 2)


def test_a_command_of_the_operators_is_an_action_and_reboots_no_machine(model):
    told = []

    def charm(tool, environment, _request) -> int:
        if environment.get("JUJU_ACTION_NAME") == "juju-exec":
            told.append(tool("juju-reboot"))
        return 0

    model.machines.charm = charm
    operation = model.client.call("enqueue_exec", unit_names=["tiny/0"], command="true")
    model.client.call("wait_for_operation", operation=operation, seconds=SECONDS)
    assert told == [["1", "", "ERROR juju-reboot is not supported when running an action.\n"]]


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["-u", "tiny/7", "true"], "1", 'ERROR unit "tiny/7" not found on this machine\n'),
        (["tiny/0"], "2", "ERROR usage: juju-exec [-u] UNIT COMMAND\n"),
    ],
)
def test_a_machine_that_asks_wrongly_is_told_so(model, words, code, problem):
    assert juju_exec(model, *words) == [code, "", problem]


def test_a_unit_runs_its_first_hooks_and_settles(model):
    assert dispatched(model)[:4] == [
        "hooks/install",
        "hooks/leader-elected",
        "hooks/config-changed",
        "hooks/start",
    ]
    assert status_of(model)["public-address"] == "10.0.0.7"
    assert [line.partition(" ")[2] for line in model.machines.created] == ["ubuntu@24.04"]


def test_the_files_of_the_unit_are_there_when_its_hook_runs(controller, tmp_path):
    seen = []

    def look(_tool, _environment, request) -> int:
        machine = next((controller.paths.state / "machines").iterdir())
        seen.append((machine / request["cwd"].removeprefix("/var/lib/juju/") / "dispatch").exists())
        return 0

    controller.machines.charm = look
    controller.client.call("add_model", name="m", config={}, switch=True)
    deploy(controller, tmp_path)
    wait(controller, lambda _: len(seen) > 3)
    assert all(seen)


def test_a_restarted_controller_knows_the_model_and_runs_no_hook_again(model):
    before = dispatched(model)
    instance = model.client.call("instance", target="tiny/0")
    model.stop()
    model.machines.power_off(instance)

    model.start()
    model.machines.power_on(instance, "first boot")
    wait(model, is_settled)

    assert dispatched(model) == before


def test_a_machine_that_was_rebooted_runs_start_again(model):
    instance = model.client.call("instance", target="tiny/0")
    model.machines.restart(instance)
    wait(model, lambda model: dispatched(model).count("hooks/start") == 2)


def test_a_machine_that_takes_its_time_to_come_back_is_rebooted_once(model, monkeypatch):
    restarts = []

    def restart(instance_id):
        restarts.append(instance_id)
        model.machines.power_off(instance_id)
        threading.Timer(0.5, model.machines.power_on, (instance_id, f"boot {len(restarts)}")).start()

    def reboot(tool, environment, _request):
        if environment["JUJU_DISPATCH_PATH"] == "hooks/config-changed" and not restarts:
            tool("juju-reboot")
        return 0

    monkeypatch.setattr(model.machines, "restart", restart)
    model.machines.charm = reboot
    model.client.call("set_config", application="tiny", values={"seconds": "1"})
    wait(model, lambda model: dispatched(model).count("hooks/start") == 2)
    assert len(restarts) == 1


def test_a_machine_that_goes_away_is_down_and_its_hook_runs_again(model):
    instance = model.client.call("instance", target="tiny/0")
    hanging = threading.Event()

    def hang(_tool, environment, _request) -> int:
        if environment["JUJU_DISPATCH_PATH"] == "hooks/config-changed":
            hanging.set()
            threading.Event().wait(SECONDS)
        return 0

    model.machines.charm = hang
    model.client.call("set_config", application="tiny", values={"seconds": "1"})
    assert hanging.wait(SECONDS)
    model.machines.power_off(instance)
    wait(model, lambda model: status_of(model)["juju-status"]["current"] == "lost")

    model.machines.charm = lambda *_: 0
    model.machines.power_on(instance, "first boot")
    wait(model, lambda model: dispatched(model)[-2:] == ["hooks/config-changed", "hooks/config-changed"])


def test_one_hook_at_a_time_on_a_machine_and_many_on_many(controller, tmp_path):
    running, at_once = [], []

    def count(_tool, environment, _request) -> int:
        running.append(environment["JUJU_MACHINE_ID"])
        at_once.append(tuple(running))
        time.sleep(0.02)
        running.remove(environment["JUJU_MACHINE_ID"])
        return 0

    controller.machines.charm = count
    controller.client.call("add_model", name="m", config={}, switch=True)
    machines = [controller.client.call("add_machine", base="ubuntu@24.04") for _ in range(2)]
    deploy(controller, tmp_path, units=4, to=machines * 2)
    wait(
        controller, lambda controller: len(at_once) > 12 and not controller.client.call("activity")["running"]
    )
    assert all(len(set(machines)) == len(machines) for machines in at_once)
    assert any(len(machines) == 2 for machines in at_once)


def test_a_hook_that_fails_shows_in_the_status_and_in_the_log(model):
    model.machines.charm = lambda *_: 1
    model.client.call("set_config", application="tiny", values={"seconds": "1"})
    wait(model, lambda model: status_of(model)["workload-status"]["current"] == "error")
    assert 'ERROR unit.tiny/0.config-changed hook failed: "config-changed"' in log_of(model)


def test_what_a_charm_logs_is_in_the_log(model):
    model.machines.charm = lambda tool, *_: tool("juju-log", "-l", "WARNING", "look here") and 0
    model.client.call("set_config", application="tiny", values={"seconds": "1"})
    wait(model, is_settled)
    assert "WARNING unit.tiny/0.juju-log look here" in log_of(model)


def spoil(archive: Path) -> None:
    """Make an archive that the controller keeps one that cannot be unpacked."""
    archive.write_bytes(b"no archive")


def test_a_charm_that_cannot_be_unpacked_stops_its_unit_and_says_why(model):
    model.client.call("add_model", name="other", config={}, switch=False)
    (kept,) = (model.paths.state / "files").iterdir()
    spoil(kept)
    model.client.call("add_unit", application="tiny", count=1, to=[])
    wait(model, lambda model: status_of(model, "tiny/1")["workload-status"]["current"] == "error")

    told = status_of(model, "tiny/1")["workload-status"]["message"]
    assert told.startswith('hook failed: "install": cannot be run: BadZipFile: ')
    assert "Traceback" in log_of(model)
    assert status_of(model)["workload-status"]["current"] == "active"
    assert len(model.client.call("models")["models"]) == 2


def test_an_action_of_a_charm_that_cannot_be_unpacked_has_failed(model):
    (kept,) = (model.paths.state / "files").iterdir()
    spoil(kept)
    (machine,) = (model.paths.state / "machines").iterdir()
    (machine / "agents/unit-tiny-0/deployed.json").unlink()
    operation = model.client.call("enqueue_action", unit_names=["tiny/0"], action="show", parameters={})
    answer = model.client.call("wait_for_operation", operation=operation, seconds=SECONDS)
    assert answer["tasks"]["tiny/0"]["status"] == "failed"
    assert answer["tasks"]["tiny/0"]["message"].startswith("cannot be run: BadZipFile: ")


def test_storage_where_this_engine_makes_none_stops_the_unit_that_wants_it(model, tmp_path):
    charm = charms.build(
        tmp_path, "placed", storage={"data": {"type": "filesystem", "location": "/srv/data"}}
    )
    deploy(model, tmp_path, charm=str(charm), application="placed")
    message = "for storage data/0: the charm's metadata has it at /srv/data, but storage is made below /var/lib/juju only"

    def placed(controller):
        return controller.client.call("status")["applications"]["placed"]["units"]["placed/0"][
            "workload-status"
        ]

    wait(model, lambda model: placed(model)["message"].startswith(message))
    model.stop()
    model.start()
    assert placed(model)["message"].startswith(message)
    storage = model.client.call("status")["storage"]["storage"]["data/0"]
    assert storage["status"]["current"] == "error"
    # It is said once: nothing wakes the controller that has nothing to do.
    model.client.call("remove_unit", names=["placed/0"], force=True)
    wait(model, lambda model: not model.client.call("status")["applications"]["placed"]["units"])


def test_of_a_unit_that_is_removed_by_force_no_file_stays_on_its_machine(model):
    instance = model.client.call("status")["machines"]["0"]["instance-id"]
    agents = model.paths.machine(instance) / "agents"
    assert [path.name for path in agents.iterdir()] == ["unit-tiny-0"]
    model.client.call("add_unit", application="tiny", to=["0"])
    wait(model, lambda _: (agents / "unit-tiny-1").exists())
    model.client.call("remove_unit", names=["tiny/0"], force=True)
    wait(model, lambda _: not (agents / "unit-tiny-0").exists())
    assert (agents / "unit-tiny-1").exists()


def test_an_unexpected_error_with_a_machine_is_told_of_that_machine(model, monkeypatch):
    def fail(instance_id: str, _base: str) -> None:
        raise KeyError(instance_id)

    monkeypatch.setattr(model.machines, "create", fail)
    machine = model.client.call("add_machine", base="ubuntu@24.04")

    def told(controller) -> str:
        return controller.client.call("status")["machines"][machine]["machine-status"].get("message", "")

    wait(model, lambda model: told(model).startswith("unexpected error: KeyError: "))
    assert is_settled(model)


def test_a_machine_whose_directory_cannot_be_used_stops_no_other(model, monkeypatch):
    """At the controller's start, too; it is tried again."""
    machine = model.client.call("add_machine", base="ubuntu@24.04")
    wait(
        model,
        lambda model: model.client.call("status")["machines"][machine]["juju-status"]["current"] == "started",
    )
    first, second = (model.client.call("instance", target=target) for target in ("0", machine))
    model.stop()
    monkeypatch.setattr(runner, "_RETRY_SECONDS", 0.1)
    directory = model.paths.machine(second)
    directory.rename(directory.with_name("away"))
    directory.write_text("no directory")
    model.start()
    model.machines.power_on(first, "first boot")
    wait(model, is_settled)
    told = model.client.call("status")["machines"][machine]["machine-status"]["message"]
    assert told.startswith("its directory cannot be used: ")

    directory.unlink()
    directory.with_name("away").rename(directory)
    model.machines.power_on(second, "first boot")
    wait(
        model,
        lambda model: model.client.call("status")["machines"][machine]["juju-status"]["current"] == "started",
    )


def test_an_unexpected_error_in_one_model_leaves_the_others_alone(model, monkeypatch):
    monkeypatch.setattr(service, "_PAUSE_SECONDS", 0.5)
    model.client.call("add_model", name="other", config={}, switch=False)
    other = type(model.client)("other", model.paths)
    # What happens to a model in its host cannot be had from outside.
    monkeypatch.setattr(model.service._runners["other"], "_step", lambda: {}["no such"])
    model.call_soon(model.service._runners["other"]._wake.set)
    time.sleep(0.2)
    with pytest.raises(CliError, match=r'model "other" is stopped .* \(KeyError: .*\) and resumes within'):
        other.call("status")
    assert is_settled(model)
    time.sleep(0.8)
    machine = other.call("add_machine", base="ubuntu@24.04")

    def runs(_controller) -> bool:
        return other.call("status")["machines"][machine]["juju-status"]["current"] == "started"

    wait(model, runs)


def test_a_request_that_fails_unexpectedly_is_answered(model):
    with pytest.raises(CliError, match="unexpected error in wait_for_operation: KeyError: '77'"):
        model.client.call("wait_for_operation", operation="77", seconds=0)


def test_what_is_printed_after_the_end_does_not_lose_the_machine(model):
    instance = model.client.call("instance", target="tiny/0")
    model.machines.say(instance, {"output": "an old hook", "stream": "stdout", "text": "late\n"})
    model.machines.say(instance, {"exit": "an old hook", "code": 0})
    operation = model.client.call("enqueue_action", unit_names=["tiny/0"], action="show", parameters={})
    answer = model.client.call("wait_for_operation", operation=operation, seconds=SECONDS)
    assert answer["tasks"]["tiny/0"]["status"] == "completed"


def test_a_cancelled_action_is_stopped_on_the_machine(model):
    begun = threading.Event()

    def hang(*_: object) -> int:
        begun.set()
        threading.Event().wait(0.5)
        return 143

    model.machines.charm = hang
    operation = model.client.call("enqueue_action", unit_names=["tiny/0"], action="show", parameters={})
    assert begun.wait(SECONDS)
    (task,) = model.client.call("wait_for_operation", operation=operation, seconds=0)["tasks"].values()
    model.client.call("cancel_task", task=task["id"])
    answer = model.client.call("wait_for_operation", operation=operation, seconds=SECONDS)
    assert any("stop" in request for request in model.machines.runs)
    assert answer["tasks"]["tiny/0"]["status"] in {"cancelled", "aborted"}


def test_waiting_for_an_operation_ends_when_its_time_is_over(model):
    model.machines.charm = lambda *_: threading.Event().wait(2) or 0
    operation = model.client.call("enqueue_action", unit_names=["tiny/0"], action="show", parameters={})
    answer = model.client.call("wait_for_operation", operation=operation, seconds=0.1)
    assert not answer["ended"]


def write_bundle(tmp_path, **application):
    archive = charms.build(tmp_path)
    (tmp_path / "blob").write_text("a blob")
    tiny = {
        "charm": str(archive),
        "base": "ubuntu@24.04",
        "num_units": 1,
        "to": ["0"],
        "resources": {"blob": "./blob"},
    }
    document = {
        "applications": {"tiny": tiny | application},
        "machines": {"0": {"base": "ubuntu@24.04"}},
    }
    path = tmp_path / "bundle.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_a_bundle_twice_changes_nothing_and_then_only_what_is_new(controller, tmp_path):
    controller.client.call("add_model", name="m", config={}, switch=True)
    first = controller.client.call("deploy_bundle", path=write_bundle(tmp_path), overlays=[])
    assert first["changes"] == ["add new machine 0", "deploy application tiny from charm tiny"]
    again = controller.client.call("deploy_bundle", path=write_bundle(tmp_path), overlays=[])
    assert again == {"changes": [], "warnings": []}

    grown = write_bundle(tmp_path, num_units=2, to=["0", "0"], options={"seconds": 3})
    assert controller.client.call("deploy_bundle", path=grown, overlays=[])["changes"] == [
        "set application options for tiny: seconds",
        "add unit tiny/1",
    ]
    assert status_of(controller, "tiny/1")["machine"] == "0"


def test_a_bundle_that_is_refused_in_its_middle_changes_nothing(controller, tmp_path):
    controller.client.call("add_model", name="m", config={}, switch=True)
    with pytest.raises(CliError, match="cannot place a unit in a container"):
        controller.client.call("deploy_bundle", path=write_bundle(tmp_path, to=["lxd:0"]), overlays=[])
    assert controller.client.call("status")["machines"] == {}
    assert controller.client.call("status")["applications"] == {}


def test_a_unit_that_goes_without_its_hooks_leaves_no_files_on_a_machine_that_stays(model, tmp_path):
    deploy(model, tmp_path, application="other", to=["0"])
    (machine,) = (model.paths.state / "machines").iterdir()
    wait(model, lambda _: (machine / "agents/unit-other-0/charm").exists())
    wait(model, is_settled)
    model.client.call("remove_unit", names=["other/0"], force=True)
    deadline = time.monotonic() + SECONDS
    while (machine / "agents/unit-other-0").exists() or (machine / "tools/unit-other-0").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_last_hook_of_a_relation_comes_when_that_is_gone(controller, tmp_path):
    """Where the removal of an application ends several relations (a real 4.0.14)."""
    answers = {}

    def charm(tool, environment, _request) -> int:
        if environment.get("JUJU_HOOK_NAME", "").endswith("relation-broken"):
            answers[environment["JUJU_UNIT_NAME"], environment["JUJU_HOOK_NAME"]] = tool(
                "network-get", "data"
            )
        return 0

    controller.client.call("add_model", name="m", config={}, switch=True)
    ends = {
        "provides": {"one": "first", "two": "second"},
        "requires": {"first": "first", "second": "second"},
    }
    archive = str(charms.build(tmp_path, "related", **ends))
    machine = controller.client.call("add_machine", base="ubuntu@24.04")
    for name in ("tiny", "other"):  # on one machine, where hooks come one after another
        deploy(controller, tmp_path, charm=archive, application=name, to=[machine])
    for end, other in (("one", "first"), ("two", "second")):
        controller.client.call("integrate", first=f"tiny:{end}", second=f"other:{other}")
    wait(controller, lambda _: dispatched(controller).count("hooks/start") == 2)
    wait(controller, is_settled)
    controller.machines.charm = charm
    controller.client.call("remove_application", name="other")
    wait(controller, lambda controller: "other" not in controller.client.call("status")["applications"])
    deadline = time.monotonic() + SECONDS
    while len(answers) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for hooks in (
        ("one-relation-broken", "first-relation-broken"),
        ("two-relation-broken", "second-relation-broken"),
    ):
        told = [answer for (_, hook), answer in answers.items() if hook in hooks]
        assert [answer[2] for answer in told[1:]] == ["ERROR relation not found\n"]
        assert told[0][2] != "ERROR relation not found\n"


def test_a_destroyed_model_leaves_no_row_and_no_log(model):
    log = Path(model.client.call("log_file"))
    assert log.exists()
    model.client.call("destroy_model", force=True, wait=True)
    assert model.client.call("models")["models"] == []
    with sqlite3.connect(model.paths.database) as connection:
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (0,)
    assert not log.exists()


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "a b"])
def test_a_models_name_is_checked(controller, name):
    with pytest.raises(CliError, match="is not a valid name"):
        controller.client.call("add_model", name=name, config={}, switch=True)


def test_without_a_model_the_operator_is_told_how_to_add_one(controller):
    with pytest.raises(CliError, match="add-model"):
        controller.client.call("status")


def test_an_unknown_verb_is_refused(controller):
    with pytest.raises(CliError, match="does not know 'drain'"):
        controller.client.call("drain")
