"""Objects and files from one Ceph cluster, all on the same machines, in any order of events and under faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from openinfra_model import bundle, pack
from openinfra_model.rehearsal.play import Plot
from openinfra_model.rehearsal.rehearse import Rehearsal
from openinfra_model.rehearsal.world import Stage

ROOT = Path(__file__).parents[2]
CHARMS = ["ceph", "ceph-fs", "ceph-rgw", "certificates"]
SCHEDULES = 2


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Stage:
    pack.pack(ROOT, CHARMS)
    wanted = bundle.load(ROOT / "charms/ceph-rgw/tests/bundle.yaml")
    return Stage(wanted, tmp_path_factory.mktemp("charms"), ROOT / "charms")


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param((), id="deployed"),
        pytest.param(
            ("config ceph-rgw public-hostname=s3.example.org", "config ceph-fs mds-cache-memory-limit=1G"),
            id="restarted unit by unit",
        ),
        pytest.param(("run certificates/leader renew-ca",), id="a new CA"),
        pytest.param(("remove-application ceph-rgw",), id="objects go, files stay"),
        pytest.param(("remove-application ceph-fs",), id="files go, objects stay"),
        pytest.param(
            (
                "remove-unit ceph-rgw/0; add-unit ceph-rgw --to 0",
                "remove-unit ceph-fs/0; add-unit ceph-fs --to 0",
            ),
            id="units are replaced on their machine",
        ),
    ],
)
def test_they_hold(stage, operations):
    report = Rehearsal(stage, Plot(operations=operations, usual=bool(operations))).run(SCHEDULES, seed=1)
    assert report.found is None, f"{report.found.invariant}: {report.found.what}"
    assert report.schedules == SCHEDULES
