#!/usr/bin/env python3
"""The ceph charm: one application is one Ceph cluster, each unit brings its machine's disks into it."""

from __future__ import annotations

import contextlib
import uuid
from functools import cached_property

import ops

import clients
import crush
import daemons
import drain
import health
import report
from admin import UnreachableError
from ceph import DAEMON, Ceph
from monitor import new_key
from openinfra_charm import actions, hook, leftovers, registry, secrets, status
from openinfra_charm import machine as machines
from openinfra_charm.addresses import Addresses
from openinfra_charm.cluster import Cluster
from openinfra_charm.job import Jobs
from state import CLUSTER_KEYS, Config, Identity, Members, Settings, State, next_monitors, runs_monitor

LEAVING = ops.MaintenanceStatus("leaving the cluster")
RESTART_SECONDS = 40
"""How long a hook waits for restarted daemons; the next hook goes on where this one gives up."""
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
        except status.NeedsOperatorError as error:
            self._missing.append(ops.BlockedStatus(str(error)))
        except UnreachableError as error:
            self._missing.append(ops.WaitingStatus(f"the Ceph monitors: {error}"))

    def _reconcile(self, event: ops.EventBase) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        settings = Settings.parse(self.load_config(Config))
        leftovers.occupy(self.machine, self.unit.name, self.ceph.footprint)
        self.ceph.install()
        if not self.cluster.formed:
            return
        self._publish_member()
        state = self._gather(settings)
        if state is None:
            return
        if not state.monitors:
            self._missing.append(ops.WaitingStatus("for a monitor on another unit"))
            return
        self.ceph.render(state)
        if self.ceph.paused:
            return
        if not state.runs_monitor:
            self._leave_quorum()
        elif self.ceph.run_monitor(state):
            self.cluster.publish(monitor=True)
        else:
            self._missing.append(ops.WaitingStatus("for this machine's monitor to be in quorum"))
        if not self.jobs.unfinished():
            self.ceph.osds.clean_up()
            self._add_disks(settings)
        self.ceph.apply()
        self._choose_monitors(settings)
        self.jobs.resume()
        self._forget_departed(event)
        self._restart_outdated()
        clients.serve(self, settings)
        daemons.serve(self, settings)

    def _gather(self, settings: Settings) -> State | None:
        """Return everything that decides what runs here; None while the model does not say enough yet."""
        identity = self.identity
        if identity is None:
            self._found_cluster()
            return None
        me, shared = self.members[self.unit.name], self.cluster.shared
        chosen = [self.members[unit] for unit in shared["monitors"] if unit in self.members]
        joins = runs_monitor(me, chosen)
        return State(
            settings=settings,
            identity=identity,
            member=me,
            monitors=tuple(member for member in chosen if member.monitor or (joins and member == me)),
            runs_monitor=joins,
            founds_cluster=shared["founder"] == self.unit.name and "founded" not in shared,
        )

    def _found_cluster(self) -> None:
        """As the leader, name the cluster and who founds it.

        It is founded by a later hook, when Juju has this on record: a hook that dies leaves no second cluster.
        """
        if not self.unit.is_leader():
            self._missing.append(ops.WaitingStatus("for the leader to name the cluster"))
            return
        if "fsid" not in self.cluster.shared:
            keys = {"monitor-key": new_key(), "admin-key": new_key()}
            secret = secrets.Own(self.model, self.app, CLUSTER_KEYS).put(keys)
            self.cluster.publish_shared(
                fsid=str(uuid.uuid4()), keys=secret, founder=self.unit.name, monitors=[self.unit.name]
            )
        self._missing.append(
            ops.WaitingStatus("for Juju to record the cluster's identity; the next hook founds it")
        )

    def _publish_member(self) -> None:
        addresses = Addresses(self.model, self.machine, self.app.name)
        public, internal = addresses.find("public"), addresses.find("cluster")
        if public and internal:
            self.cluster.publish(
                hostname=self.machine.hostname(),
                public_address=public.address,
                cluster_address=internal.address,
            )

    def _choose_monitors(self, settings: Settings) -> None:
        """As the leader, name the units that run monitors; each makes its own when those before it are in quorum.

        This is reached only with a monitor there: from now on nobody founds the cluster a second time.
        """
        if self.unit.is_leader():
            current: list[str] = self.cluster.shared["monitors"]
            wanted = next_monitors(current, self.members, settings.monitor_count)
            self.cluster.publish_shared(monitors=wanted, founded=True)

    def _leave_quorum(self) -> None:
        if self.ceph.monitor.exists:
            self.ceph.leave_quorum()
            self.cluster.publish(monitor=None)

    def _add_disks(self, settings: Settings) -> None:
        """Make OSDs of the devices that the configuration and Juju's storage name."""
        if self.members[self.unit.name].leaving:
            return
        self.cluster.publish(absent_devices=self.ceph.osds.absent(settings.osd_devices) or None)
        attached = [str(storage.location) for storage in self.model.storages["osd-devices"]]
        for error in self.ceph.osds.provide((*settings.osd_devices, *attached)):
            self._missing.append(ops.BlockedStatus(f"{error}; see list-disks"))

    def _forget_departed(self, event: ops.EventBase) -> None:
        """As the leader, remember every unit's host, and clean up after units whose machines are gone."""
        if not self.unit.is_leader():
            return
        hosts: dict[str, str] = self.cluster.shared.get("hosts", {})
        # Units that come together are noted together: each note wakes all of them, each look reads all that are new.
        is_regular = isinstance(event, ops.UpdateStatusEvent)
        if is_regular or self.cluster.planned <= set(self.cluster.units):
            unknown = [unit for unit in self.cluster.units if unit not in hosts]
            new = {unit: member.hostname for unit in unknown if (member := self.members.get(unit))}
            if is_regular or len(new) == len(unknown):
                hosts |= new
        if gone := self.cluster.gone(hosts):
            job = self.jobs.once("jobs.forget_machines", hosts=",".join(hosts[unit] for unit in gone))
            if job.state == "done":
                hosts = {unit: host for unit, host in hosts.items() if unit not in gone}
        self.cluster.publish_shared(hosts=hosts)

    def _restart_outdated(self) -> None:
        """Restart what runs with an older configuration, one unit of the application at a time."""
        outdated = self.ceph.outdated()
        if outdated and self.cluster.request_turn("restart"):
            if reason := health.why_not_to_stop(self.ceph):
                self._missing.append(ops.WaitingStatus(f"to restart for a new configuration: {reason}"))
                return
            for service in outdated:
                self.ceph.services.restart(service)
        elif outdated:
            self._missing.append(self.cluster.waits_for_turn("restart"))
            return
        if self.cluster.turn_reason and health.wait_until_ready(self.ceph, RESTART_SECONDS):
            self.cluster.release_turn()
        self.cluster.grant_turn()

    # The other events

    def _tell_version(self, _event: ops.EventBase) -> None:
        """Tell the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.ceph.version())

    def _on_action(self, event: ops.ActionEvent) -> None:
        actions.perform(self, event)

    def _on_client_broken(self, event: ops.RelationBrokenEvent) -> None:
        clients.withdraw(self, event.relation)

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
        self._give_up([osd.number for osd in self.ceph.osds.all()])
        others = any(member.monitor for unit, member in self.members.items() if unit != self.unit.name)
        if self.ceph.monitor.exists and others:
            self._leave_quorum()
        self.ceph.stop()

    def _on_remove(self, _event: ops.RemoveEvent) -> None:
        self._missing.append(LEAVING)
        if registry.owner(self.machine, DAEMON) == self.unit.name:
            self.ceph.remove()
            registry.disclaim(self.machine, DAEMON, self.unit.name)

    def _give_up(self, numbers: list[int]) -> None:
        """Remove OSDs as soon as nothing is lost with them; let their data move if nobody has prepared it."""
        limit = self.machine.now() + STOP_SECONDS
        while why := health.why_data_would_be_lost(self.ceph, numbers):
            if self.machine.now() > limit:
                raise drain.UnsafeToRemoveError(
                    f"{why}. The hook is tried again until they are; or give them up: "
                    f"juju remove-unit --force {self.unit.name}"
                )
            with contextlib.suppress(UnreachableError, crush.CrushError):
                crush.check_spare(self.ceph.admin, numbers)
                drain.begin(self.ceph.admin, numbers)
            self.machine.sleep(drain.PAUSE)
        for number in numbers:
            if osd := self.ceph.osds.find(number):
                self.ceph.osds.remove(osd, self.ceph.services, zap=False)

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
