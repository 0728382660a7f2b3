"""Three gateways and two applications behind them, in any order of events and under faults."""

from __future__ import annotations

import pytest

from openinfra_model import bundle, pack
from openinfra_model.rehearsal.play import Plot
from openinfra_model.rehearsal.rehearse import Rehearsal
from openinfra_model.rehearsal.world import Stage
from tests.probes import lay_out

SCHEDULES = 2
BUNDLE = """\
applications:
  certificates: {charm: ./build/openinfra-certificates.charm, base: ubuntu@24.04, num_units: 1, to: ["0"]}
  gateway:
    charm: ./build/openinfra-gateway.charm
    base: ubuntu@24.04
    num_units: 3
    to: ["0", "1", "2"]
    options: {vip: 10.200.0.1}
  web: {charm: ./build/openinfra-backend.charm, base: ubuntu@24.04, num_units: 2, to: ["0", "1"]}
  writer:
    charm: ./build/openinfra-backend.charm
    base: ubuntu@24.04
    num_units: 2
    to: ["1", "2"]
    options: {port: 13306, backend-port: 3306, single: true}
machines: {"0": {base: ubuntu@24.04}, "1": {base: ubuntu@24.04}, "2": {base: ubuntu@24.04}}
relations:
- ["certificates:certificates", "gateway:certificates"]
- ["certificates:certificates", "web:certificates"]
- ["certificates:certificates", "writer:certificates"]
- ["gateway:haproxy-route-tcp", "web:gateway"]
- ["gateway:haproxy-route-tcp", "writer:gateway"]
"""


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Stage:
    site = lay_out(tmp_path_factory.mktemp("site") / "site", "certificates", "gateway")
    pack.pack(site)
    (site / "bundle.yaml").write_text(BUNDLE)
    return Stage(bundle.load(site / "bundle.yaml"), tmp_path_factory.mktemp("charms"), site / "charms")


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param((), id="deployed"),
        pytest.param(
            ("run gateway/leader drain-backend backend=web/0", "config gateway session-timeout=60"),
            id="drained",
        ),
        pytest.param(("config gateway vip=", "config gateway vip=10.200.0.2"), id="another virtual address"),
        pytest.param(("config web port=5001", "add-unit writer"), id="other routes"),
        pytest.param(("remove-unit gateway/0", "add-unit gateway"), id="a gateway is replaced"),
        pytest.param(("remove-machine 2 --force; add-unit gateway",), id="a machine that died is replaced"),
        pytest.param(("remove-application web",), id="an application goes"),
        pytest.param(
            ("remove-relation gateway certificates", "integrate gateway:certificates certificates"),
            id="the certificates are withdrawn and given back",
        ),
    ],
)
def test_the_gateway_holds(stage, operations):
    report = Rehearsal(stage, Plot(operations=operations)).run(SCHEDULES, seed=1)
    assert report.found is None, f"{report.found.invariant}: {report.found.what}"
    assert report.schedules == SCHEDULES
