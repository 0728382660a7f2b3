"""Certificates for requirers, in any order of events and under faults."""

from __future__ import annotations

import pytest

from openinfra_model import bundle, pack
from openinfra_model.rehearsal.play import Plot
from openinfra_model.rehearsal.rehearse import Rehearsal
from openinfra_model.rehearsal.world import Stage
from tests.probes import lay_out

SCHEDULES = 4
BUNDLE = """\
applications:
  certificates: {charm: ./build/openinfra-certificates.charm, base: ubuntu@24.04, num_units: 2, to: ["0", "1"]}
  requirer: {charm: ./build/openinfra-requirer.charm, base: ubuntu@24.04, num_units: 2, to: ["1", "2"]}
machines: {"0": {base: ubuntu@24.04}, "1": {base: ubuntu@24.04}, "2": {base: ubuntu@24.04}}
relations:
- ["certificates:certificates", "requirer:certificates"]
- ["certificates:send-ca-cert", "requirer:receive-ca-cert"]
"""


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Stage:
    site = lay_out(tmp_path_factory.mktemp("site") / "site", "certificates")
    pack.pack(site)
    (site / "bundle.yaml").write_text(BUNDLE)
    return Stage(bundle.load(site / "bundle.yaml"), tmp_path_factory.mktemp("charms"), site / "charms")


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param((), id="deployed"),
        pytest.param(("run certificates/leader renew-ca",), id="a new CA"),
        pytest.param(
            ("run certificates/leader reissue", "config requirer name=other.example"), id="reissued"
        ),
        pytest.param(("remove-unit certificates/0", "add-unit requirer"), id="another unit leads"),
        pytest.param(("remove-application requirer",), id="the requirer goes"),
    ],
)
def test_certificates_hold(stage, operations):
    report = Rehearsal(stage, Plot(operations=operations)).run(SCHEDULES, seed=1)
    assert report.found is None, f"{report.found.invariant}: {report.found.what}"
    assert report.schedules == SCHEDULES
