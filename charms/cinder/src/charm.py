#!/usr/bin/env python3
"""The cinder charm: OpenStack's block storage on volumes of Ceph. Each unit runs API, scheduler, volume and backup processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ops

from needs import BackupStore, LockingDatabase
from openinfra_charm.model import hook
from openinfra_charm.openstack import oslo
from openinfra_charm.openstack.needs import MESSAGING, Ceph, Identity
from openinfra_charm.openstack.service import Hooks, Service
from openinfra_charm.openstack.spec import Catalogued, Ports, Process, Schema, Spec
from services import Departures, host_of
from settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

MANAGE = ("cinder-manage", "--config-file={config}", "db")
SYNC, MIGRATE_DATA = (*MANAGE, "sync"), (*MANAGE, "online_data_migrations")
START = "{modules}/openinfra_start.py"
WAITS = {"OS_DATABASE__MAX_RETRIES": "10"}
"""A process looks into the database when it starts. It waits a while for one that comes later, as after a power loss: to be started
every second would take the processor from the database."""
ENVIRONMENT = {**WAITS, "OPENINFRA_STATE": "{lib}", "OPENINFRA_KEYRING": "{etc}/ceph.keyring"}
# Not all object stores know the checksums that boto3 sends since 1.36; Cinder sends others.
CHECKSUMS = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}


def _process(name: str, *command: str, **more: Any) -> Process:
    environment = {**ENVIRONMENT, **more.pop("environment", {}), oslo.PROCESS_NAME: f"{{application}}-{name}"}
    return Process(name=name, command=(*command, "--config-file={config}"), environment=environment, **more)


SPEC = Spec(
    name="cinder",
    ports=Ports(public=8776, backend=18776, proxied=28776),
    wsgi="openinfra_api:application",
    environment=WAITS,
    templates=("cinder.conf.j2",),
    needs=(
        LockingDatabase(),
        Identity(clients=("nova", "glance", "service_user")),
        MESSAGING,
        Ceph(pools=("{application}-volumes",), reads=("glance",)),
        BackupStore(),
    ),
    processes=(
        _process("scheduler", "python", START, "scheduler"),
        _process("volume", "python", START, "volume"),
        _process("backup", "python", START, "backup", environment=CHECKSUMS, only_with="backup"),
    ),
    # Data take the form of a new release when no unit runs the old one any more.
    schema=Schema(sync=(SYNC, MIGRATE_DATA), expand=(SYNC,), contract=(MIGRATE_DATA,)),
    catalogue=(
        Catalogued(
            name="cinder", type="block-storage", description="Block storage", path="/v3/%(project_id)s"
        ),
        # As clients have known it for long.
        Catalogued(name="cinderv3", type="volumev3", description="Block storage", path="/v3/%(project_id)s"),
    ),
    check="/v3/types?limit=1",
    settings=Settings.parse,
    # qemu-img, which turns images of other forms into volumes; rbd, which copies them.
    packages=("ceph-common", "qemu-utils"),
    bindings=("python3-rados", "python3-rbd"),
)


class CinderCharm(ops.CharmBase):
    """The service, and what is special about it: services that each unit has on record, and drivers."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        hooks = Hooks(gather=self._gather, serve=self._serve, problems=self._problems, notes=self._notes)
        self.service = Service(self, SPEC, hooks)
        self.departures = Departures(self.service.cluster, self.service.jobs, self.unit.name)

    def _gather(self) -> dict[str, Any]:
        """Return what the configuration names besides what it has of other applications."""
        place = self.service.entrance.place
        return {
            "host": host_of(self.unit.name),
            "address": place.address if place else "",
            "ca": self.service.workload.tls.ca_path,
        }

    def _serve(self) -> None:
        if self.unit.is_leader():
            self.departures.follow()

    def _problems(self) -> Iterator[str]:
        """Yield which process ends again and again, as what keeps its data cannot be used."""
        for process in SPEC.processes:
            name = f"{self.app.name}-{process.name}"
            why = self.service.machine.read(f"{self.service.workload.lib}/{process.name}-problem")
            if why and self.service.machine.exists(f"/etc/systemd/system/{name}.service"):
                yield f"{name} cannot start: {' '.join(why.split())}; see journalctl -u {name}"

    def _notes(self) -> Iterator[str]:
        yield from self.departures.waits


if __name__ == "__main__":
    hook.main(CinderCharm)
