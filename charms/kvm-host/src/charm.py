#!/usr/bin/env python3
"""The kvm-host charm: each unit is a hypervisor, and tells what keeps guests on it what it can do."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import ops

from check import why_not_to_stop
from kvm_host import FOLDER, PREFIX, KvmHost
from openinfra_charm import machine as machines
from openinfra_charm.daemon.libvirt import NoAnswerError
from openinfra_charm.daemon.owned import Owned
from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import hypervisor
from openinfra_charm.interfaces.hypervisor import Hypervisor
from openinfra_charm.model import actions, databag, hook, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from state import AUTO, CUSTOM, Settings, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_charm.model.addresses import Place
    from virtualization import Found

READY_SECONDS = 30
"""How long a hook waits for libvirt; the next one goes on from there."""
EMULATED = {"x86_64": "Nehalem", "aarch64": "max"}
"""The CPU that emulated guests see, by the machine's architecture: QEMU can show it wherever it runs."""


class GuestsRunError(Exception):
    """The unit must not stop: guests run on its machine."""


class KvmHostCharm(ops.CharmBase):
    """Events, relations and status of one hypervisor."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.host = KvmHost(self.machine, self.app.name)
        self.owned = Owned(self.machine, self.unit.name, self.host)
        self.cluster = Cluster(self, "cluster")
        self._missing: list[ops.StatusBase] = []
        relations = {
            "cluster": hook.PEERS,
            "certificates": hook.OTHERS,
            "hypervisor": ("created", "changed"),
        }
        for event in hook.changes(self.on, relations):
            framework.observe(event, self._on_change)
        for event in (self.on.start, self.on.update_status):
            framework.observe(event, self._set_version)
        framework.observe(self.on.stop, self._on_stop)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        self.actions = actions.Actions(self)

    # The recipe

    def _on_change(self, event: ops.EventBase) -> None:
        try:
            self._reconcile(event)
        except status.NeedsOperatorError as error:
            self._missing.append(ops.BlockedStatus(str(error)))
        except NoAnswerError as error:
            self._missing.append(status.RetriedStatus(f"for libvirt: {error}"))

    def _reconcile(self, event: ops.EventBase) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the lock from the others.
        self.cluster.grant_lock()
        settings = self.settings
        self.owned.claim()
        self.host.install()
        if not self.cluster.formed:
            return
        addresses = Addresses(self.model, self.machine, self.app.name)
        migration, internal = addresses.find("migration"), addresses.find("internal")
        if migration is None or internal is None:
            self._missing.append(
                ops.WaitingStatus("for Juju to give the bindings migration and internal an address")
            )
            return
        if not self._has_certificate(migration, internal):
            return
        self.host.render(State(settings=settings, migration=migration.address))
        self.host.apply()
        self._missing += self.cluster.rolling_restart(
            self.host, lambda: self.host.wait_until_ready(READY_SECONDS), "libvirt to answer"
        )
        if self.host.outdated():
            return
        self.host.take_certificate()
        self.host.tls.acknowledge(self._authority, self.unit)
        # Nothing of a relation makes the machine another one.
        looks = hook.is_about(event) or self.host.virtualization.known is None
        found = self.host.virtualization.look() if looks else self.host.virtualization.known
        if found and not self._lacks_kvm(found):
            self._publish(settings, found, migration, internal)

    def _has_certificate(self, migration: Place, internal: Place) -> bool:
        """Ask for a certificate under all names of this unit, and take what has come; return whether there is one."""
        tls, machine = self.host.tls, self.machine.hostname()
        names = Subject.of(machine, (*migration.hosts, *internal.hosts))
        subject = Subject(common_name=f"{PREFIX}{machine}"[:64], dns=names.dns, addresses=names.addresses)
        tls.update(self._authority, self.unit, subject)
        if self._authority is None:
            self._missing.append(ops.BlockedStatus(f"no TLS: juju integrate {self.app.name} certificates"))
        elif problem := tls.problem(self._authority):
            self._missing.append(ops.WaitingStatus(problem))
        return tls.ready

    def _publish(self, settings: Settings, found: Found, migration: Place, internal: Place) -> None:
        """Tell what keeps guests here what the hypervisor is."""
        is_kvm = found.has_kvm and settings.virt_type != "qemu"
        mode, model = settings.cpu_mode, settings.cpu_model
        if mode == AUTO:
            mode, model = ("host-model", "") if is_kvm else (CUSTOM, EMULATED[self.host.architecture])
        told = Hypervisor(
            hostname=self.machine.hostname(),
            virt_type="kvm" if is_kvm else "qemu",
            cpu_mode=mode,
            cpu_model=model,
            migration_address=migration.address,
            console_address=internal.address,
            tls_folder=FOLDER,
            cpu_dedicated_set=settings.dedicated,
            cpu_shared_set=settings.shared,
            reserved_memory=str(settings.reserved_memory),
            reserved_disk=str(settings.reserved_disk),
            reserved_cpus=str(settings.reserved_cpus),
            reserved_huge_pages=settings.reserved_huge_pages,
        )
        for relation in self.model.relations["hypervisor"]:
            if relation.active:
                hypervisor.publish(relation, self.unit, told)

    @property
    def _authority(self) -> ops.Relation | None:
        """The relation to who signs certificates, unless it is about to end."""
        return databag.active_relation(self.model, "certificates")

    # The other events

    def _set_version(self, _: ops.EventBase) -> None:
        """Publish the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.host.version())

    def _on_stop(self, _: ops.StopEvent) -> None:
        """Stop the hypervisor; fail, for Juju to try again, as long as guests run."""
        self._missing.append(status.LEAVING)
        if not self.owned.is_mine:
            return
        if why := why_not_to_stop(self.host.libvirt.running()):
            raise GuestsRunError(why)
        self.owned.stop()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self._missing.append(status.LEAVING)
        if self.owned.is_mine:
            self.host.tls.remove()
            self.owned.remove()

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not self._missing and not self.cluster.formed:
            self._missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
        Retry(self.machine, self.unit.name).add_all(event, self._missing or self._statuses())

    def _statuses(self) -> Iterator[ops.StatusBase]:
        """Yield every reason that the status has when nothing is missing."""
        try:
            settings = self.settings
        except status.ConfigError as error:
            yield ops.BlockedStatus(str(error))
            return
        yield from self.owned.problems()
        if (found := self.host.virtualization.known) is None:
            return
        if lack := self._lacks_kvm(found):
            yield ops.BlockedStatus(lack)
            return
        yield ops.ActiveStatus("; ".join(self._notes(settings, found)))

    def _notes(self, settings: Settings, found: Found) -> Iterator[str]:
        """Yield how guests run here, and what is not as the operator wants it yet."""
        if settings.virt_type == "qemu":
            yield "guests are emulated (TCG), as virt-type has it"
        else:
            yield "KVM" if found.has_kvm else f"guests are emulated (TCG): {found.reason}"
        yield from self.host.missing_pages(settings.huge_pages)
        nested = self.host.virtualization.nested
        if nested is not None and nested != settings.nested:
            yield f"nested={str(settings.nested).lower()} applies when the machine has been started anew"

    def _lacks_kvm(self, found: Found) -> str:
        """Return why the unit is of no use: the operator wants KVM, and it runs no guest."""
        if self.settings.virt_type == "kvm" and not found.has_kvm:
            return (
                f"virt-type=kvm: {found.reason}; set virt-type=auto, or mend it and run check-virtualization"
            )
        return ""

    @cached_property
    def settings(self) -> Settings:
        """The charm's options, checked.

        Raises:
            ConfigError: One cannot be used.
        """
        return Settings.parse(self.config)


if __name__ == "__main__":
    hook.main(KvmHostCharm)
