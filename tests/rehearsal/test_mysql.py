"""A database cluster of three, in any order of events and under faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from openinfra_model import bundle
from openinfra_model.devtools import pack
from openinfra_model.rehearsal.play import Plot
from openinfra_model.rehearsal.rehearse import Rehearsal
from openinfra_model.rehearsal.stage import Stage

ROOT = Path(__file__).parents[2]
SCHEDULES = 4
RESTORES = 20
HASTY = 12


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Stage:
    pack.pack(ROOT, ["mysql", "certificates"])
    wanted = bundle.load(ROOT / "charms/mysql/tests/bundle.yaml")
    return Stage(wanted, tmp_path_factory.mktemp("charms"), ROOT / "charms")


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param((), id="deployed"),
        pytest.param(("config mysql max-connections=200",), id="restarted unit by unit"),
        pytest.param(
            ("remove-unit mysql/2", "remove-unit mysql/1", "add-unit mysql", "add-unit mysql"),
            id="to one and back",
        ),
        pytest.param(("remove-machine 1 --force; add-unit mysql",), id="a machine that died is replaced"),
    ],
)
def test_the_cluster_holds(stage, operations):
    report = Rehearsal(stage, Plot(operations=operations, usual=bool(operations))).run(SCHEDULES, seed=1)
    assert report.found is None, f"{report.found.invariant}: {report.found.what}"
    assert report.schedules == SCHEDULES


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(("remove-unit mysql/0",), id="the first goes before the others have come"),
        pytest.param(
            ("remove-unit mysql/0; remove-unit mysql/1", "add-unit mysql"),
            id="two go before the third has come",
        ),
        pytest.param(("run mysql/0 prepare-removal", "remove-unit mysql/0"), id="one is asked to go"),
    ],
)
def test_the_last_copy_stays_whatever_a_hasty_operator_does(stage, operations):
    plot = Plot(operations=operations, hasty=True, faults=("leader", "delay"))
    report = Rehearsal(stage, plot).run(HASTY, seed=2)
    assert report.found is None, f"{report.found.invariant}: {report.found.what}"
    assert report.schedules == HASTY


def test_a_backup_is_taken_back(stage):
    plot = Plot(operations=("run mysql/leader restore backup=newest confirm=mysql",), usual=True)
    report = Rehearsal(stage, plot).run(RESTORES, seed=4)
    assert report.found is None, f"{report.found.invariant}: {report.found.what}"
    assert report.schedules == RESTORES
