#!/usr/bin/env python3
"""The ceph charm: one application is one Ceph cluster, each unit brings its machine's disks into it."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING

import ops

import crush
import daemons
import drain
import health
import report
from admin import UnreachableError
from ceph import DAEMON, Ceph
from clients import Clients
from keys import Keys
from monitor import QuorumError
from openinfra_charm import machine as machines
from openinfra_charm.daemon import leftovers, registry
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.model import actions, hook, secrets, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from packages import PackagesError
from quorum import Quorum
from state import CLUSTER_KEYS, Config, Identity, Members, Settings, State
from upgrade import Upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

LEAVING = ops.MaintenanceStatus("leaving the cluster")
STOP_SECONDS = 45
"""How long a hook waits for data to be safe before it fails, for Juju to try again."""


class CephCharm(ops.CharmBase):
    """Events, relations and status of one unit of Ceph."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.ceph = Ceph(self.machine, self.app.name)
        self.jobs = Jobs(self.machine, self.app.name, self.unit.name)
        self.cluster = Cluster(self, "cluster")
        self.members = Members(self.cluster)
        self.secrets = secrets.Owner(self)
        kept = secrets.Own(self.model, self.app, CLUSTER_KEYS)
        self.quorum = Quorum(
            self.unit, cluster=self.cluster, members=self.members, ceph=self.ceph, jobs=self.jobs, keep_keys=kept.put
        )  # fmt: skip
        self.clients = Clients(self.model, cluster=self.cluster, admin=self.ceph.admin)
        self.keys = Keys(self.unit, ceph=self.ceph, kept=kept)
        self.upgrade = Upgrade(self.unit, ceph=self.ceph, cluster=self.cluster, jobs=self.jobs)
        self._missing: list[ops.StatusBase] = []
        for event in (
            self.on.install, self.on.leader_elected, self.on.config_changed, self.on.start, self.on.upgrade_charm,
            self.on.update_status, self.on.secret_changed, self.on.osd_devices_storage_attached,
            *(getattr(self.on[endpoint], f"relation_{kind}") for endpoint in ("cluster", "client", "radosgw", "mds")
              for kind in ("created", "changed", "departed")),
            self.on["radosgw"].relation_broken, self.on["mds"].relation_broken,
        ):  # fmt: skip
            framework.observe(event, self._on_change)
        framework.observe(self.on.start, self._tell_version)
        framework.observe(self.on.update_status, self._tell_version)
        framework.observe(self.on["client"].relation_broken, self._on_client_broken)
        framework.observe(self.on.osd_devices_storage_detaching, self._on_storage_detaching)
        framework.observe(self.on.stop, self._on_stop)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        for name in self.meta.actions:
            framework.observe(self.on[name].action, self._on_action)

    # The recipe

    def _on_change(self, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationDepartedEvent) and event.departing_unit == self.unit:
            # The relation forgets the peers one by one; what this machine knows of them is needed until it has left.
            self._missing.append(LEAVING)
            return
        try:
            self._reconcile(event)
        except (status.NeedsOperatorError, PackagesError) as error:
            self._missing.append(ops.BlockedStatus(str(error)))
        except QuorumError as error:
            self._missing.append(ops.WaitingStatus(f"for the quorum: {error}"))
        except UnreachableError as error:
            self._missing.append(ops.WaitingStatus(f"the Ceph monitors: {error}"))

    def _reconcile(self, event: ops.EventBase) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        settings = Settings.parse(self.load_config(Config))
        leftovers.occupy(self.machine, self.unit.name, self.ceph.footprint)
        if installing := self.upgrade.await_packages(settings.source):
            self._missing.append(installing)
            return
        self.ceph.install(settings.source)
        if not self.cluster.formed:
            return
        self._publish_member()
        state = self._gather(settings)
        if state is None:
            return
        if not state.monitors:
            self._missing.append(
                ops.WaitingStatus(f"for {self.cluster.shared['founder']} to found the cluster")
            )
            return
        self.ceph.render(state)
        if self.ceph.paused:
            self._configure(settings)
            self._lead(settings, event)
            return
        self._await(self.quorum.awaited)
        if not state.runs_monitor:
            self._await(self.quorum.leave())
        elif self.ceph.run_monitor(state):
            self.cluster.publish(monitor=True)
        else:
            self._missing.append(ops.WaitingStatus("for this machine's monitor to be in quorum"))
        self._configure(settings, founds=state.founds_cluster)
        if not self.jobs.unfinished():
            self.ceph.osds.clean_up()
            self._add_disks(settings)
        self.ceph.apply()
        if not state.runs_monitor or self.ceph.monitor.has_manager:
            self.ceph.report_crashes()
        self.jobs.resume()
        self.quorum.go_on_alone()
        self._lead(settings, event)
        self.clients.serve(self.members[self.unit.name], allows_plain=settings.allow_plain_credentials)
        daemons.serve(self, settings)
        self._await(self.keys.replace(state.identity, self.upgrade.cluster_version()))
        self._await(self.upgrade.restart_outdated())
        self._await(self.upgrade.finish())
        self._await(self.upgrade.bring_packages(settings.source))

    def _lead(self, settings: Settings, event: ops.EventBase) -> None:
        """Do what only the leader does, also one whose daemons are paused."""
        self.quorum.choose(settings.monitor_count)
        self.quorum.note_hosts(is_regular=isinstance(event, ops.UpdateStatusEvent))
        self.quorum.forget_gone()
        self.cluster.grant_turn()

    def _configure(self, settings: Settings, *, founds: bool = False) -> None:
        """As the leader, or as who founds the cluster, set the options that daemons take while they run."""
        wanted, before = settings.at_run_time(), self.cluster.shared.get("options", {})
        if wanted != before and (founds or self.unit.is_leader()):
            self.ceph.configure(wanted, before)
        if self.unit.is_leader():
            self.cluster.publish_shared(options=wanted)

    def _await(self, what: ops.StatusBase | None) -> None:
        self._missing += [what] if what else []

    def _gather(self, settings: Settings) -> State | None:
        """Return everything that decides what runs here; None while the model does not say enough yet."""
        identity = self.identity
        if identity is None or not self.quorum.is_named:
            self._missing.append(self.quorum.name())
            return None
        me, shared = self.members[self.unit.name], self.cluster.shared
        chosen = [self.members[unit] for unit in shared["monitors"] if unit in self.members]
        joins = self.quorum.joins
        return State(
            settings=settings,
            identity=identity,
            member=me,
            monitors=tuple(member for member in chosen if member.monitor or (joins and member == me)),
            runs_monitor=joins,
            founds_cluster=shared["founder"] == self.unit.name and "founded" not in shared,
        )

    def _publish_member(self) -> None:
        told = self.cluster.facts(self.unit.name).get("public_address")
        addresses = Addresses(self.model, self.machine, self.app.name)
        public, internal = addresses.find("public", published=told), addresses.find("cluster")
        if not public or not internal:
            return
        here = public.address
        if told and here != told and self.ceph.monitor.exists:
            # The others know the monitor by its address, which is in the cluster's map.
            self._missing.append(
                ops.BlockedStatus(
                    f"the address of {self.unit.name} was {told} and is {here} now, and its monitor cannot follow: give the "
                    "machine the old one back, or remove the unit and add another"
                )
            )
            here = told
        self.cluster.publish(
            hostname=self.machine.hostname(), public_address=here, cluster_address=internal.address,
            ceph_version=self.ceph.version(),
        )  # fmt: skip

    def _add_disks(self, settings: Settings) -> None:
        """Make OSDs of the devices that the configuration and Juju's storage name."""
        if self.members[self.unit.name].leaving:
            return
        self.cluster.publish(absent_devices=self.ceph.osds.absent(settings.osd_devices) or None)
        attached = [str(storage.location) for storage in self.model.storages["osd-devices"]]
        for error in self.ceph.osds.provide((*settings.osd_devices, *attached)):
            self._missing.append(ops.BlockedStatus(f"{error}; see list-disks"))

    # The other events

    def _tell_version(self, _event: ops.EventBase) -> None:
        """Tell the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.ceph.version())

    def _on_action(self, event: ops.ActionEvent) -> None:
        actions.perform(self, event)

    def _on_client_broken(self, _event: ops.RelationBrokenEvent) -> None:
        if self.unit.is_leader():
            self.clients.withdraw_departed()

    def _on_storage_detaching(self, event: ops.StorageDetachingEvent) -> None:
        """Let Juju have a disk back only when nothing is lost with it; until then the hook fails and Juju retries."""
        path = self.machine.resolve(str(event.storage.location))
        osd = self.ceph.osds.holder(path)
        if osd and osd.phase != "making":
            self._give_up([osd.number])

    def _on_stop(self, _event: ops.StopEvent) -> None:
        """Leave the cluster; fail, for Juju to retry, as long as data or quorum would be lost."""
        self._missing.append(LEAVING)
        self.jobs.stop()
        self._wait_while(self.quorum.why_not_to_go)
        self._give_up([osd.number for osd in self.ceph.osds.all()])
        if self.quorum.has_others:
            self._await(self.quorum.leave())
        self.ceph.stop()

    def _on_remove(self, _event: ops.RemoveEvent) -> None:
        self._missing.append(LEAVING)
        if registry.owner(self.machine, DAEMON) == self.unit.name:
            self.ceph.remove()
            registry.disclaim(self.machine, DAEMON, self.unit.name)

    def _give_up(self, numbers: list[int]) -> None:
        """Remove OSDs as soon as nothing is lost with them; let their data move if nobody has prepared it."""
        self._wait_while(lambda: self._why_not_to_give_up(numbers))
        for number in numbers:
            if osd := self.ceph.osds.find(number):
                self.ceph.osds.remove(osd, self.ceph.services, zap=False)

    def _why_not_to_give_up(self, numbers: list[int]) -> str | None:
        why = health.why_data_would_be_lost(self.ceph, numbers)
        if why:
            with contextlib.suppress(UnreachableError, crush.CrushError):
                crush.check_spare(self.ceph.admin, numbers)
                drain.begin(self.ceph.admin, numbers)
        return why

    def _wait_while(self, why_not: Callable[[], str | None]) -> None:
        """Wait until it is safe to go on with the removal of this unit.

        Raises:
            UnsafeToRemoveError: It takes longer than a hook may; Juju tries the hook again.
        """
        while why := why_not():
            if self.machine.now() > self._stop_limit:
                raise drain.UnsafeToRemoveError(
                    f"{why}. The hook is tried again; or give up what is here: juju remove-unit --force {self.unit.name}"
                )
            self.machine.sleep(drain.PAUSE)

    @cached_property
    def _stop_limit(self) -> float:
        """Until when this hook may wait."""
        return self.machine.now() + STOP_SECONDS

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not self._missing and not self.identity:
            self._missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
        status.add_all(event, self._missing or report.statuses(self))

    # What the model says

    @cached_property
    def identity(self) -> Identity | None:
        """The cluster's identity, once the leader has named it and Juju lets this unit read its keys."""
        shared = self.cluster.shared
        keys = secrets.find(self.model, shared.get("keys"))
        if keys is None:
            return None
        return Identity(fsid=shared["fsid"], monitor_key=keys["monitor-key"], admin_key=keys["admin-key"])


if __name__ == "__main__":
    hook.main(CephCharm)
