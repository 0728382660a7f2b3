#!/usr/bin/env python3
"""The mysql charm: one application is one MariaDB cluster, each unit holds all of its data."""

from __future__ import annotations

import uuid
from functools import cached_property, partial

import ops

import charset
import clients
import departure
import endpoint
import health
import recovery
import report
import restore
import schedule
from health_service import HealthService
from mysql import DAEMON, MySql
from openinfra_charm import machine as machines
from openinfra_charm.daemon import leftovers, registry
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.model import actions, hook, secrets, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from sql import UnreachableError
from state import Config, Members, Recovery, Settings, State, heirs, may_join, whereabouts
from transport import Transport

LEAVING = ops.MaintenanceStatus("leaving the cluster")
STOP_SECONDS = 40
"""How long a hook waits for the cluster to be able to do without this unit, before it fails for Juju to try again."""


class UnsafeToRemoveError(Exception):
    """A unit that is removed would take the only complete data with it."""


class MySqlCharm(ops.CharmBase):
    """Events, relations and status of one unit of MariaDB."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.mysql = MySql(self.machine, self.app.name)
        self.jobs = Jobs(self.machine, self.app.name, self.unit.name)
        self.health_service = HealthService(self.machine, self.app.name)
        self.cluster = Cluster(self, "cluster")
        self.members = Members(self.cluster)
        self.transport = Transport(self)
        self.secrets = secrets.Owner(self, partial(clients.retire, self))
        self.missing: list[ops.StatusBase] = []
        for event in (
            self.on.install, self.on.leader_elected, self.on.config_changed, self.on.start, self.on.upgrade_charm,
            self.on.update_status, self.on.secret_changed, self.on.secret_remove,
            *(getattr(self.on["cluster"], f"relation_{kind}") for kind in ("created", "changed", "departed")),
            *(
                getattr(self.on[name], f"relation_{kind}")
                for name in ("database", "certificates", "gateway", "s3-parameters")
                for kind in ("created", "changed", "broken")
            ),
        ):  # fmt: skip
            framework.observe(event, self._on_change)
        framework.observe(self.on.start, self._tell_version)
        framework.observe(self.on.update_status, self._tell_version)
        framework.observe(self.on.update_status, self._look_for_narrow_tables)
        framework.observe(self.on.stop, self._on_stop)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        for name in self.meta.actions:
            framework.observe(self.on[name].action, self._on_action)

    # The recipe

    def _on_change(self, event: ops.EventBase) -> None:
        if isinstance(event, ops.RelationDepartedEvent) and event.departing_unit == self.unit:
            # The relation forgets the peers one by one; what this machine knows of them is needed until it has left.
            self.missing.append(LEAVING)
            return
        try:
            self._reconcile()
        except status.NeedsOperatorError as error:
            self.missing.append(ops.BlockedStatus(str(error)))
        except UnreachableError as error:
            self.missing.append(ops.WaitingStatus(f"for the database: {error}"))

    def _reconcile(self) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        settings = self.settings
        leftovers.occupy(self.machine, self.unit.name, self.mysql.footprint)
        self.mysql.install()
        if not self.cluster.formed:
            return
        self._publish_member()
        addresses = {unit: member.client_address for unit, member in self.members.items()}
        departure.remember(self.machine, self.app.name, addresses)
        self.transport.update()
        endpoint.publish_address(self)
        state = self._gather(settings)
        if state is None:
            return
        serves = False
        if state.joins:
            self.mysql.render(state)
            schedule.apply(self)
            self.jobs.resume()
            serves = not restore.follow(self, state) and recovery.run_member(self, state)
            self.health_service.apply(state)
        else:
            self._say_why_outside()
        if serves:
            recovery.tell_outlived(self)
            restore.tell_copied(self)
            self.transport.take_up(state)
        if self.unit.is_leader():
            if not restore.lead(self, serves=serves):
                recovery.lead(self, state, serves=serves)
            if serves:
                self._serve_clients(settings)
        if serves:
            self._restart_outdated()
            self.transport.tell()
        self.cluster.grant_turn()

    def _gather(self, settings: Settings) -> State | None:
        """Return everything that decides what runs here; None while the model does not say enough yet."""
        shared = self.cluster.shared
        if "cluster-id" not in shared:
            self._found_cluster()
            return None
        me, members = self.unit.name, dict(shared["members"])
        chosen = [unit for unit in members if unit not in self.cluster.gone(members)]
        joins = may_join(me, chosen, self.members) and ("founded" in shared or shared["founder"] == me)
        if me not in chosen and "founded" in shared:
            successors = heirs(chosen, self.cluster.staying, self.members, shared.get("left-behind", []))
            joins = may_join(me, successors, self.members)
            members |= {unit: self.members[unit].cluster_address for unit in successors}
        joins = joins and not self.transport.awaits_certificate
        return State(
            settings=settings,
            cluster_id=shared["cluster-id"],
            member=self.members[me],
            members=members,
            joins=joins,
            recovery=self.recovery,
            tls=self.transport.state,
        )

    def _found_cluster(self) -> None:
        """As the leader, name the cluster and who founds it.

        It is founded by a later hook, when Juju has this on record: a hook that dies leaves no second cluster.
        """
        if not self.unit.is_leader():
            self.missing.append(ops.WaitingStatus("for the leader to name the cluster"))
            return
        me = self.members[self.unit.name]
        members = [[me.unit, me.cluster_address]]
        self.cluster.publish_shared(
            **{"cluster-id": str(uuid.uuid4()), "founder": me.unit, "members": members}
        )
        self.missing.append(
            ops.WaitingStatus("for Juju to record the cluster's identity; the next hook founds it")
        )

    def _publish_member(self) -> None:
        addresses = Addresses(self.model, self.machine, self.app.name)
        public = addresses.find("database", relation=endpoint.relation(self))
        internal = addresses.find("cluster")
        if public and internal:
            self.cluster.publish(**whereabouts(public, internal))

    def _say_why_outside(self) -> None:
        """Say why this unit's server does not run: it is not its turn to join, or it must never again."""
        if self.unit.name in self.cluster.shared.get("left-behind", []):
            self.mysql.stop()
            self.missing.append(
                ops.BlockedStatus(
                    "force-bootstrap has left this unit's data behind; save what is in /var/lib/mysql, then "
                    f"juju remove-unit {self.unit.name}, juju add-unit {self.app.name}"
                )
            )
            return
        if self.transport.awaits_certificate:
            self.missing.append(ops.WaitingStatus(self.transport.problem))
            return
        self.missing.append(ops.WaitingStatus("for its turn to join the cluster, after the units before it"))

    def _serve_clients(self, settings: Settings) -> None:
        """As the leader, name who takes the writes, and give related applications what they ask for."""
        if member := recovery.writer(self):
            self.cluster.publish_shared(writer=member.unit)
            self.transport.lead(clients_know=clients.know_ca(self, settings))
            clients.serve(self, settings, endpoint.serve(self, member), self.transport.ca)
        clients.drop_retired(self)
        for relation_id in clients.departed(self):
            clients.withdraw(self, relation_id)

    def _restart_outdated(self) -> None:
        """Restart a server that runs with an older configuration, one unit of the application at a time."""
        outdated = self.mysql.outdated()
        if outdated and self.cluster.request_turn("restart"):
            if reason := health.why_not_to_stop(self.mysql):
                self.missing.append(ops.WaitingStatus(f"to restart for a new configuration: {reason}"))
                return
            for service in outdated:
                self.mysql.services.restart(service)
        elif outdated:
            self.missing.append(
                ops.MaintenanceStatus(
                    f"waiting for its turn to restart, after {self.cluster.turn_holder or 'the leader has named one'}"
                )
            )
            return
        if self.cluster.turn_reason and self.mysql.wait_until_ready(recovery.READY_SECONDS):
            self.cluster.release_turn()

    # The other events

    def _tell_version(self, _event: ops.EventBase) -> None:
        """Tell the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.mysql.version())

    def _look_for_narrow_tables(self, _event: ops.EventBase) -> None:
        """As the leader, have tables hold all of Unicode that did not when they were made."""
        if self.unit.is_leader() and self.mysql.is_ready():
            charset.start(self.mysql.sql, self.jobs)

    def _on_action(self, event: ops.ActionEvent) -> None:
        actions.perform(self, event)

    def _on_stop(self, _event: ops.StopEvent) -> None:
        self.missing.append(LEAVING)
        self._leave()

    def _leave(self) -> None:
        """Leave the cluster; fail, for Juju to retry, as long as the data would be lost with this unit."""
        limit = self.machine.now() + STOP_SECONDS
        while why := self.why_not_to_leave():
            if self.machine.now() > limit:
                raise UnsafeToRemoveError(
                    f"{why}. The hook is tried again; to give the data up: juju remove-unit --force {self.unit.name}"
                )
            self.machine.sleep(5)
        self.mysql.stop()

    def why_not_to_leave(self) -> str | None:
        """Return why this unit must not be removed now; None if it can be."""
        if restore.does_without(self):
            return None
        me = self.unit.name
        known = departure.remembered(self.machine, self.app.name)
        others = {
            unit: self.cluster.recall(unit).get("client_address") or known.get(unit, "")
            for unit in self.cluster.staying
            if unit != me
        }
        member = self.members.get(me)
        return departure.why_not(
            self.mysql,
            joined=bool(member and member.joined),
            others=others,
            is_synced=partial(self.health_service.is_synced, ca_path=self.transport.certificate.ca_path),
        )

    def _on_remove(self, _event: ops.RemoveEvent) -> None:
        self.missing.append(LEAVING)
        if registry.owner(self.machine, DAEMON) == self.unit.name:
            if self.mysql.services.units:
                # Juju stops no unit that it has not started yet, but hooks before that may have begun the cluster.
                self._leave()
            schedule.remove(self)
            self.health_service.remove()
            self.mysql.remove()
            self.transport.certificate.remove()
            registry.disclaim(self.machine, DAEMON, self.unit.name)

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not self.missing and "cluster-id" not in self.cluster.shared:
            self.missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
        status.add_all(event, self.missing or report.statuses(self))

    # What the model says

    @cached_property
    def settings(self) -> Settings:
        """The charm's options, checked."""
        return Settings.parse(self.load_config(Config))

    @property
    def recovery(self) -> Recovery:
        """The leader's last answer to members that could not form the cluster themselves."""
        return Recovery(**self.cluster.shared.get("recovery", {}))


if __name__ == "__main__":
    hook.main(MySqlCharm)
