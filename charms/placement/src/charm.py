#!/usr/bin/env python3
"""The placement charm: an OpenStack API that has nothing special, so it is a specification and nothing else."""

from __future__ import annotations

import ops

from openinfra_charm.model import hook
from openinfra_charm.openstack.needs import IDENTITY, Database
from openinfra_charm.openstack.service import Service
from openinfra_charm.openstack.spec import Catalogued, Ports, Schema, Spec

MANAGE = ("placement-manage", "--config-file={config}", "db")
SYNC, MIGRATE_DATA = (*MANAGE, "sync"), (*MANAGE, "online_data_migrations")
SPEC = Spec(
    name="placement",
    ports=Ports(public=8778, backend=18778, proxied=28778),
    wsgi="placement.wsgi.api:application",
    # A process writes to the database when it starts. It waits a while for one that comes later, as after a power loss: to be
    # started every second would take the processor from the database. It does not end before it has stopped to wait.
    environment={"OS_PLACEMENT_CONFIG_DIR": "{etc}", "OS_PLACEMENT_DATABASE__MAX_RETRIES": "10"},
    templates=("placement.conf.j2",),
    needs=(Database(name="placement_database"), IDENTITY),
    # Data take the form of a new release when no unit runs the old one any more.
    schema=Schema(sync=(SYNC, MIGRATE_DATA), expand=(SYNC,), contract=(MIGRATE_DATA,)),
    enough=("service",),
    catalogue=(Catalogued(name="placement", type="placement", description="Placement"),),
    check="/resource_providers?name=openinfra",
)


class PlacementCharm(ops.CharmBase):
    """The service."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.service = Service(self, SPEC)


if __name__ == "__main__":
    hook.main(PlacementCharm)
