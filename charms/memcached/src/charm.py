#!/usr/bin/env python3
"""The memcached charm: each unit is one cache, all of them are the ring that clients use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

from memcached import PORT, Memcached, NoAnswerError
from openinfra_charm import machine as machines
from openinfra_charm.daemon.owned import Owned
from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import memcache
from openinfra_charm.model import actions, databag, hook, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from state import Config, State

if TYPE_CHECKING:
    from collections.abc import Iterable

RESTART_SECONDS = 40
"""How long a hook waits for the restarted daemon; the next hook goes on where this one gives up."""


class MemcachedCharm(ops.CharmBase):
    """Events, relations and status of one unit of memcached."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.memcached = Memcached(self.machine, self.app.name)
        self.owned = Owned(self.machine, self.unit.name, self.memcached)
        self.cluster = Cluster(self, "cluster")
        self._missing: list[ops.StatusBase] = []
        relations = {"cluster": hook.PEERS, "cache": ("created",), "certificates": hook.OTHERS}
        for event in hook.changes(self.on, relations):
            framework.observe(event, self._on_change)
        for event in (self.on.start, self.on.update_status):
            framework.observe(event, self._set_version)
        framework.observe(self.on.stop, self._on_stop)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        self.actions = actions.Actions(self)

    # The recipe

    def _on_change(self, _: ops.EventBase) -> None:
        try:
            self._reconcile()
        except status.NeedsOperatorError as error:
            self._missing.append(ops.BlockedStatus(str(error)))

    def _reconcile(self) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the lock from the others.
        self.cluster.grant_lock()
        config = Config.parse(self.config)
        self.owned.claim()
        self.memcached.install()
        if not self.cluster.formed:
            # Whether there is a CA is known with it, and with a CA nothing starts without a certificate.
            self._missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
            return
        addresses = Addresses(self.model, self.machine, self.app.name)
        place = addresses.find("cache")
        if place is None:
            self._missing.append(ops.WaitingStatus("for Juju to give the binding cache an address"))
            return
        seen = {client: addresses.seen_from(client, place) for client in self._clients}
        tls = self._update_certificate((place.address, *(one.ingress for one in seen.values())))
        if self._authority and not tls and not self.memcached.was_started:
            return
        self.memcached.render(State(config=config, address=place.address, tls=tls))
        self.memcached.apply()
        self._missing += self.cluster.rolling_restart(
            self.memcached, lambda: self.memcached.wait_until_ready(RESTART_SECONDS), "memcached to answer"
        )
        if self.memcached.outdated():
            return
        if tls:
            self._take_certificate()
        elif self._authority is None:
            self.memcached.tls.remove()
        ca = self.machine.read(self.memcached.tls.ca_path) if tls else None
        for relation, there in seen.items():
            memcache.publish(relation, self.unit, memcache.Server(host=there.ingress, port=PORT, ca=ca or ""))

    def _update_certificate(self, addresses: Iterable[str]) -> bool:
        """Ask for a certificate, and take what has come; return whether the daemon can serve one.

        A daemon that runs without TLS does so until there is one; a new one is not started.
        """
        if self._authority is None:
            return False
        subject = Subject.of(self.machine.hostname(), addresses)
        self.memcached.tls.update(self._authority, self.unit, subject)
        if problem := self.memcached.tls.problem(self._authority):
            self._missing.append(ops.WaitingStatus(problem))
        return self.memcached.tls.ready

    def _take_certificate(self) -> None:
        try:
            self.memcached.take_certificate()
        except NoAnswerError as error:
            self._missing.append(status.RetriedStatus(f"for memcached to take its new certificate: {error}"))
            return
        self.memcached.tls.acknowledge(self._authority, self.unit)

    @property
    def _authority(self) -> ops.Relation | None:
        """The relation to who signs certificates, unless it is about to end."""
        return databag.active_relation(self.model, "certificates")

    @property
    def _clients(self) -> list[ops.Relation]:
        """The relations of those who use the cache, but for one that is about to end."""
        return [relation for relation in self.model.relations["cache"] if relation.active]

    # The other events

    def _set_version(self, _: ops.EventBase) -> None:
        """Publish the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.memcached.version())

    def _on_stop(self, _: ops.StopEvent) -> None:
        self._missing.append(status.LEAVING)
        self.owned.stop()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self._missing.append(status.LEAVING)
        self.owned.remove()

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not self._missing and not self.owned.was_started:
            # A hook that reconciles nothing: what the last one said is what is waited for still.
            return
        Retry(self.machine, self.unit.name).add_all(event, self._missing or self.owned.problems())


if __name__ == "__main__":
    hook.main(MemcachedCharm)
