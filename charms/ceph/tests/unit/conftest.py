"""Machines in memory around a twin of Ceph, and the units of the charm on them."""

import dataclasses
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY / "tests")]

import machines  # noqa: E402  found on the path of the line above
import model  # noqa: E402
import twin  # noqa: E402

from charm import CephCharm  # noqa: E402

TRIAL = {"failure-domain": "osd", "osd-pool-default-pg-num": 8}
"""Options for clusters small enough to be seen through."""


class Model(model.Model):
    """The units of one cluster. `names` are those that machines get, where they had been another's."""

    charm, application, bindings = CephCharm, "ceph", ("public", "cluster")

    def __init__(self, units=1, config=None):
        self.ceph = twin.Cluster()
        self.storages = {}
        self.names = {}
        super().__init__(units, config)

    def make_machine(self, number):
        return machines.CephMachine(self.ceph, number, name=self.names.get(number))

    def known(self):
        ceph = self.ceph
        known = (ceph.osds, ceph.pools, ceph.rules, ceph.auth, ceph.flags, ceph.config, ceph.monitors)
        return (*known, ceph.records)

    def _state(self, number, relations, secrets):
        return dataclasses.replace(
            super()._state(number, relations, secrets), storages=self.storages.get(number, ())
        )

    def settle(self, rounds=4):
        """Let Juju look at every unit some times, and jobs run."""
        for _ in range(rounds):
            self.update_status()
            for number in self.unit_data:
                self.machines[number].run_jobs()

    def add_osd(self, number, name="sdb"):
        """Plug a disk in and make an OSD of it; return its number."""
        self.machines[number].plug_in(name)
        results = self.action(number, "add-disk", osd_devices=f"/dev/{name}")
        self.machines[number].sleep(3)
        return results["result"][0]["osd-id"]

    def fill(self, name="data", megabytes=100, **params):
        """Make a pool with data in it."""
        self.action(0, "create-pool", name=name, **params)
        pool = next(pool for pool in self.ceph.pools if pool.name == name)
        pool.stored = megabytes << 20
        self.machines[0].sleep(3)
        return pool


@pytest.fixture
def deploy():
    """Return a function that deploys the charm."""

    def deploy(units=1, **options):
        return Model(units, TRIAL | {option.replace("_", "-"): value for option, value in options.items()})

    return deploy


# What many tests begin with is deployed once, and copied for each.


@cache
def _one():
    return Model(1, TRIAL)


@cache
def _three():
    model = Model(3, TRIAL | {"failure-domain": "host"})
    for number in range(3):
        model.add_osd(number)
    return model


@cache
def _full():
    model = _three().copy()
    model.fill()
    model.update_status()
    return model


@cache
def _four():
    model = _full().copy()
    model.add_unit()
    model.add_osd(3)
    return model


@pytest.fixture
def one():
    """One unit, with options for trials."""
    return _one().copy()


@pytest.fixture
def three():
    """Three units with a disk each, and copies on all three machines."""
    return _three().copy()


@pytest.fixture
def full():
    """Three units with a disk and data each."""
    return _full().copy()


@pytest.fixture
def four():
    """A fourth unit with a disk, so that one can be spared."""
    return _four().copy()


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}
