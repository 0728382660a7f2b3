#!/usr/bin/env python3
"""The ovn-central charm: one application holds OVN's databases in two raft clusters, of which each unit is a member or a spare."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import ops

import report
from departure import Departure
from membership import Membership
from openinfra_charm import machine as machines
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.daemon.owned import Owned
from openinfra_charm.daemon.pause import Pause
from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import ovsdb, ovsdb_cms
from openinfra_charm.model import actions, databag, hook, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from ovn_central import OvnCentral
from raft import DatabaseError
from state import Members, Places, Settings, State

if TYPE_CHECKING:
    from collections.abc import Iterator

RESTART_SECONDS = 40
"""How long a hook waits for restarted daemons; the next hook goes on where this one gives up."""


class OvnCentralCharm(ops.CharmBase):
    """Events, relations and status of one unit of OVN's databases."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        unit = self.unit.name
        self.machine = machines.this()
        self.ovn = ovn = OvnCentral(self.machine, self.app.name)
        self.owned = Owned(self.machine, unit, ovn)
        self.paused = Pause(unit, ovn)
        self.jobs = Jobs(self.machine, self.app.name, unit)
        self.cluster = cluster = Cluster(self, "cluster")
        self.members = members = Members(cluster, unit)
        self.membership = Membership(cluster=cluster, members=members, ovn=ovn)
        self.departure = Departure(cluster=cluster, ovn=ovn, unit=unit)
        self._missing: list[ops.StatusBase] = []
        clients = dict.fromkeys(("ovsdb", "ovsdb-cms"), ("created",))
        relations = {"cluster": hook.PEERS, "certificates": hook.OTHERS, **clients}
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
        if isinstance(event, ops.RelationDepartedEvent) and event.departing_unit == self.unit:
            # The relation forgets the peers one by one; what this machine knows of them is needed until it has left.
            self._missing.append(status.LEAVING)
            return
        try:
            self._reconcile(event)
        except status.NeedsOperatorError as error:
            self._missing.append(ops.BlockedStatus(str(error)))
        except DatabaseError as error:
            self._missing.append(status.RetriedStatus(f"for {error}"))

    def _reconcile(self, event: ops.EventBase) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the lock from the others.
        self.cluster.grant_lock()
        settings = self.settings
        self.owned.claim()
        self.ovn.install()
        if not self.cluster.formed:
            self._missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
            return
        # Relations tell of units, addresses and certificates, and nothing of packages and of what is in the databases.
        in_full = not isinstance(event, ops.RelationEvent)
        places = self._publish_places(in_full=in_full)
        if places is None:
            return
        self._run(settings, places, in_full=in_full)
        if self.unit.is_leader():
            self.membership.lead()
        self._publish(places)

    def _run(self, settings: Settings, places: Places, *, in_full: bool) -> None:
        """Have the daemons of a member run."""
        if not self._update_certificate(places) or self.paused:
            return
        if self._waits_for(self.membership.enter(settings)):
            return
        # Each change restarts northd, so units that come together are taken together.
        is_complete = in_full or self.cluster.planned <= set(self.members)
        hosts = tuple(one.address for one in self.members.values()) if is_complete else None
        self.ovn.render(
            State(
                settings=settings, cluster_address=places.cluster.address, ovsdb_address=places.ovsdb.address,
                cms_address=places.cms.address, northd_hosts=hosts,
            )
        )  # fmt: skip
        self.jobs.resume()
        if self._waits_for(self.membership.run(settings, in_full=in_full)):
            return
        self.ovn.tls.acknowledge(self._authority, self.unit)
        self._missing += self.cluster.rolling_restart(
            self.ovn, lambda: self.ovn.wait_until_ready(RESTART_SECONDS), "the databases to serve",
            why_not=self.ovn.why_not_to_stop,
        )  # fmt: skip

    def _publish_places(self, *, in_full: bool) -> Places | None:
        """Publish to the peers where this unit is, and return it, as far as Juju has addresses for it."""
        addresses = Addresses(self.model, self.machine, self.app.name)
        before = self.cluster.facts(self.unit.name).get("address")
        cluster, chassis, cms = (
            addresses.find("cluster", published=before), addresses.find("ovsdb"), addresses.find("ovsdb-cms")
        )  # fmt: skip
        if not (cluster and chassis and cms):
            self._missing.append(
                ops.WaitingStatus(
                    "for Juju to give the bindings cluster, ovsdb and ovsdb-cms an address each"
                )
            )
            return None
        places = Places(cluster=cluster, ovsdb=chassis, cms=cms)
        if before and before != places.cluster.address and self.members.me.servers:
            raise status.NeedsOperatorError(
                f"the address of {self.unit.name} was {before} and is {places.cluster.address} now, and a database's member "
                "cannot follow: give the machine the old one back, or remove the unit and add another"
            )
        self.cluster.publish(address=places.cluster.address, cms_address=places.cms.ingress)
        if in_full or not self.members.me.version:
            self.cluster.publish(version=self.ovn.version())
        return places

    def _update_certificate(self, places: Places) -> bool:
        """Ask for a certificate, and take what has come; return whether the daemons can run."""
        self.ovn.tls.update(self._authority, self.unit, Subject.of(self.machine.hostname(), places.hosts))
        if problem := self.ovn.tls.problem(self._authority):
            self._missing.append(ops.WaitingStatus(problem))
        return self.ovn.tls.ready

    @property
    def _authority(self) -> ops.Relation | None:
        """The relation to who signs certificates, unless it is about to end."""
        return databag.active_relation(self.model, "certificates")

    def _publish(self, places: Places) -> None:
        """Publish to clients where the databases are, once this unit is on record as a member."""
        recorded = self.members.recorded
        is_member = self.unit.name in recorded
        addresses = Addresses(self.model, self.machine, self.app.name)
        for name, place in (("ovsdb", places.ovsdb), ("ovsdb-cms", places.cms)):
            for relation in self.model.relations[name]:
                address = addresses.seen_from(relation, place).ingress
                ovsdb.publish_address(relation, self.unit, address if is_member else "")
        if self.unit.is_leader():
            hosts = [one.cms_address for unit, one in self.members.items() if unit in recorded]
            for relation in self.model.relations["ovsdb-cms"]:
                ovsdb_cms.publish_connections(relation, self.app, hosts)

    def _waits_for(self, what: ops.StatusBase | None) -> bool:
        """Return whether there is something to be waited for, which goes into the unit's status."""
        self._missing += [what] if what else []
        return what is not None

    # The other events

    def _set_version(self, _: ops.EventBase) -> None:
        """Publish the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.ovn.version())

    def _on_stop(self, _: ops.StopEvent) -> None:
        self._missing.append(status.LEAVING)
        if self.owned.is_mine:
            self.jobs.stop()
            self.departure.leave()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self._missing.append(status.LEAVING)
        if self.owned.is_mine:
            # Juju stops no unit that it has not started yet, but hooks before that may have made it a member.
            self.jobs.stop()
            self.departure.leave()
        self.owned.remove()

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        Retry(self.machine, self.unit.name).add_all(event, self._missing or self._statuses())

    def _statuses(self) -> Iterator[ops.StatusBase]:
        """Yield what a unit says that waits for nothing."""
        if self.paused:
            yield self.paused.status
            return
        yield from self.owned.problems()
        leaving = bool((me := self.members.get(self.unit.name)) and me.leaving)
        yield from report.statuses(self.unit.name, self.jobs, self.membership.problems, leaving=leaving)

    @cached_property
    def settings(self) -> Settings:
        """The charm's options, checked.

        Raises:
            ConfigError: One of them cannot be used.
        """
        return Settings.parse(self.config)


if __name__ == "__main__":
    hook.main(OvnCentralCharm)
