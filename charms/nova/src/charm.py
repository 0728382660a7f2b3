#!/usr/bin/env python3
"""The nova charm: the control plane of OpenStack's servers. Its APIs and processes are a specification; special are its hosts."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import ops

from hosts import Hosts
from nova import CONSOLE, CONSOLE_PORT, Cell0, Nova, Settings
from openinfra_charm.interfaces import nova
from openinfra_charm.model import hook, secrets
from openinfra_charm.model.granted import new_password
from openinfra_charm.model.status import NotYetError
from openinfra_charm.openstack.needs import DATABASE, Database, Identity, Messaging
from openinfra_charm.openstack.service import Hooks, Service
from openinfra_charm.openstack.spec import Catalogued, FurtherApi, Listener, Ports, Process, Schema, Spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOSTS = "nova-service"
"""The endpoint of nova-compute, and of whoever passes metadata on."""
MANAGE = ("nova-manage", "--config-file={config}")
SYNC_API, SYNC, MIGRATE_DATA = (
    (*MANAGE, *words) for words in (("api_db", "sync"), ("db", "sync"), ("db", "online_data_migrations"))
)
CELLS = ("python", "{modules}/programs/cells.py", "{config}")
CHECK = ("python", "{modules}/programs/preflight.py", "{config}")
# A process writes to the database when it starts, and waits a while for one that comes later, as after a power loss.
PATIENCE = {"OS_DATABASE__MAX_RETRIES": "10", "OS_API_DATABASE__MAX_RETRIES": "10"}
THREADS = {"OS_NOVA_DISABLE_EVENTLET_PATCHING": "true"}
"""In both releases, so that an upgrade changes code only. nova-conductor is made for eventlet, as are nova-manage and the consoles."""
SPEC = Spec(
    name="nova",
    ports=Ports(public=8774, backend=18774, proxied=28774),
    wsgi="nova_application:compute",
    apis=(
        FurtherApi(
            name="metadata",
            ports=Ports(public=8775, backend=18775, proxied=28775),
            wsgi="nova_application:metadata",
            internal=True,
        ),
    ),
    environment={"OS_NOVA_CONFIG_DIR": "{etc}", **THREADS, **PATIENCE},
    templates=("nova.conf.j2", "api-paste.ini.j2"),
    needs=(
        DATABASE,
        Database(name="api_database", endpoint="api-database", suffix="_api"),
        Cell0(),
        Identity(clients=("cinder", "glance", "keystone", "neutron", "placement", "service_user")),
        Messaging(),
    ),
    # Data take the form of a new release when no unit runs the old one any more.
    schema=Schema(
        sync=(SYNC_API, CELLS, SYNC, MIGRATE_DATA),
        expand=(CHECK, SYNC_API, SYNC),
        contract=(MIGRATE_DATA,),
    ),
    # In the order in which an upgrade restarts them: the database is the conductor's.
    processes=(
        Process(name="conductor", command=("nova-conductor", "--config-file={config}"), environment=PATIENCE),
        Process(
            name="scheduler",
            command=("nova-scheduler", "--config-file={config}"),
            environment={**THREADS, **PATIENCE},
        ),
        Process(
            name=CONSOLE,
            command=("python", "{modules}/openinfra_console.py", "--config-file={config}"),
            # Each console is a process of its own, and goes on when the one that listens is restarted.
            sandbox={"KillMode": "process"},
            listener=Listener(public=6080, backend=16080, health="/vnc_lite.html", timeout=86400),
        ),
    ),
    catalogue=(Catalogued(name="nova", type="compute", description="Servers", path="/v2.1"),),
    settings=Settings.parse,
    check="/v2.1/os-services?binary=nova-conductor",
    packages=("novnc",),
)


class NovaCharm(ops.CharmBase):
    """The service, and the hosts that serve it."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.service = Service(
            self,
            SPEC,
            Hooks(
                gather=self._gather,
                found=lambda: self.service.cluster.publish_shared(places=self.nova.places),
                serve=self._serve,
                problems=self._problems,
                endpoints=(HOSTS,),
            ),
        )
        self.nova = Nova(self.service.machine, self.service.workload)
        self.hosts = Hosts(self.service.cluster, self.nova)

    def _gather(self) -> Mapping[str, Any]:
        """Return what the configuration has besides what other applications have given."""
        secret = self._secret.read()
        if not secret and self.unit.is_leader():
            secret = {"secret": new_password()}
            self._secret.put(secret)
        if not secret:
            raise NotYetError("for the leader to make the secret of the metadata API")
        return {
            "console_port": CONSOLE_PORT,
            "metadata_secret": secret["secret"],
            "oldest_compute": self.hosts.newer_release,
        }

    def _serve(self) -> None:
        """As the leader, tell hosts where they find what, and have Nova know them."""
        if not self.unit.is_leader():
            return
        ways = self.service.entrance.further
        for relation in self._relations:
            nova.publish(
                relation,
                self.app,
                metadata_url=ways["metadata"].internal_url,
                console_url=f"{ways[CONSOLE].url}/vnc_lite.html",
                region=self.service.options.region,
                secret=self._secret,
            )
        self.nova.keep_cells(self.service.cluster)
        self.hosts.follow(self._hosts[0])

    def _problems(self) -> Iterator[str]:
        yield from self._hosts[1]
        if self.unit.is_leader():
            yield from self.hosts.problems

    @property
    def _relations(self) -> list[ops.Relation]:
        return [relation for relation in self.model.relations[HOSTS] if relation.active]

    @cached_property
    def _hosts(self) -> tuple[list[nova.Host], list[str]]:
        return nova.read_hosts(self._relations)

    @cached_property
    def _secret(self) -> secrets.Own:
        return secrets.Own(self.model, self.app, "metadata")


if __name__ == "__main__":
    hook.main(NovaCharm)
