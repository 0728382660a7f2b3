#!/usr/bin/env python3
"""The mysql charm: one application is one MariaDB cluster, each unit holds all of its data."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import ops

import charset
import report
from clients import Clients
from departure import Departure
from endpoint import Endpoint
from health_service import HealthService
from membership import Membership
from mysql import DAEMON, MySql
from openinfra_charm import machine as machines
from openinfra_charm.daemon import leftovers, registry
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.model import actions, hook, secrets, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from restore import Restoration
from schedule import Schedule
from sql import UnreachableError
from state import Members, Settings, addresses
from transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from state import State

LEAVING = ops.MaintenanceStatus("leaving the cluster")


class MySqlCharm(ops.CharmBase):
    """Events, relations and status of one unit of MariaDB."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.mysql = mysql = MySql(self.machine, self.app.name)
        self.jobs = Jobs(self.machine, self.app.name, self.unit.name)
        self.cluster = cluster = Cluster(self, "cluster")
        self.members = members = Members(cluster, self.unit.name)
        self.health_service = HealthService(self.machine, self.app.name)
        self.endpoint = Endpoint(model=self.model, members=members)
        self.transport = Transport(
            model=self.model, cluster=cluster, members=members, endpoint=self.endpoint, mysql=mysql
        )
        self.clients = Clients(model=self.model, cluster=cluster, mysql=mysql)
        self.schedule = Schedule(model=self.model, members=members, mysql=mysql)
        self.restoration = Restoration(
            cluster=cluster, members=members, mysql=mysql, jobs=self.jobs, schedule=self.schedule, clients=self.clients
        )  # fmt: skip
        self.membership = Membership(
            cluster=cluster, members=members, mysql=mysql, transport=self.transport, restoration=self.restoration
        )  # fmt: skip
        self.departure = Departure(
            cluster=cluster, members=members, mysql=mysql, health_service=self.health_service,
            restoration=self.restoration, ca_path=self.transport.certificate.ca_path,
        )  # fmt: skip
        self.secrets = secrets.Owner(self, self.clients.retire)
        self._missing: list[ops.StatusBase] = []
        others = ("database", "certificates", "gateway", "s3-parameters")
        relations = {"cluster": hook.PEERS, **dict.fromkeys(others, hook.OTHERS)}
        for event in hook.changes(self.on, relations, self.on.secret_changed, self.on.secret_remove):
            framework.observe(event, self._on_change)
        for event in (self.on.start, self.on.update_status):
            framework.observe(event, self._set_version)
        framework.observe(self.on.update_status, self._look_for_narrow_tables)
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
            self._reconcile(event)
        except status.NeedsOperatorError as error:
            self._missing.append(ops.BlockedStatus(str(error)))
        except UnreachableError as error:
            self._missing.append(status.RetriedStatus(f"for the database: {error}"))

    def _reconcile(self, event: ops.EventBase) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        settings = self.settings
        leftovers.occupy(self.machine, self.unit.name, self.mysql.footprint)
        if hook.is_about(event) or not self.mysql.is_managed:
            self.mysql.install()
        if not self.cluster.formed:
            return
        self._prepare(event, settings)
        if self._waits_for(self.membership.found(is_leader=self.unit.is_leader())):
            return
        state = self.membership.gather(settings)
        serves = self._run(event, state)
        if serves:
            self.membership.publish_survived()
            self.restoration.publish_copied()
            self.transport.reload(state)
        if self.unit.is_leader():
            if not self.restoration.lead(serves=serves):
                self.membership.lead(state, serves=serves)
            if serves:
                self._serve_clients(settings)
        if serves:
            self._missing += self.membership.restart_outdated()
            self.transport.publish()
        self.cluster.grant_lock()

    def _prepare(self, event: ops.EventBase, settings: Settings) -> None:
        """Publish where this unit is, and take what others say; what the event cannot have changed is not read."""
        if hook.is_about(event, "gateway") or self.unit.name not in self.members:
            found = Addresses(self.model, self.machine, self.app.name)
            public = found.find("database", relation=self.endpoint.relation)
            internal = found.find("cluster")
            if public and internal:
                self.cluster.publish(**addresses(public, internal))
        self.departure.remember()
        if hook.is_about(event, "certificates", "gateway"):
            self.transport.update()
            self.endpoint.publish_address()
        if hook.is_about(event, "s3-parameters") or settings.backup_schedule:
            self.schedule.apply(settings)

    def _run(self, event: ops.EventBase, state: State) -> bool:
        """Have the server of a member run; return whether it serves."""
        if not state.joins:
            return not self._waits_for(self.membership.stay_out())
        self.mysql.render(state)
        self.jobs.resume()
        serves = not self._waits_for(self.restoration.follow(state) or self.membership.run(state))
        self.health_service.apply(state, may_have_died=hook.is_about(event))
        return serves

    def _serve_clients(self, settings: Settings) -> None:
        """As the leader, name who takes the writes, and give related applications what they ask for."""
        if member := self.membership.writer():
            self.cluster.publish_shared(writer=member.unit)
            self.transport.lead(clients_know=self.clients.know_ca(settings))
            endpoints = self.endpoint.request(member, tls=self.transport.is_introduced)
            self.clients.serve(settings, endpoints, self.transport.ca)

    def _waits_for(self, what: ops.StatusBase | None) -> bool:
        """Return whether there is something to be waited for, which goes into the unit's status."""
        self._missing += [what] if what else []
        return what is not None

    # The other events

    def _set_version(self, _event: ops.EventBase) -> None:
        """Say which version is here where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.mysql.version())

    def _look_for_narrow_tables(self, _event: ops.EventBase) -> None:
        """As the leader, have tables hold all of Unicode that did not when they were made."""
        node = self.membership.node
        if self.unit.is_leader() and node and node.serves:
            charset.start(self.mysql.sql, self.jobs)

    def _on_stop(self, _event: ops.StopEvent) -> None:
        self._missing.append(LEAVING)
        self.departure.leave()

    def _on_remove(self, _event: ops.RemoveEvent) -> None:
        self._missing.append(LEAVING)
        if registry.owner(self.machine, DAEMON) == self.unit.name:
            if self.mysql.services.units:
                # Juju stops no unit that it has not started yet, but hooks before that may have begun the cluster.
                self.departure.leave()
            self.jobs.stop()
            self.schedule.remove()
            self.health_service.remove()
            self.mysql.remove()
            self.transport.certificate.remove()
            registry.disclaim(self.machine, DAEMON, self.unit.name)

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not self._missing and "cluster-id" not in self.cluster.shared:
            self._missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
        Retry(self.machine, self.unit.name).add_all(event, self._missing or self._reasons())

    def _reasons(self) -> Iterator[ops.StatusBase]:
        """Yield what a unit says that waits for nothing."""
        try:
            settings = self.settings
        except status.ConfigError as error:
            yield ops.BlockedStatus(str(error))
            return
        yield from report.work(self.jobs, self.restoration.progress)
        node = self.membership.node or self.mysql.node()
        problems = self._problems(settings) if self.unit.is_leader() else ()
        yield from report.statuses(node, self.members, self.transport, problems)

    def _problems(self, settings: Settings) -> Iterator[str]:
        """As the leader, yield what other applications say that cannot be used."""
        yield from self.clients.problems(settings)
        yield from self.schedule.problems

    # What the model says

    @cached_property
    def settings(self) -> Settings:
        """The charm's options, checked.

        Raises:
            ConfigError: One of them cannot be used.
        """
        return Settings.parse(self.config)


if __name__ == "__main__":
    hook.main(MySqlCharm)
