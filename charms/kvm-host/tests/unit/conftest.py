"""Machines in memory with libvirt's twin, and the units of the charm on them."""

import sys
from pathlib import Path

import pytest
from ops import testing

CHARM = Path(__file__).parents[2]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins")]
sys.path.append(str(CHARM.parents[1] / "lib/openinfra_charm/tests"))

import authority  # noqa: E402  found on the path of the line above
import model  # noqa: E402
import programs  # noqa: E402

import kvm_host  # noqa: E402
from charm import KvmHostCharm  # noqa: E402
from openinfra_charm.testing import Clock, MemoryMachine  # noqa: E402

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


@pytest.fixture(autouse=True)
def architecture(monkeypatch):
    """Tests are of one architecture, whatever they run on; returns how it becomes another."""

    def become(name):
        monkeypatch.setattr(kvm_host.platform, "machine", lambda: name)

    become("x86_64")
    return become


defaults = model.defaults(CHARM)


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

    def _goal_state(self):
        return super()._goal_state()


deploy, one, three = model.fixtures(Model)
