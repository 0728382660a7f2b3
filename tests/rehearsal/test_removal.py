"""An application goes with all its relations, in any order of events and under faults; the rest serves on."""

from __future__ import annotations

from pathlib import Path

import pytest

from openinfra_model import bundle, pack
from openinfra_model.rehearsal.play import Plot
from openinfra_model.rehearsal.world import Stage

from .holds import assert_holds

ROOT = Path(__file__).parents[2]
SCHEDULES = 2


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Stage:
    pack.pack(ROOT)
    wanted = bundle.load(ROOT / "bundles/openinfra.yaml", [ROOT / "bundles/overlays/trial.yaml"])
    return Stage(wanted, tmp_path_factory.mktemp("charms"), ROOT / "charms")


@pytest.mark.parametrize("application", ["ceph-fs", "ceph-rgw", "keystone"])
def test_the_rest_holds(stage, application):
    """Its relations end together: Juju may have dropped one before the last hook of it has run."""
    assert_holds(stage, Plot(operations=(f"remove-application {application}",), usual=True), SCHEDULES)
