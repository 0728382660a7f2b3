#!/usr/bin/env python3
"""The neutron charm: OpenStack's networks, written into OVN's databases."""

from __future__ import annotations

import ops

from openinfra_charm.interfaces import ovsdb_cms
from openinfra_charm.model import hook
from openinfra_charm.model.databag import active_relation
from openinfra_charm.openstack.needs import DATABASE, MESSAGING, NETWORKS, Identity
from openinfra_charm.openstack.service import Hooks, Service
from openinfra_charm.openstack.spec import Catalogued, Ports, Process, Schema, Spec
from ovn import Gateways, Northbound
from state import Settings

MANAGE = ("neutron-db-manage", "--config-file={config}", "upgrade")
PORTS = Ports(public=9696, backend=19696, proxied=29696)
SPEC = Spec(
    name="neutron",
    ports=PORTS,
    wsgi="neutron_wsgi:application",
    environment={"OS_NEUTRON_CONFIG_DIR": "{etc}", "OS_NEUTRON_CONFIG_FILES": "neutron.conf"},
    templates=("neutron.conf.j2",),
    needs=(DATABASE, Identity(clients=("nova", "placement")), MESSAGING, NETWORKS),
    schema=Schema(
        sync=((*MANAGE, "heads"),), expand=((*MANAGE, "--expand"),), contract=((*MANAGE, "--contract"),)
    ),
    processes=(
        Process(name="periodic", command=("neutron-periodic-workers", "--config-file={config}")),
        Process(name="ovn-maintenance", command=("neutron-ovn-maintenance-worker", "--config-file={config}")),
    ),
    catalogue=(Catalogued(name="neutron", type="network", description="Networking"),),
    check="/v2.0/networks?limit=1&fields=id",
    settings=Settings.parse,
    # A floating IP that moves is forgotten in OVN's southbound database by `ovsdb-client`.
    packages=("openvswitch-common",),
    bindings=("python3-openvswitch",),
)


class NeutronCharm(ops.CharmBase):
    """The service, and what it has written into OVN's databases."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.ports = PORTS
        self.service = Service(self, SPEC, Hooks(serve=self._serve))
        northbound = Northbound(self.service.machine, self.service.workload.tls)
        self.gateways = Gateways(self.service.cluster, northbound)

    def _serve(self) -> None:
        relation = active_relation(self.model, "ovsdb-cms")
        if relation and self.unit.is_leader():
            self.gateways.set_probes(ovsdb_cms.read(relation), self.service.settings)


if __name__ == "__main__":
    hook.main(NeutronCharm)
