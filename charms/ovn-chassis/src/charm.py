#!/usr/bin/env python3
"""The ovn-chassis charm: beside each unit of its principal the machine becomes a chassis of OVN."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import ops

import metadata
from namespaces import Namespaces
from openinfra_charm import machine as machines
from openinfra_charm.daemon.owned import Owned
from openinfra_charm.daemon.pause import Pause
from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import ovsdb
from openinfra_charm.model import actions, databag, hook, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from openinfra_charm.openstack.service import Hooks, Part, Service
from openinfra_charm.openstack.workload import Whole
from ovn_chassis import OvnChassis, tenant_mtu
from state import AllChassis, Settings, State
from vswitch import USERSPACE, VSwitchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_charm.model.addresses import Place

READY_SECONDS = 30
"""How long a hook waits for ovn-controller to be connected; the next hook goes on where this one gives up."""
MOST_ASKED = 8
"""How many other chassis a unit sends packets of full size to when it looks by the clock; check-mtu asks all."""


class OvnChassisCharm(ops.CharmBase):
    """Events, relations and status of one chassis."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.chassis = OvnChassis(self.machine, self.app.name)
        self.owned = Owned(self.machine, self.unit.name, self.chassis)
        self.paused = Pause(self.unit.name, self.chassis)
        self.cluster = Cluster(self, "cluster")
        self.all_chassis = AllChassis(self.cluster)
        self.metadata = Service(
            self, metadata.SPEC, Hooks(gather=self._facts, render=self._make_folder),
            Part(cluster=self.cluster, whole=Whole(services=self.chassis.services, tls=self.chassis.tls)),
        )  # fmt: skip
        self.chassis.agent = self.metadata.workload.footprint
        self.namespaces = Namespaces(self.machine, self.chassis.vswitch)
        self._missing: list[ops.StatusBase] = []
        relations = {
            "cluster": hook.PEERS,
            "certificates": hook.OTHERS,
            "ovsdb": ("created", "changed", "departed", "broken"),
            metadata.ENDPOINT: hook.OTHERS,
        }
        for event in hook.changes(self.on, relations, self.on.secret_changed):
            framework.observe(event, self._on_change)
        for event in (self.on.start, self.on.update_status):
            framework.observe(event, self._set_version)
        framework.observe(self.on.stop, self._on_stop)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        own = {"pause", "resume"}
        self.actions = actions.Actions(
            self, {name: run for name, run in self.metadata.actions.items() if name not in own}
        )

    # The recipe

    def _on_change(self, event: ops.EventBase) -> None:
        try:
            self._reconcile(event)
        except status.NeedsOperatorError as error:
            self._missing.append(ops.BlockedStatus(str(error)))
        except VSwitchError as error:
            self._missing.append(status.RetriedStatus(f"for {error}"))

    def _reconcile(self, event: ops.EventBase) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the lock from the others.
        self.cluster.grant_lock()
        settings = self.settings
        self.owned.claim()
        self.chassis.install(self.metadata.workload.packages if self._nova else ())
        place = Addresses(self.model, self.machine, self.app.name).find("data")
        if place is None:
            self._missing.append(ops.WaitingStatus("for Juju to give the binding data an address"))
            return
        is_certified = self._update_certificate(place)
        remote = self._remote()
        if not (is_certified and remote):
            return
        self.chassis.render()
        self.chassis.mover.neighbours = [
            one.address for one in self.all_chassis.values() if one.unit != self.unit.name
        ]
        state = State(settings=settings, name=self.chassis.name(), place=place, remote=remote)
        address = self.chassis.bring(state)
        self.cluster.publish(name=state.name, address=address, mtu=self.chassis.mtu(place.interface))
        if self.paused:
            return
        self.chassis.apply()
        self._missing += self.cluster.rolling_restart(
            self.chassis,
            lambda: self.chassis.wait_until_ready(READY_SECONDS),
            "ovn-controller to be connected",
        )
        if self._missing:
            return
        self.chassis.tls.acknowledge(self._authority, self.unit)
        self._serve_metadata(event)
        if isinstance(event, ops.UpdateStatusEvent | ops.StartEvent):
            self._look(state)

    # Metadata of virtual machines

    @property
    def _nova(self) -> ops.Relation | None:
        """The relation to who has the metadata of virtual machines; None without it: the chassis works all the same."""
        return databag.active_relation(self.model, metadata.ENDPOINT)

    def _serve_metadata(self, event: ops.EventBase) -> None:
        """Have the metadata agent run where there is Nova, and nothing of it be there where there is not."""
        if self._nova:
            if not self.metadata.workload.version():
                self.metadata.workload.front.keep_packaged_stopped()
            self.metadata.reconcile(event)
        elif self.metadata.workload.releases.current:
            self._end_metadata()

    def _end_metadata(self) -> None:
        """Take the agent off the machine, with what has outlived it."""
        self.metadata.stop()
        self.namespaces.end()
        self.metadata.jobs.stop()
        self.metadata.workload.processes.remove()
        self.metadata.workload.releases.remove()
        self.machine.remove(self.metadata.workload.config_path)

    def _make_folder(self) -> None:
        self.machine.make_folder(self._proxy, mode=0o710, group=metadata.PROXY_USER)

    @property
    def _proxy(self) -> str:
        """Where the HAProxies of the namespaces reach the agent."""
        return f"{self.metadata.workload.lib}/proxy"

    def _facts(self) -> dict[str, Any]:
        """Return what the agent's configuration has of the chassis."""
        tls = self.chassis.tls
        return {
            "southbound": self._remote(),
            "host": self.chassis.name(),
            "key": tls.key_path,
            "chain": tls.chain_path,
            "ca": tls.ca_path,
            "capabilities": metadata.CAPABILITIES,
            "proxy": self._proxy,
            "proxy_user": metadata.PROXY_USER,
        }

    def _remote(self) -> str:
        """Return where the southbound database is; empty while that is not known."""
        relation = self.model.get_relation("ovsdb")
        if relation is None:
            raise status.NeedsOperatorError(
                f"integrate with OVN's databases: juju integrate {self.app.name}:ovsdb ovn-central:ovsdb"
            )
        found = ovsdb.read(relation) if relation.active else None
        if found is None:
            self._missing.append(ops.WaitingStatus(f"for {relation.app.name} to have its databases"))
        return found.southbound if found else ""

    def _update_certificate(self, place: Place) -> bool:
        """Ask for a certificate in the chassis' name, by which the southbound database knows what it may write; return whether there is one."""
        self.chassis.tls.update(self._authority, self.unit, Subject.of(self.chassis.name(), place.hosts))
        if problem := self.chassis.tls.problem(self._authority):
            self._missing.append(ops.WaitingStatus(problem))
        return self.chassis.tls.ready

    @property
    def _authority(self) -> ops.Relation | None:
        """The relation to who signs certificates, unless it is about to end."""
        return databag.active_relation(self.model, "certificates")

    def _look(self, state: State) -> None:
        """See whether the chassis is connected, and whether packets of full size reach others, a few at a time."""
        if why := self.chassis.why_not_ready():
            self._missing.append(
                status.RetriedStatus(f"{why}; see juju ssh {self.unit.name} journalctl -u ovn-controller")
            )
            return
        others = [one for one in self.all_chassis.values() if one.unit != self.unit.name]
        start = int(self.machine.now()) % max(1, len(others))
        mine, known = self.chassis.mtu(state.place.interface), self.chassis.unreached
        found = {unit: words for unit, words in known.items() if unit in self.all_chassis}
        for one in (others + others)[start : start + min(MOST_ASKED, len(others))]:
            size = min(mine, one.mtu)
            found.pop(one.unit, None)
            if not self.chassis.is_reached(one.address, size):
                found[one.unit] = (
                    f"packets of {size} bytes do not reach {one.unit} ({one.address}): see check-mtu"
                )
        found.pop(self.unit.name, None)
        smallest = min((one.mtu for one in self.all_chassis.values()), default=mine)
        room = tenant_mtu(smallest, state.place.address)
        if large := self.chassis.oversized(room):
            found[self.unit.name] = (
                f"{min(large)} of a virtual machine has an MTU of {large[min(large)]}, and tunnels have room for {room}: "
                f"set Neutron's global_physnet_mtu to {smallest}"
            )
        self.chassis.note_unreached(found)

    # The other events

    def _set_version(self, _: ops.EventBase) -> None:
        """Publish the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.chassis.version())

    def _on_stop(self, _: ops.StopEvent) -> None:
        self._missing.append(status.LEAVING)
        if self.owned.is_mine:
            self.metadata.stop()
            self.namespaces.end()
            self.chassis.leave()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self._missing.append(status.LEAVING)
        if self.owned.is_mine:
            # Juju stops no unit that it has not started yet, but hooks before that may have made bridges.
            self.metadata.stop()
            self.namespaces.end()
            self.chassis.leave()
            self.metadata.remove()
            self.chassis.forget()
            self.owned.remove()
            self.chassis.clear()

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not (self._missing or self.paused or self.owned.was_started):
            # A hook that reconciles nothing: what the last one said is what is waited for still.
            return
        Retry(self.machine, self.unit.name).add_all(
            event, self._missing or [*self._statuses(), *self._of_metadata()]
        )

    def _statuses(self) -> list[ops.StatusBase]:
        """Return what a unit says that waits for nothing."""
        if self.paused:
            return [self.paused.status]
        if down := self.chassis.switch.failed():
            look = " ".join(f"-u {unit}" for unit in down)
            return [
                ops.BlockedStatus(
                    f"Open vSwitch does not run; see juju ssh {self.unit.name} journalctl {look}"
                )
            ]
        return self.owned.problems() or list(map(ops.ActiveStatus, self._notes()))

    def _of_metadata(self) -> list[ops.StatusBase]:
        """Return what there is to say of the metadata agent, unless an operator has paused the unit."""
        return self.metadata.statuses() if self._nova and not self.paused else []

    def _notes(self) -> Iterator[str]:
        """Yield what an operator should know of a chassis that works."""
        yield from self.chassis.unreached.values()
        if self.chassis.datapath == USERSPACE and self.chassis.vswitch.has_module(load=False):
            yield "Open vSwitch forwards by itself, though the kernel has its module now: to have the kernel do it, remove this unit and add it again"

    @cached_property
    def settings(self) -> Settings:
        """The charm's options, checked.

        Raises:
            ConfigError: One of them cannot be used.
        """
        return Settings.parse(self.config)


if __name__ == "__main__":
    hook.main(OvnChassisCharm)
