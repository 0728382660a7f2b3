"""The bundle holds to every invariant, deployed and operated, in any order and under faults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openinfra_model import bundle
from openinfra_model.devtools import pack
from openinfra_model.rehearsal import invariants
from openinfra_model.rehearsal.faults import FAULTS, ONLY_AT_REST
from openinfra_model.rehearsal.play import CALM, REST, Play, Plot
from openinfra_model.rehearsal.rehearse import Rehearsal
from openinfra_model.rehearsal.stage import Stage

from .holds import assert_holds

ROOT = Path(__file__).parents[2]
SCHEDULES = 2


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Stage:
    pack.pack(ROOT)
    wanted = bundle.load(ROOT / "bundles/openinfra.yaml", [ROOT / "bundles/overlays/trial.yaml"])
    return Stage(wanted, tmp_path_factory.mktemp("charms"), ROOT / "charms")


@pytest.fixture(scope="session")
def part(tmp_path_factory) -> Stage:
    """Storage alone, for what any bundle shows."""
    pack.pack(ROOT)
    wanted = bundle.load(ROOT / "charms/ceph-rgw/tests/bundle.yaml")
    return Stage(wanted, tmp_path_factory.mktemp("part"), ROOT / "charms")


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param((), id="deployed"),
        pytest.param(("config ceph osd-benchmark=true",), id="restarted unit by unit"),
        pytest.param(("run host/leader reboot all-units=true",), id="rebooted machine by machine"),
        pytest.param(
            (
                "add-unit ceph",
                "run ceph/3 add-disk osd-devices=file:3G",
                "run ceph/1 prepare-removal",
                "remove-unit ceph/1",
            ),
            id="a unit for another",
        ),
        # What has one unit only is lost with it; of OVN's databases, on machine 1, an operator has to make new ones.
        pytest.param(
            ("remove-machine 2 --force; add-unit ceph", "run ceph/3 add-disk osd-devices=file:3G"),
            id="a machine that died is replaced",
        ),
        pytest.param(("remove-relation host:juju-info ceph:juju-info",), id="the baseline is taken back"),
    ],
)
def test_the_bundle_holds(stage, operations):
    assert_holds(stage, Plot(operations=operations, usual=bool(operations)), SCHEDULES)


@pytest.mark.parametrize("application", ["ceph-fs", "ceph-rgw", "horizon", "keystone", "placement"])
def test_the_rest_holds_when_an_application_goes(stage, application):
    """Its relations end together: Juju may have dropped one before the last hook of it has run."""
    operations = (f"remove-application {' '.join([*_users_of(stage, application), application])}",)
    assert_holds(stage, Plot(operations=operations, usual=True), SCHEDULES)


def _users_of(stage: Stage, application: str) -> list[str]:
    """Return the applications that are nothing without an API: those that have a user in Keystone, where that goes."""
    found = {
        requirer.application
        for requirer, provider in stage.bundle.relations
        if provider.application == application == "keystone"
    }
    # The object gateway serves S3 all the same.
    return sorted(found - {"ceph-rgw"})


def test_faults_strike(part):
    """A storm of each kind alone leaves its trace in the timeline."""
    traces = {
        "kill": "the hook was killed", "power": "the power went away", "overlap": "in the middle of what comes next", "blackout": "all machines lose power",
        "leader": "leads its application now", "delay": "time passes", "clock": "jumps by", "age": "nothing happens for",
        "outage": "all machines are off for", "disk": "cannot be read any more",
        "links": "plant ",
    }  # fmt: skip
    # Credentials are replaced when there are some, which a storm at the beginning does not see: the planted faults show it.
    assert traces.keys() == set(FAULTS) - {"rotate"}
    for fault, trace in traces.items():
        storm = Storm(REST if fault in ONLY_AT_REST else CALM)
        play = Play(part, Plot(faults=(fault,), most_faults=12), storm)
        play.run()
        assert any(trace in step.what for step in play.timeline), fault


class Storm:
    """Has a fault strike at every step, or whenever all is at rest, as long as there are any; all else is plain."""

    def __init__(self, calm):
        self._calm = calm

    def pick(self, options):
        return self._calm if options == self._calm + 1 else 0


def test_what_was_found_is_found_again(part, monkeypatch):
    """A schedule is all in its decisions: played again it comes to the same violation."""
    rehearsal = Rehearsal(part, Plot())
    limit = 12

    def too_many(world):
        if world.hooks["ceph/2"] > limit:
            raise invariants.Violation(invariants.SOFTWARE, f"ceph/2 has run {limit + 1} hooks")

    monkeypatch.setattr(invariants, "check_step", too_many)
    first = rehearsal.run(100, seed=3, shrink=False).found
    assert first is not None
    again = rehearsal.replay(first.picks).found
    assert again is not None
    assert (again.what, len(again.timeline)) == (first.what, len(first.timeline))


def test_one_seed_plays_one_rehearsal(part):
    first, second = (Rehearsal(part, Plot()).run(2, seed=7) for _ in range(2))
    assert first.hooks == second.hooks


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--no-usual",), 1)])
def test_the_command_plays_a_bundle_that_is_named_with_what_is_usual(tmp_path, words, code):
    """A cloud to which nobody has added disks is not healthy, which is told to who asks for that."""
    command = [
        sys.executable, "-m", "openinfra_model.cli", "rehearse", str(ROOT / "bundles/openinfra.yaml"),
        "--schedules", "1", "--operations", "0", "--no-shrink", "--save", str(tmp_path / "found.json"), *words,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert ("Violated: converges" in done.stderr) == bool(code)
