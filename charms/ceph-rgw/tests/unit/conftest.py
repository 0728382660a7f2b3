"""What the tests of this charm begin with."""

import sys
from pathlib import Path

import pytest
from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY / "tests")]

import model  # noqa: E402  found on the path of the line above
import programs  # noqa: E402
from play import CEPH, CERTIFICATES, Model, RgwMachine  # noqa: E402

from openinfra_charm.machine import use  # noqa: E402


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(RgwMachine(programs.Zone(), 0)) as machine:
        yield machine


defaults = model.defaults(CHARM)


KEYSTONE = {
    "internal-auth-url": "https://10.0.0.5:5000/v3", "public-auth-url": "https://10.0.0.5:5000/v3",
    "service-project-name": "service", "service-domain-name": "service_domain", "region": "RegionOne",
}  # fmt: skip


@pytest.fixture
def keystone():
    """Return what a Keystone says once it has made a user, and its secret; for `Model.relate`."""

    def answer(model, user="ceph-rgw", password="the-password"):
        secret = testing.Secret({"username": user, "password": password}, owner=None)
        model.secrets |= {secret}
        return {**KEYSTONE, "service-credentials": secret.id}

    return answer


@pytest.fixture
def deploy():
    """Return a function that deploys the charm on so many machines."""

    def deploy(units=1, **options):
        relations = options.pop("relations", (CEPH, CERTIFICATES))
        return Model(units, options, relations=relations)

    return deploy
