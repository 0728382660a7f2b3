"""Three units of Keystone with all that they need, in any order of events and under faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from openinfra_model import bundle, pack
from openinfra_model.rehearsal.play import Plot
from openinfra_model.rehearsal.rehearse import Rehearsal
from openinfra_model.rehearsal.world import Stage

ROOT = Path(__file__).parents[2]
CHARMS = ["certificates", "keystone", "memcached", "mysql"]
SCHEDULES = 2


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Stage:
    pack.pack(ROOT, CHARMS)
    wanted = bundle.load(ROOT / "charms/keystone/tests/bundle.yaml")
    return Stage(wanted, tmp_path_factory.mktemp("charms"), ROOT / "charms")


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param((), id="deployed"),
        pytest.param(
            ("config keystone token-lifetime=2h", "run keystone/leader rotate-keys"), id="restarted, rotated"
        ),
        pytest.param(("remove-machine 1 --force; add-unit keystone",), id="a machine that died is replaced"),
    ],
)
def test_it_holds(stage, operations):
    report = Rehearsal(stage, Plot(operations=operations, usual=bool(operations))).run(SCHEDULES, seed=1)
    assert report.found is None, f"{report.found.invariant}: {report.found.what}"
    assert report.schedules == SCHEDULES
