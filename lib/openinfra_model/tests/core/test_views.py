"""What the operator is shown; the status as a whole is compared with recordings in tests/conformance."""

from __future__ import annotations

import pytest

from openinfra_model.core import ModelError, actions, configuration, machines, show, status, storage
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
    configuration.set_options(play.state, "app", {"size": "5"})
    settings = show.config(play.state, "app")["settings"]
    assert settings["size"] == {"description": "", "type": "int", "default": 3, "source": "user", "value": 5}
    assert settings["name"]["source"] == "default"
    configuration.reset_options(play.state, "app", ["size"])
    assert show.config(play.state, "app")["settings"]["size"]["source"] == "default"


def test_model_config(play):
    configuration.set_model(play.state, {"update-status-hook-interval": "10m"}, play.now)
    shown = show.model_config(play.state)
    assert shown["update-status-hook-interval"] == {"Value": "10m", "Source": "model"}
    configuration.reset_model(play.state, ["update-status-hook-interval"], play.now)
    assert show.model_config(play.state)["update-status-hook-interval"]["Source"] == "default"


def test_operations_come_to_what_their_tasks_do(play):
    operation = actions.enqueue(play.state, ["app/0"], "act", {}, play.now)
    assert show.operations(play.state)[operation]["status"] == "pending"
    play.settle()
    shown = show.operation(play.state, operation)
    assert shown["status"] == "completed"
    [task] = shown["tasks"].values()
    assert task["host"] == "app/0"
    assert set(task["timing"]) == {"enqueued", "started", "completed"}


def test_the_status_log_keeps_the_last_hundred_lines(play):
    play.charm = lambda run: run.tool("status-set", "active", run.name).exit_code
    for size in range(60):
        configuration.set_options(play.state, "app", {"size": str(size + 10)})
        play.settle()
    lines = show.status_log(play.state, "app/0")
    assert len(lines) == 100
    assert [line["status"] for line in lines[-3:]] == ["executing", "active", "idle"]


def test_an_application_and_its_parts(play):
    assert show.application(play.state, "app")["app"]["principal"] is True
    assert show.actions(play.state, "app") == {"act": "act"}
    assert show.resources(play.state, "app")["resources"][0]["fingerprint"] == "sha"
    assert show.model(play.state)["model"]["model-uuid"] == play.state.model.uuid
    assert show.unit(play.state, "app/0")["app/0"]["leader"] is True


def test_storage_shows_where_it_is(play):
    shown = status.storage(play.state)
    attachment = shown["storage"]["data/0"]["attachments"]["units"]["app/0"]
    assert attachment["machine"] == "0"
    assert attachment["location"] == play.state.storage["data/0"].location
    assert shown["filesystems"]["0"]["size"] == 5


def test_storage_is_added_detached_and_removed(play):
    assert storage.add(play.state, "app/0", "data", now=play.now) == ["data/1"]
    with pytest.raises(ModelError, match="at most 2 instances supported, 3 specified"):
        storage.add(play.state, "app/0", "data", now=play.now)
    play.settle()
    assert play.names("app/0")[-1] == "data-storage-attached"
    with pytest.raises(ModelError, match="storage is attached"):
        storage.remove(play.state, "data/1", now=play.now)
    storage.detach(play.state, "data/1", now=play.now)
    play.settle()
    assert play.names("app/0")[-1] == "data-storage-detaching"
    assert status.storage(play.state)["storage"]["data/1"]["status"]["current"] == "detached"
    storage.remove(play.state, "data/1", now=play.now)
    play.settle()
    assert "data/1" not in status.storage(play.state)["storage"]


def test_storage_that_could_not_be_made_says_why():
    world = Play()
    world.deploy(APP, storage={"data": StorageDirective(pool="lxd", size=5, count=1)})
    storage.failed(world.state, "data/0", "no space left", world.now)
    assert status.storage(world.state)["storage"]["data/0"]["status"]["message"] == "no space left"


def test_a_machine_that_could_not_be_made_says_why():
    world = Play()
    machine = machines.add(world.state, base="ubuntu@24.04", now=world.now)
    machines.failed(world.state, machine, "no image", world.now)
    assert status.full(world.state, world.now)["machines"]["0"]["machine-status"]["message"] == "no image"
    assert [wanted.id for wanted in machines.wanted(world.state)] == ["0"]
