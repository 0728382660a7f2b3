#!/usr/bin/env python3
"""The ceph charm: one application is one Ceph cluster, each unit brings its machine's disks into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

import claims
import health
import members
import versions
from admin import UnreachableError
from archive import PackagesError
from ceph import DAEMON, Ceph
from clients import Clients
from departure import Departure
from identity import Identities
from key_upgrade import KeyUpgrade
from monitor import QuorumError
from openinfra_charm import machine as machines
from openinfra_charm.daemon import leftovers, registry
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.daemon.pause import Pause
from openinfra_charm.interfaces import ceph_client
from openinfra_charm.model import actions, hook, secrets, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from options import Options
from quorum import Quorum
from related_daemons import RelatedDaemons
from report import Report
from restarts import Restarts
from state import Settings, State
from survivors import Survivors
from upgrade import Upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAVING = ops.MaintenanceStatus("leaving the cluster")


class CephCharm(ops.CharmBase):
    """Events, relations and status of one unit of Ceph."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        unit = self.unit
        self.machine = machines.this()
        self.ceph = ceph = Ceph(self.machine, self.app.name)
        self.jobs = jobs = Jobs(self.machine, self.app.name, unit.name)
        self.cluster = cluster = Cluster(self, "cluster")
        self.members = members.Members(cluster)
        self.secrets = secrets.Owner(self, self._on_obsolete)
        self.identities = identities = Identities(self.model, cluster)
        self.survivors = Survivors(unit, cluster=cluster, members=self.members, ceph=ceph, jobs=jobs)
        self.quorum = Quorum(
            unit, cluster=cluster, members=self.members, ceph=ceph, survivors=self.survivors, identities=identities
        )  # fmt: skip
        self.options = Options(unit, cluster=cluster, admin=ceph.admin)
        self.key_upgrade = KeyUpgrade(unit, ceph=ceph, identities=identities)
        self.upgrade = Upgrade(unit, ceph=ceph, jobs=jobs)
        self.restarts = Restarts(unit, ceph=ceph, cluster=cluster)
        self.clients = Clients(self.model, cluster=cluster, admin=ceph.admin)
        self.related_daemons = RelatedDaemons(self.model, ceph=ceph, cluster=cluster)
        self.departure = Departure(unit, ceph=ceph, quorum=self.quorum)
        self.pause = Pause(unit.name, ceph)
        self.report = Report(unit, ceph=ceph, cluster=cluster, jobs=jobs, pause=self.pause)
        self._missing: list[ops.StatusBase] = []
        self._keeps_status = False
        relations = {
            **dict.fromkeys(("cluster", "client"), hook.PEERS),
            **dict.fromkeys(("radosgw", "mds"), (*hook.PEERS, "broken")),
        }
        for event in hook.changes(
            self.on,
            relations,
            self.on.secret_changed,
            self.on.secret_remove,
            self.on.osd_devices_storage_attached,
        ):
            framework.observe(event, self._on_change)
        for event in (self.on.start, self.on.update_status):
            framework.observe(event, self._publish_version)
        framework.observe(self.on["client"].relation_broken, self._on_client_broken)
        framework.observe(self.on.osd_devices_storage_detaching, self._on_storage_detaching)
        framework.observe(self.on.stop, self._on_stop)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        self.actions = actions.Actions(self)

    # The recipe

    def _on_change(self, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationDepartedEvent) and event.departing_unit == self.unit:
            # The relation forgets the peers one by one; what this machine knows of them is needed until it has left.
            self._missing.append(LEAVING)
            return
        try:
            if not self._is_unaffected(event):
                self._reconcile(event)
        except (status.NeedsOperatorError, PackagesError) as error:
            self._missing.append(ops.BlockedStatus(str(error)))
        except QuorumError as error:
            self._missing.append(status.RetriedStatus(f"for the quorum: {error}"))
        except UnreachableError as error:
            self._missing.append(status.RetriedStatus(f"for the Ceph monitors: {error}"))

    def _reconcile(self, event: ops.EventBase) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        settings = Settings.parse(self.config)
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
        if self.pause:
            self.options.apply(settings.at_run_time())
            self._lead(settings, event)
            return
        self._await(self.quorum.awaited)
        if not state.runs_monitor:
            self._await(self.quorum.leave())
        elif self.ceph.run_monitor(state):
            self.cluster.publish(monitor=True)
        else:
            self._missing.append(status.RetriedStatus("for this machine's monitor to be in quorum"))
        self.options.apply(settings.at_run_time(), founds=state.founds_cluster)
        if not self.jobs.unfinished():
            self.ceph.osds.clean_up()
            self._add_disks(settings)
        self.ceph.apply()
        if not state.runs_monitor or self.ceph.monitor.has_manager:
            self.ceph.crash.enable()
        self.jobs.resume()
        self.survivors.go_on_alone()
        self._lead(settings, event)
        self.clients.serve(
            self.members[self.unit.name], allows_plain=settings.allow_plain_credentials, shared=settings.shared_pools
        )  # fmt: skip
        self.publish_osds()
        version, checks = versions.oldest(self.ceph.admin), health.checks(self.ceph.admin)
        self.related_daemons.replace_old_keys(checks)
        self.related_daemons.publish(self.members[self.unit.name], version)
        self.related_daemons.answer(settings)
        self._await(self.key_upgrade.replace(state.identity, cluster_version=version, checks=checks))
        self._await(self.restarts.restart_outdated())
        self._await(self.upgrade.finish())
        self._await(self.upgrade.bring_packages(settings.source))

    def _is_unaffected(self, event: ops.EventBase) -> bool:
        """Return whether what others have published, which is all that can be new in such a hook, concerns nothing here.

        Only a unit whose status says that all is well goes by that; its status stays. Everything is read in all other hooks.
        """
        if not isinstance(event, ops.RelationChangedEvent) or self.unit.status != ops.ActiveStatus():
            return False
        if event.relation.name == "cluster":
            settings = Settings.parse(self.config)
            if unaffected := self._is_settled(settings):
                self._lead(settings, event)
            self._keeps_status = unaffected and not self.jobs.unfinished()
        else:
            is_asked = self.unit.is_leader() and ceph_client.is_asked(event.relation, self.unit, event.unit)
            self._keeps_status = unaffected = not is_asked
        return unaffected

    def _is_settled(self, settings: Settings) -> bool:
        """Return whether the configuration here and the monitor are as the peers' facts have them."""
        state = self._gather(settings)
        return state is not None and self.quorum.is_settled(state) and not self.ceph.render(state)

    def _lead(self, settings: Settings, event: ops.EventBase) -> None:
        """Do what only the leader does, also one whose daemons are paused."""
        self.quorum.choose(settings.monitor_count)
        self.survivors.note_hosts(is_regular=isinstance(event, ops.UpdateStatusEvent))
        self.survivors.forget_gone()
        self.cluster.grant_lock()

    def _await(self, what: ops.StatusBase | None) -> None:
        self._missing += [what] if what else []

    def _gather(self, settings: Settings) -> State | None:
        """Return everything that decides what runs here; None while the model does not say enough yet."""
        identity = self.identities.current
        if identity is None or not self.quorum.is_named:
            self._missing.append(self.quorum.name())
            return None
        return self.quorum.state(settings, identity)

    def _publish_member(self) -> None:
        addresses, ceph = Addresses(self.model, self.machine, self.app.name), self.ceph
        unfit = members.publish(
            self.cluster, self.unit.name, addresses=addresses, hostname=self.machine.hostname(),
            version=ceph.version(), is_bound=ceph.monitor.exists,
        )  # fmt: skip
        self._await(unfit)

    def _add_disks(self, settings: Settings) -> None:
        """Make OSDs of the devices that the configuration and Juju's storage name."""
        if self.members[self.unit.name].leaving:
            return
        self.cluster.publish(absent_devices=self.ceph.osds.absent(settings.osd_devices) or None)
        attached = [str(storage.location) for storage in self.model.storages["osd-devices"]]
        for error in self.ceph.osds.provide((*settings.osd_devices, *attached)):
            self._missing.append(ops.BlockedStatus(f"{error}; see list-disks"))

    def publish_osds(self) -> None:
        """Have the cluster and the peers know which OSDs are this unit's."""
        uuids = sorted(osd.uuid for osd in self.ceph.osds.all())
        if uuids != list(self.members[self.unit.name].osds):
            claims.record(self.ceph.admin, self.unit.name, uuids)
            # It wakes the leader, for whom daemons may wait.
            self.cluster.publish(osds=uuids)

    # The other events

    def _publish_version(self, _event: ops.EventBase) -> None:
        """Set the workload's version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.ceph.version())

    def _on_obsolete(self, label: str) -> None:
        self.clients.retire(label)

    def _on_client_broken(self, _event: ops.RelationBrokenEvent) -> None:
        if self.unit.is_leader():
            self.clients.withdraw_departed()

    def _on_storage_detaching(self, event: ops.StorageDetachingEvent) -> None:
        """Let Juju have a disk back only when nothing is lost with it; until then the hook fails and Juju retries."""
        self.departure.release(self.machine.resolve(str(event.storage.location)))

    def _on_stop(self, _event: ops.StopEvent) -> None:
        """Leave the cluster; fail, for Juju to retry, as long as data or quorum would be lost."""
        self._missing.append(LEAVING)
        self.jobs.stop()
        self._await(self.departure.leave())

    def _on_remove(self, _event: ops.RemoveEvent) -> None:
        self._missing.append(LEAVING)
        if registry.owner(self.machine, DAEMON) == self.unit.name:
            self.ceph.remove()
            registry.disclaim(self.machine, DAEMON, self.unit.name)

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if self._keeps_status and not self._missing:
            return
        if not self._missing and not self.identities.current:
            self._missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
        Retry(self.machine, self.unit.name).add_all(event, self._missing or self._report())

    def _report(self) -> Iterator[ops.StatusBase]:
        """Yield the statuses; the leader includes what related applications wait for, since it alone reads that."""
        if not self.unit.is_leader():
            return self.report.statuses()
        plain = bool(self.config["allow-plain-credentials"])
        problems = [
            *self.clients.problems(allows_plain=plain),
            *self.related_daemons.problems(allows_plain=plain),
        ]
        return self.report.statuses(problems, self.related_daemons.waiting(allows_plain=plain))


if __name__ == "__main__":
    hook.main(CephCharm)
