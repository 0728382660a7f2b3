#!/usr/bin/env python3
"""The memcached charm: each unit is one cache, all of them are the ring that clients use."""

from __future__ import annotations

import ops

from memcached import DAEMON, PORT, UNIT, Memcached
from openinfra_charm import actions, registry, status
from openinfra_charm import machine as machines
from openinfra_charm.cluster import Cluster
from openinfra_charm.interfaces import memcache
from state import Config, State

RESTART_SECONDS = 40
"""How long a hook waits for the restarted daemon; the next hook goes on where this one gives up."""


class MemcachedCharm(ops.CharmBase):
    """Events, relations and status of one unit of memcached."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.memcached = Memcached(self.machine, self.app.name)
        self.cluster = Cluster(self, "cluster")
        self._missing: list[ops.StatusBase] = []
        cluster = self.on["cluster"]
        for event in (
            self.on.install, self.on.leader_elected, self.on.config_changed, self.on.start, self.on.upgrade_charm,
            self.on.update_status, cluster.relation_created, cluster.relation_changed, cluster.relation_departed,
            self.on["cache"].relation_created,
        ):  # fmt: skip
            framework.observe(event, self._on_change)
        framework.observe(self.on.start, self._tell_version)
        framework.observe(self.on.update_status, self._tell_version)
        framework.observe(self.on.stop, self._on_stop)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        for name in self.meta.actions:
            framework.observe(self.on[name].action, self._on_action)

    # The recipe

    def _on_change(self, _: ops.EventBase) -> None:
        try:
            self._reconcile()
        except status.NeedsOperatorError as error:
            self._missing.append(ops.BlockedStatus(str(error)))

    def _reconcile(self) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the others from their turns.
        self.cluster.grant_turn()
        config = Config.parse(self.config)
        owner = registry.claim(self.machine, DAEMON, self.unit.name)
        if owner != self.unit.name:
            raise status.NeedsOperatorError(
                f"{owner} runs memcached on this machine already: remove one of the two"
            )
        self.memcached.install()
        address = self._address()
        if address is None:
            self._missing.append(ops.WaitingStatus("for Juju to give the binding cache an address"))
            return
        self.memcached.render(State(config=config, address=address))
        self.memcached.apply()
        self._restart_outdated()
        for relation in self.model.relations["cache"]:
            memcache.publish(relation, self.unit, memcache.Server(host=address, port=PORT))

    def _address(self) -> str | None:
        binding = self.model.get_binding("cache")
        address = binding.network.bind_address if binding else None
        return str(address) if address else None

    def _restart_outdated(self) -> None:
        """Restart what runs with an older configuration, one unit of the application at a time."""
        if self.memcached.outdated():
            if not self.cluster.request_turn("restart"):
                turn = self.cluster.turn_holder or "the leader gives it"
                self._missing.append(ops.MaintenanceStatus(f"waiting for its turn to restart, after {turn}"))
                return
            self.memcached.restart()
        if self.cluster.turn_reason:
            if self.memcached.wait_until_ready(RESTART_SECONDS):
                self.cluster.release_turn()
            else:
                self._missing.append(ops.WaitingStatus("for memcached to answer after its restart"))

    # The other events

    def _tell_version(self, _: ops.EventBase) -> None:
        """Tell the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.memcached.version())

    def _on_action(self, event: ops.ActionEvent) -> None:
        actions.perform(self, event)

    def _on_stop(self, _: ops.StopEvent) -> None:
        if self.owns_daemon:
            self.memcached.stop()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        if self.owns_daemon:
            self.memcached.remove()
            registry.disclaim(self.machine, DAEMON, self.unit.name)

    @property
    def owns_daemon(self) -> bool:
        """Whether this unit, not one of another application, runs the machine's memcached."""
        return (self.machine.read(f"{registry.OWNERS}/{DAEMON}") or "").strip() == self.unit.name

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not self._missing and not self.memcached.runs():
            why = f"see juju ssh {self.unit.name} journalctl -u {UNIT}"
            self._missing.append(ops.BlockedStatus(f"memcached does not run; {why}"))
        status.add_all(event, self._missing)


if __name__ == "__main__":
    ops.main(MemcachedCharm)
