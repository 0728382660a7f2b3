"""Hosts in memory with libvirt's twin and nova-compute's, and the units of the charm on them, with all that they need."""

import dataclasses
from typing import Any

import api_model
import ops.hookcmds
import twin
from model import PEERS
from ops import testing

from charm import NovaComputeCharm
from openinfra_charm.testing.libvirt import UNIT as LIBVIRTD
from openinfra_charm.testing.libvirt import LibvirtSoftware

HYPERVISOR, IDENTITY, NOVA = range(PEERS + 10, PEERS + 13)
AMQP, CEPH, CERTIFICATES = api_model.BROKER, api_model.CEPH, api_model.CERTIFICATES
"""Ids of relations."""
USER = testing.Secret({"username": "svc-3-1", "password": "user-password"}, id="secret:u00000000000000000u0")
METADATA = testing.Secret({"secret": "metadata-secret-16"}, id="secret:m00000000000000000m0")
CREDENTIALS = {
    "public-endpoint": "https://10.0.0.9:5000/v3", "internal-endpoint": "https://10.1.0.9:5000/v3", "region": "RegionOne",
    "project-name": "services", "user-domain-name": "service_domain", "project-domain-name": "service_domain", "admin-role": "admin",
    "credentials": USER.id,
}  # fmt: skip
HYPERVISOR_DATA = {
    "virt-type": "qemu", "cpu-mode": "custom", "cpu-model": "Nehalem", "tls-folder": "/etc/pki/qemu", "reserved-memory": "512",
    "reserved-disk": "2", "reserved-cpus": "0",
}  # fmt: skip


RELATIONS = (
    testing.SubordinateRelation("hypervisor", id=HYPERVISOR, remote_app_name="kvm-host"),
    testing.Relation(
        "identity-credentials", id=IDENTITY, remote_app_name="keystone", remote_app_data=CREDENTIALS
    ),
    testing.Relation(
        "nova-service", id=NOVA, remote_app_name="nova",
        remote_app_data={
            "metadata-url": "https://10.1.0.100:8775", "console-url": "https://cloud.example:6080/vnc_lite.html", "region": "RegionOne",
            "metadata-secret": METADATA.id,
        },
    ),
)  # fmt: skip
SECRETS = (USER, METADATA)


class Model(api_model.ApiModel):
    """The hosts of one application; `api` is what Nova knows of them."""

    charm, application = NovaComputeCharm, "nova-compute"
    more_relations, more_secrets = RELATIONS, SECRETS

    def __init__(self, units=1, config=None):
        self.api = {}
        super().__init__(units, config)

    def software(self, machine, done):
        return twin.NovaCompute(machine, done, self.api)

    def make_machine(self, number):
        machine: Any = super().make_machine(number)
        machine.libvirt = LibvirtSoftware(machine)
        machine.bring(machine.libvirt)
        machine.have("/etc/libvirt/libvirtd.conf", 'cert_file = "/etc/pki/qemu/chain.pem"\n')
        machine.have("/etc/pki/qemu/chain.pem", "chain")
        machine.enable_services(LIBVIRTD)
        machine.start_services(LIBVIRTD)
        return machine

    def _relations(self, number):
        found = super()._relations(number)
        if HYPERVISOR in found:
            data = {
                "hostname": f"machine-{number}", "migration-address": f"10.0.0.{10 + number}", "console-address": f"10.0.0.{10 + number}",
                **HYPERVISOR_DATA,
            }  # fmt: skip
            found[HYPERVISOR] = dataclasses.replace(
                found[HYPERVISOR], remote_unit_id=number, remote_unit_data=data
            )
        return found

    def _patch(self, patched, number):
        super()._patch(patched, number)
        patched.setattr(self.context, "_principal_unit", f"kvm-host/{number}")

    def _goal_state(self):
        # A subordinate's goal state has no units, not even its own.
        return ops.hookcmds.GoalState(units={}, relations={})

    def _keep(self, number, after, relations):
        super()._keep(number, after, {one: seen for one, seen in relations.items() if one != HYPERVISOR})
