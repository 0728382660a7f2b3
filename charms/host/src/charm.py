#!/usr/bin/env python3
"""The host charm: the baseline of a machine, and which machine may be interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

from host import Host
from openinfra_charm import machine as machines
from openinfra_charm.daemon import leftovers, registry
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.model import actions, hook
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from openinfra_charm.model.status import ConfigError
from roll import Request, Roll
from state import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

_BASELINE = "host"
"""The name under which a unit claims the machine: only one may manage it."""


class HostCharm(ops.CharmBase):
    """A unit: the only one of its machine, or one that stands by until it is."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.host = Host(self.machine, self.app.name)
        self.jobs = Jobs(self.machine, self.app.name, self.unit.name)
        self.cluster = Cluster(self, "cluster")
        self.roll = Roll(self.machine, self.cluster, self.jobs, self.unit.name, self.unit.reboot)
        cluster = self.on["cluster"]
        for event in (
            self.on.install, self.on.config_changed, self.on.start, self.on.leader_elected, self.on.update_status,
            cluster.relation_changed, cluster.relation_departed,
        ):  # fmt: skip
            framework.observe(event, self._reconcile)
        self.actions = actions.Actions(self)
        framework.observe(self.on.start, self._on_start)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    def _reconcile(self, _: ops.EventBase) -> None:
        if not self._claim():
            self.roll.lead()
            return
        leftovers.clear_all(self.machine, self.unit.name)
        if isinstance(config := self._config(), Config):
            self.host.install()
            self.host.render(config)
            self.host.apply(config)
            self.host.start()
        self.jobs.resume()
        self.roll.step()

    def _on_start(self, _: ops.StartEvent) -> None:
        # A unit starts again with its machine, so this is where another version shows.
        self.unit.set_workload_version(self.host.version())

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        if self.owner == self.unit.name:
            self.jobs.stop()
            self.host.stop()
            self.host.remove()
            registry.disclaim(self.machine, _BASELINE, self.unit.name)

    def _config(self) -> Config | ConfigError:
        try:
            return Config.parse(self.config)
        except ConfigError as error:
            return error

    # One unit a machine

    @property
    def owner(self) -> str:
        """The unit that manages the machine; empty when that unit has gone."""
        return registry.owner(self.machine, _BASELINE)

    def _claim(self) -> bool:
        """Return whether this unit manages the machine; it takes over from one that is no longer there."""
        owner = registry.claim(self.machine, _BASELINE, self.unit.name)
        if owner != self.unit.name and not self.machine.exists(self._agent_folder(owner)):
            registry.disclaim(self.machine, _BASELINE, owner)
            owner = registry.claim(self.machine, _BASELINE, self.unit.name)
        return owner == self.unit.name

    def _agent_folder(self, unit: str) -> str:
        """Return the folder that Juju has for a unit as long as it is on this machine."""
        return str(self.charm_dir.parent.parent / f"unit-{unit.replace('/', '-')}")

    # Status

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
        Retry(self.machine, self.unit.name).add_all(event, self._statuses())

    def _statuses(self) -> Iterator[ops.StatusBase]:
        if not self.owner:
            yield ops.MaintenanceStatus("the machine has its own baseline again")
            return
        if self.owner != self.unit.name:
            yield ops.BlockedStatus(
                f"{self.owner} manages this machine: remove this unit's relation to its principal"
            )
            return
        if request := self.roll.request:
            yield self._request_status(request)
        if isinstance(config := self._config(), ConfigError):
            yield ops.BlockedStatus(str(config))
            return
        if problem := self.host.ssh_problem(config):
            yield ops.BlockedStatus(f"sshd keeps its old configuration, it refuses the new one: {problem}")
        if stopped := self.host.stopped_services():
            yield ops.BlockedStatus(f"not running: {', '.join(stopped)}; see systemctl status on the machine")
        left = [
            f"{unit} is gone, its data are still in {', '.join(folders)}"
            for unit, folders in leftovers.kept(self.machine).items()
        ]
        yield ops.ActiveStatus("; ".join([*left, *self.host.notes(config)]))

    def _request_status(self, request: Request) -> ops.StatusBase:
        match request.state:
            case "waiting":
                return self._waiting_status(request)
            case "restarting":
                return ops.MaintenanceStatus("restarting the machine")
            case "upgrading":
                job = self.jobs.find(request.job)
                return ops.MaintenanceStatus(f"{request.job}: {job.progress if job else 'unknown'}")
            case "verifying":
                waiting = "waiting until all applications of the machine are healthy"
                return ops.MaintenanceStatus(": ".join(filter(None, (waiting, self.roll.awaited))))
            case "entered":
                return ops.MaintenanceStatus(
                    f"in maintenance: juju run {self.unit.name} maintenance mode=leave"
                )
            case "failed":
                return self._stopped_status(self.unit.name, request)

    def _waiting_status(self, request: Request) -> ops.StatusBase:
        holder = self.cluster.lock_holder
        theirs = self.roll.request_of(holder) if holder else None
        if holder and theirs and theirs.state == "failed":
            return self._stopped_status(holder, theirs)
        return ops.WaitingStatus(f"{request.kind} waits for {holder or 'the leader to pass the lock on'}")

    def _stopped_status(self, unit: str, request: Request) -> ops.StatusBase:
        leader = f"juju run {self.app.name}/leader"
        return ops.BlockedStatus(
            f"{request.kind} stopped at {unit}: {request.reason}. "
            f"Repair it, then `{leader} resume-roll`; or `{leader} cancel-roll`"
        )


if __name__ == "__main__":
    hook.main(HostCharm)
