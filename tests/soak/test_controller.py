"""The engine's controller is killed again and again while it deploys; the end is that of a deployment left alone."""

import itertools
import json
import time
from contextlib import contextmanager

import jubilant
import pytest

from tests.benchmarks.test_deploy import probe_bundle
from tests.models import model

MODELS = (f"soak-{number}" for number in itertools.count())
LONGEST_LIFE_SECONDS = 8
KILLS = 6
# What the leader writes of itself and of its secret differs from one deployment to the next.
BY_NATURE = {"leader", "secret-id"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return probe_bundle(tmp_path_factory.mktemp("probe"))


@contextmanager
def calm_model(program):
    with model(next(MODELS), program) as juju:
        juju.model_config({"update-status-hook-interval": "60m"})
        yield juju


def settle(juju) -> None:
    juju.wait(lambda status: jubilant.all_active(status) and jubilant.all_agents_idle(status))


def outcome(juju) -> dict:
    """Return what a deployment led to, without what differs from one to the next by nature: who leads, and addresses."""
    units = {}
    status = juju.status()
    for application in status.apps:
        for name in status.get_units(application):
            units[name] = unit_outcome(juju, name)
    storage = json.loads(juju.cli("storage", "--format", "json"))["storage"]
    return {
        "units": units,
        "machines": {number: machine.juju_status.current for number, machine in status.machines.items()},
        "storage": {name: (item["kind"], item["status"]["current"]) for name, item in storage.items()},
        "secrets": sorted(
            (secret["owner"].split("/")[0], secret["revision"])
            for secret in json.loads(juju.cli("secrets", "--format", "json")).values()
        ),
    }


def unit_outcome(juju, name: str) -> dict:
    shown = json.loads(juju.cli("show-unit", name, "--format", "json"))[name]
    relations = {
        (relation["endpoint"], relation["related-endpoint"]): {
            "data": {
                key: value for key, value in relation["application-data"].items() if key not in BY_NATURE
            },
            "units": sorted(relation.get("related-units", {})),
            "own": relation.get("local-unit", {}).get("data", {}).get("from"),
        }
        for relation in shown["relation-info"]
    }
    rows = juju.exec("cut -d' ' -f1,2 /var/log/hooks", unit=name).stdout.splitlines()
    hooks = {hook for unit, hook in map(str.split, rows) if unit == name}
    return {
        "relations": relations,
        "ports": shown["opened-ports"],
        "hooks": sorted(hooks - {"hooks/leader-elected"}),
    }


@pytest.fixture(scope="module")
def undisturbed(bundle, program):
    with calm_model(program) as juju:
        juju.cli("deploy", str(bundle))
        settle(juju)
        return outcome(juju)


@pytest.fixture
def disturbed(bundle, program, controller, chance):
    """Deploy while the controller is killed after each of its random lives; return them and the outcome."""

    def deploy() -> tuple[list[float], dict]:
        with calm_model(program) as juju:
            juju.cli("deploy", str(bundle))
            lives = [round(chance.uniform(0, LONGEST_LIFE_SECONDS), 2) for _ in range(KILLS)]
            for life in lives:
                time.sleep(life)
                controller.kill()
                juju.status()  # starts the next one
            settle(juju)
            return lives, outcome(juju)

    return deploy


def test_a_deployment_survives_the_controllers_death(undisturbed, disturbed, seconds, tell):
    end = time.monotonic() + seconds
    while True:
        lives, ended = disturbed()
        assert ended == undisturbed, f"after the controller had lived for {lives} s"
        tell(f"the same end, though the controller lived for {', '.join(map(str, lives))} s only")
        if time.monotonic() > end:
            return
