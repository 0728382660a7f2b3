#!/usr/bin/env python3
"""The rabbitmq charm: one application is one cluster of RabbitMQ, each unit one of its members."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import ops

import report
from clients import Clients
from control import RefusedError, UnreachableError
from departure import Departure
from membership import READY_SECONDS, Membership
from openinfra_charm import machine as machines
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.daemon.owned import Owned
from openinfra_charm.daemon.pause import Pause
from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import prometheus_scrape
from openinfra_charm.model import actions, databag, hook, secrets, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from queues import Queues
from rabbitmq import METRICS, RabbitMq
from state import Members, Settings, addresses, host_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_charm.model.addresses import Place
    from state import State

COOKIE = "erlang-cookie"
"""The label of the secret by which brokers know each other."""


class RabbitMqCharm(ops.CharmBase):
    """Events, relations and status of one unit of RabbitMQ."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.rabbitmq = rabbitmq = RabbitMq(self.machine, self.app.name, self.unit.name)
        self.owned = Owned(self.machine, self.unit.name, rabbitmq)
        self.pause = Pause(self.unit.name, rabbitmq)
        self.jobs = Jobs(self.machine, self.app.name, self.unit.name)
        self.cluster = cluster = Cluster(self, "cluster")
        self.members = members = Members(cluster, self.unit.name)
        self.cookie = secrets.Own(self.model, self.app, COOKIE)
        self.membership = Membership(cluster=cluster, members=members, rabbitmq=rabbitmq, cookie=self.cookie)
        self.clients = Clients(
            model=self.model, cluster=cluster, control=rabbitmq.control, now=self.machine.now
        )
        self.queues = Queues(rabbitmq=rabbitmq, members=members, jobs=self.jobs)
        self.departure = Departure(cluster=cluster, members=members, rabbitmq=rabbitmq)
        self.secrets = secrets.Owner(self, self.clients.retire)
        self._missing: list[ops.StatusBase] = []
        others = ("amqp", "certificates", "metrics-endpoint")
        relations = {"cluster": hook.PEERS, **dict.fromkeys(others, hook.OTHERS)}
        for event in hook.changes(self.on, relations, self.on.secret_changed, self.on.secret_remove):
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
        except status.NotYetError as error:
            self._missing.append(ops.WaitingStatus(str(error)))
        except (RefusedError, UnreachableError) as error:
            self._missing.append(status.RetriedStatus(f"for RabbitMQ: {error}"))

    def _reconcile(self, event: ops.EventBase) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the lock from the others.
        self.cluster.grant_lock()
        settings = self.settings
        self.owned.claim()
        if hook.is_about(event) or not self.rabbitmq.was_started:
            self.rabbitmq.install()
        if not self.cluster.formed:
            return
        self._prepare(event)
        self.membership.found(is_leader=self.unit.is_leader())
        serves = self._run(settings)
        if serves:
            self._follow(event)
        if self.unit.is_leader():
            self.membership.lead(serves=serves)
            if serves:
                self._lead_serving(event, settings)

    def _prepare(self, event: ops.EventBase) -> None:
        """Publish where this unit is, and take what others say; what the event cannot have changed is not read.

        Raises:
            NotYetError: Juju has no address for it yet.
            NeedsOperatorError: There is no way to a certificate.
        """
        if hook.is_about(event, "amqp", "certificates") or self.unit.name not in self.members:
            public, internal = self._addresses.find("amqp"), self._addresses.find("cluster")
            if not (public and internal):
                raise status.NotYetError("for Juju to give the bindings amqp and cluster an address")
            self.cluster.publish(**addresses(public, internal))
            self._update_certificate(public)
        self.membership.name_data()
        self.departure.remember()

    def _run(self, settings: Settings) -> bool:
        """Have the broker of a member run, unless it is paused; return whether it serves."""
        if self.pause:
            self.rabbitmq.stop()
            self._publish(leaves=True)
            self.cluster.release_lock()
            return False
        tls = self.rabbitmq.tls
        if not tls.ready:
            if self._authority is None:
                self._missing.append(
                    ops.BlockedStatus(f"no TLS: juju integrate {self.app.name} certificates")
                )
            else:
                self._missing.append(ops.WaitingStatus(tls.problem(self._authority)))
            return False
        # Each unit reads the application's secret by its id.
        known = secrets.find(self.model, self.cluster.shared.get("cookie"))
        if known is None:
            raise status.NotYetError("for Juju to let this unit read the cluster's secret")
        state = self.membership.gather(settings, known["cookie"])
        if not state.joins:
            self._missing.append(self.membership.stay_out())
            return False
        return self._start(state)

    def _start(self, state: State) -> bool:
        self.rabbitmq.render(state)
        self.jobs.resume()
        waits = self.membership.run(state)
        self._missing += [waits] if waits else []
        return waits is None

    def _follow(self, event: ops.EventBase) -> None:
        """As a member that serves, take what is new, and publish that it serves."""
        rabbitmq = self.rabbitmq
        self._missing += self.cluster.rolling_restart(
            rabbitmq, lambda: rabbitmq.wait_until_ready(READY_SECONDS) is not None, "RabbitMQ to serve",
            why_not=rabbitmq.why_not_to_stop,
        )  # fmt: skip
        if not rabbitmq.outdated():
            rabbitmq.take_certificate()
            rabbitmq.tls.acknowledge(self._authority, self.unit)
        self.membership.settle()
        self.membership.forget(is_leader=self.unit.is_leader())
        if hook.is_about(event, "amqp", "certificates", "metrics-endpoint", "cluster"):
            self._publish(leaves=self.members.me.leaving)

    def _lead_serving(self, event: ops.EventBase, settings: Settings) -> None:
        """As the leader of a cluster that serves, give related applications what they ask for, and look after the cluster."""
        self.clients.serve(settings, self.members.me.ingress_address, self._ca)
        self.membership.enable_feature_flags()
        if isinstance(event, ops.UpdateStatusEvent):
            self.queues.look()

    def _publish(self, *, leaves: bool) -> None:
        """Publish where clients and who collects metrics find this unit; nobody is sent to one that leaves."""
        me = self.members.me
        for relation in self._related("amqp"):
            self.clients.publish(relation, "" if leaves else self._seen_from(relation), self._ca)
        for relation in self._related("metrics-endpoint"):
            prometheus_scrape.publish_unit(relation, self.unit, me.ingress_address)
            if self.unit.is_leader():
                prometheus_scrape.publish_job(
                    relation, self.model, charm_name=self.meta.name, port=METRICS, ca=self._ca
                )

    # Certificates and addresses

    def _update_certificate(self, public: Place) -> None:
        """Ask for a certificate under all names of this unit, and take what has come."""
        seen = (self._seen_from(relation) for relation in self._related("amqp"))
        me = self.members.me
        hosts = (*public.hosts, me.cluster_address, host_name(self.unit.name), *seen)
        self.rabbitmq.tls.update(self._authority, self.unit, Subject.of(self.machine.hostname(), hosts))

    def _seen_from(self, relation: ops.Relation) -> str:
        place = self._addresses.find("amqp", relation=relation)
        return place.ingress if place else self.members.me.ingress_address

    @cached_property
    def _addresses(self) -> Addresses:
        return Addresses(self.model, self.machine, self.app.name)

    @property
    def _authority(self) -> ops.Relation | None:
        """The relation to who signs certificates, unless it is about to end."""
        return databag.active_relation(self.model, "certificates")

    @property
    def _ca(self) -> str:
        return self.machine.read(self.rabbitmq.tls.ca_path) or ""

    def _related(self, endpoint: str) -> list[ops.Relation]:
        return [relation for relation in self.model.relations[endpoint] if relation.active]

    # The other events

    def _set_version(self, _: ops.EventBase) -> None:
        """Publish the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.rabbitmq.version())

    def _on_stop(self, _: ops.StopEvent) -> None:
        self._missing.append(status.LEAVING)
        if self.owned.is_mine:
            self.departure.leave()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self._missing.append(status.LEAVING)
        if self.owned.is_mine:
            self.jobs.stop()
            self.rabbitmq.stop()
            self.rabbitmq.remove_data()
            self.owned.remove()

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
        if self.pause:
            yield self.pause.status
            return
        yield from report.work(self.jobs)
        leads = self.unit.is_leader()
        yield from report.statuses(
            self.membership.node or self.rabbitmq.node(), self.members,
            certificate=self.rabbitmq.tls.problem(self._authority) if self.rabbitmq.tls.ready else "",
            problems=self.clients.problems(settings) if leads else (),
            notes=(*self.membership.problems, *(self.queues.problems() if leads else ())),
        )  # fmt: skip

    @cached_property
    def settings(self) -> Settings:
        """The charm's options, checked.

        Raises:
            ConfigError: One of them cannot be used.
        """
        return Settings.parse(self.config)


if __name__ == "__main__":
    hook.main(RabbitMqCharm)
