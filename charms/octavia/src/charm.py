#!/usr/bin/env python3
"""The octavia charm: load balancers that OVN is, without virtual machines."""

from __future__ import annotations

import ops

from openinfra_charm.model import hook
from openinfra_charm.openstack.needs import DATABASE, NETWORKS, Identity
from openinfra_charm.openstack.service import Service
from openinfra_charm.openstack.spec import Catalogued, Ports, Process, Schema, Spec

UPGRADE = ("octavia-db-manage", "--config-file={config}", "upgrade", "head")
AGENT = {"OPENINFRA_AGENT": "{lib}"}
"""Where the agent listens, for those who speak to it."""
SPEC = Spec(
    name="octavia",
    ports=Ports(public=9876, backend=19876, proxied=29876),
    wsgi="octavia_wsgi:application",
    environment=AGENT,
    templates=("octavia.conf.j2",),
    needs=(DATABASE, Identity(clients=("neutron", "service_auth")), NETWORKS),
    schema=Schema(sync=(UPGRADE,), expand=(UPGRADE,)),
    processes=(
        Process(
            name="agent",
            command=("python", "{modules}/octavia_agent.py", "--config-file={config}"),
            environment=AGENT,
        ),
        Process(name="housekeeping", command=("octavia-housekeeping", "--config-file={config}")),
    ),
    catalogue=(Catalogued(name="octavia", type="load-balancer", description="Load balancing"),),
    check="/v2.0/lbaas/providers",
    bindings=("python3-openvswitch", "python3-simplegeneric"),
)


class OctaviaCharm(ops.CharmBase):
    """The service."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.service = Service(self, SPEC)


if __name__ == "__main__":
    hook.main(OctaviaCharm)
