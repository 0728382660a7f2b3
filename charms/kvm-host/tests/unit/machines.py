"""Machines in memory with libvirt's twin, and the units of the charm on them."""

import authority
import model
import programs
from ops import testing

from charm import KvmHostCharm
from openinfra_charm.testing import Clock, MemoryMachine

HYPERVISOR, CERTIFICATES = model.PEERS + 1, model.PEERS + 2
"""Ids of relations."""


class HostMachine(MemoryMachine):
    """A machine with libvirt's twin and one address; `kvm` is how long a guest takes with KVM there."""

    kvm = 0.3

    def __init__(self, number, time):
        super().__init__(f"machine-{number}", time)
        self.address = f"10.0.0.{number + 10}"
        self.virt = programs.HypervisorSoftware(self)
        self.virt.kvm = self.kvm
        self.bring(self.virt)


class Model(model.Model):
    """Hypervisors with a CA, and a subordinate."""

    charm, application, bindings = KvmHostCharm, "kvm-host", ("migration", "internal")

    def __init__(self, units=1, config=None, *, secure=True):
        self.time = Clock()
        self.ca = authority.make("root", self.time.now - authority.DAY)
        relations = [
            testing.SubordinateRelation("hypervisor", id=HYPERVISOR, remote_app_name="nova-compute"),
            *([testing.Relation("certificates", id=CERTIFICATES, remote_app_name="ca")] if secure else ()),
        ]
        super().__init__(units, config, relations)

    def make_machine(self, number):
        return HostMachine(number, self.time)

    def add_unit(self):
        machine = super().add_unit()
        self.update_status()
        return machine

    @property
    def told(self):
        """What each unit tells its subordinate."""
        return {number: self.local[HYPERVISOR, number] for number in self.unit_data}

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        if CERTIFICATES in self.relations and self.sign(CERTIFICATES, self.ca):
            self.wake(CERTIFICATES)
