"""What the operator is shown; the status as a whole is compared with recordings in tests/conformance."""

from __future__ import annotations

import pytest

from openinfra_model.core import ModelError
from openinfra_model.core.entities import StorageDirective

from .play import Play, charm

APP = charm(
    "app",
    peers={"cluster": "app-peer"},
    config={"size": 3, "name": ""},
    actions={"act": {"type": "object", "properties": {}}},
    resources=["blob"],
    storage={"data": (0, 2)},
)


@pytest.fixture
def play() -> Play:
    world = Play()
    world.deploy(
        APP,
        resources={"blob": ("/b", "sha")},
        storage={"data": StorageDirective(pool="lxd", size=5, count=1)},
    )
    world.settle()
    return world


def test_config_says_where_a_value_comes_from(play):
    play.core.set_config("app", {"size": "5"})
    settings = play.core.show_config("app")["settings"]
    assert settings["size"] == {"description": "", "type": "int", "default": 3, "source": "user", "value": 5}
    assert settings["name"]["source"] == "default"
    play.core.reset_config("app", ["size"])
    assert play.core.show_config("app")["settings"]["size"]["source"] == "default"


def test_model_config(play):
    play.core.set_model_config({"update-status-hook-interval": "10m"}, play.now)
    shown = play.core.show_model_config()
    assert shown["update-status-hook-interval"] == {"Value": "10m", "Source": "model"}
    play.core.reset_model_config(["update-status-hook-interval"], play.now)
    assert play.core.show_model_config()["update-status-hook-interval"]["Source"] == "default"


def test_operations_come_to_what_their_tasks_do(play):
    operation = play.core.enqueue_action(["app/0"], "act", {}, play.now)
    assert play.core.show_operations()[operation]["status"] == "pending"
    play.settle()
    shown = play.core.show_operation(operation)
    assert shown["status"] == "completed"
    [task] = shown["tasks"].values()
    assert task["host"] == "app/0"
    assert set(task["timing"]) == {"enqueued", "started", "completed"}


def test_the_status_log_keeps_the_last_hundred_lines(play):
    play.charm = lambda run: run.tool("status-set", "active", run.name).exit_code
    for size in range(60):
        play.core.set_config("app", {"size": str(size + 10)})
        play.settle()
    lines = play.core.show_status_log("app/0")
    assert len(lines) == 100
    assert [line["status"] for line in lines[-3:]] == ["executing", "active", "idle"]


def test_an_application_and_its_parts(play):
    assert play.core.show_application("app")["app"]["principal"] is True
    assert play.core.show_actions("app") == {"act": "act"}
    assert play.core.show_resources("app")["resources"][0]["fingerprint"] == "sha"
    assert play.core.show_model()["model"]["model-uuid"] == play.state.model.uuid
    assert play.core.show_unit("app/0")["app/0"]["leader"] is True


def test_storage_shows_where_it_is(play):
    shown = play.core.show_storage()
    attachment = shown["storage"]["data/0"]["attachments"]["units"]["app/0"]
    assert attachment["machine"] == "0"
    assert attachment["location"] == play.state.storage["data/0"].location
    assert shown["filesystems"]["0"]["size"] == 5


def test_storage_is_added_detached_and_removed(play):
    assert play.core.add_storage("app/0", "data", None, now=play.now) == ["data/1"]
    with pytest.raises(ModelError, match="at most 2 instances supported, 3 specified"):
        play.core.add_storage("app/0", "data", None, now=play.now)
    play.settle()
    assert play.names("app/0")[-1] == "data-storage-attached"
    with pytest.raises(ModelError, match="storage is attached"):
        play.core.remove_storage("data/1", now=play.now)
    play.core.detach_storage("data/1", now=play.now)
    play.settle()
    assert play.names("app/0")[-1] == "data-storage-detaching"
    assert play.core.show_storage()["storage"]["data/1"]["status"]["current"] == "detached"
    play.core.remove_storage("data/1", now=play.now)
    play.settle()
    assert "data/1" not in play.core.show_storage()["storage"]


def test_storage_that_could_not_be_made_says_why():
    world = Play()
    world.deploy(APP, storage={"data": StorageDirective(pool="lxd", size=5, count=1)})
    world.core.storage_failed("data/0", "no space left", world.now)
    assert world.core.show_storage()["storage"]["data/0"]["status"]["message"] == "no space left"


def test_a_machine_that_could_not_be_made_says_why():
    world = Play()
    machine = world.core.add_machine(base="ubuntu@24.04", now=world.now)
    world.core.machine_failed(machine, "no image", world.now)
    assert world.core.status(world.now)["machines"]["0"]["machine-status"]["message"] == "no image"
    assert [wanted.id for wanted in world.core.machines_wanted()] == ["0"]
