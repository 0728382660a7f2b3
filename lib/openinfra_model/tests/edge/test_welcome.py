"""What `up` ends with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from openinfra_model.cli.client import CliError
from openinfra_model.cli.welcome import welcome


@dataclass
class Application:
    annotations: dict[str, str]


@dataclass
class Bundle:
    applications: dict[str, Application]


@dataclass
class Client:
    """A controller whose actions all end with `task`."""

    task: dict[str, Any]
    asked: list[dict[str, Any]] = field(default_factory=list)

    def call(self, verb, **arguments):
        if verb == "enqueue_action":
            self.asked.append(arguments)
            return "7"
        return {"tasks": {"identity/0": self.task}, "ended": True}


@pytest.fixture
def bundle() -> Any:
    return Bundle({"disks": Application({"layer": "storage"}), "identity": Application({"show": "openrc"})})


def test_the_action_that_the_bundle_names_is_run_and_its_texts_are_printed(bundle):
    texts = {"clouds-yaml": "clouds:\n  here: {}\n"}
    result = json.dumps({"region": "RegionOne", "ports": [5000]})
    client: Any = Client(
        {
            "status": "completed",
            "results": {"summary": "save it", "result": result, "return-code": 0, **texts},
        }
    )

    (text,) = welcome(client, bundle)

    assert client.asked == [{"unit_names": ["identity/leader"], "action": "openrc", "parameters": {}}]
    assert text == (
        "$ ./openinfra run identity/leader openrc\nsave it\n"
        "clouds-yaml:\nclouds:\n  here: {}\nregion: RegionOne\nports: [5000]"
    )


def test_an_action_that_fails_says_why_and_the_rest_goes_on(bundle):
    bundle.applications["objects"] = Application({"show": "get-endpoints"})
    client: Any = Client({"status": "failed", "message": "no disks yet"})

    assert [text.splitlines()[1] for text in welcome(client, bundle)] == ["no disks yet", "no disks yet"]


def test_a_refused_action_is_told(bundle):
    class Refusing(Client):
        def call(self, verb, **arguments):
            raise CliError("identity has no leader")

    client: Any = Refusing({})
    (text,) = welcome(client, bundle)

    assert text.endswith("identity has no leader")
