"""Units of the charm on machines in memory, related to a Ceph that answers what they ask."""

import model
import monitors
import programs

from charm import CephFsCharm
from openinfra_charm.testing import MemoryMachine

CEPH = model.PEERS + 1


class MdsMachine(MemoryMachine):
    """A machine with the metadata server's twin and one address."""

    def __init__(self, filesystem, number):
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{number + 10}"
        self.mds = programs.MdsSoftware(filesystem, self, self.address)
        self.bring(self.mds)


class Model(model.Model):
    """Units of the charm, each on a machine of its own."""

    charm, application, bindings = CephFsCharm, "ceph-fs", ("public",)

    def __init__(self, units=1, config=None, *, has_ceph=True):
        self.filesystem = programs.Filesystem()
        super().__init__(units, config, [monitors.relation(CEPH)] if has_ceph else [])

    def make_machine(self, number):
        return MdsMachine(self.filesystem, number)

    def add_unit(self):
        machine = super().add_unit()
        self.settle()
        return machine

    def configure(self, **options):
        super().configure(**options)
        self.settle()

    def settle(self):
        """Have Ceph answer, and all units see it, until nothing is new."""
        while CEPH in self.relations and monitors.answer(self, CEPH):
            self.update_status()

    def known(self):
        return self.filesystem.volumes, self.filesystem.keys
