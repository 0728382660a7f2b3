"""The units of one cluster, on machines in memory around a twin of Ceph."""

import dataclasses

import machines
import model
import twin

from charm import CephCharm

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
