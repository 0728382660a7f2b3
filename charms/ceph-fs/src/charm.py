#!/usr/bin/env python3
"""The ceph-fs charm: one application is one file system, each unit a metadata server that serves it or stands by."""

from __future__ import annotations

import ops

from admin import UnreachableError
from ceph_fs import Mds
from openinfra_charm import machine as machines
from openinfra_charm.daemon.owned import Owned
from openinfra_charm.daemon.pause import Pause
from openinfra_charm.interfaces import ceph_daemons, ceph_mds
from openinfra_charm.model import actions, hook, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from state import Settings, State

RESTART_SECONDS = 30
"""How long a hook waits for the started daemon; the next hook goes on where this one gives up."""
FEW = 8
"""Placement groups of the pool for names, which is small."""


class CephFsCharm(ops.CharmBase):
    """Events, relations and status of one unit of the file system."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.mds = Mds(self.machine, self.app.name)
        self.owned = Owned(self.machine, self.unit.name, self.mds)
        self.paused = Pause(self.unit.name, self.mds)
        self.cluster = Cluster(self, "cluster")
        self.missing: list[ops.StatusBase] = []
        relations = {"cluster": hook.PEERS, "ceph": hook.OTHERS}
        for event in hook.changes(self.on, relations, self.on.secret_changed):
            framework.observe(event, self._on_change)
        for event in (self.on.start, self.on.update_status):
            framework.observe(event, self._set_version)
        framework.observe(self.on.stop, self._on_stop)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        self.actions = actions.Actions(self)

    # The recipe

    def _on_change(self, event: ops.EventBase) -> None:
        try:
            self._reconcile()
        except status.NeedsOperatorError as error:
            self.missing.append(ops.BlockedStatus(str(error)))
        except UnreachableError as error:
            self.missing.append(status.RetriedStatus(f"for Ceph: {error}"))
        if isinstance(event, ops.RelationBrokenEvent):
            self.mds.stop()

    def _reconcile(self) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the lock from the others.
        self.cluster.grant_lock()
        settings = Settings.parse(self.config)
        self.owned.claim()
        self.mds.install()
        if not self.cluster.formed:
            self.missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
            return
        access = self._access(settings)
        if access is None:
            return
        place = Addresses(self.model, self.machine, self.app.name).require("public")
        self.mds.render(State(settings=settings, address=place.address, access=access))
        if self.paused:
            return
        self.mds.apply()
        self.missing += self.cluster.rolling_restart(
            self.mds.daemon,
            lambda: self.mds.wait_until_ready(RESTART_SECONDS),
            "the metadata server to stand by",
        )

    def _access(self, settings: Settings) -> ceph_daemons.Access | None:
        """Ask for the file system and a key, and return how to reach the cluster."""
        relation = self.model.get_relation("ceph")
        if relation is None:
            raise status.NeedsOperatorError(
                f"integrate with Ceph: juju integrate {self.app.name}:ceph ceph:mds"
            )
        metadata, data = f"{self.app.name}.meta", f"{self.app.name}.data"
        operations = [
            {"op": "create-pool", "name": metadata, "app-name": "cephfs", "pg_num": FEW},
            {"op": "create-pool", "name": data, "app-name": "cephfs"},
            {
                "op": "create-cephfs", "mds_name": self.app.name, "metadata_pool": metadata, "data_pool": data,
                "max_mds": settings.active, "standby_replay": settings.standby_replay,
            },
        ]  # fmt: skip
        request_id = f"{self.app.name}-{settings.active}-{settings.standby_replay}".lower()
        access = ceph_daemons.obtain(
            self.model, relation, ceph_mds.FORMAT, self.mds.name, request_id=request_id, operations=operations
        )
        if access is None:
            self.missing.append(
                ops.WaitingStatus(f"for {relation.app.name} to make the file system and a key")
            )
        return access

    # The other events

    def _set_version(self, _: ops.EventBase) -> None:
        """Publish the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.mds.version())

    def _on_stop(self, _: ops.StopEvent) -> None:
        self.missing.append(status.LEAVING)
        self.owned.stop()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self.missing.append(status.LEAVING)
        self.owned.remove()

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not (self.missing or self.paused or self.owned.was_started):
            # A hook that reconciles nothing: what the last one said is what is waited for still.
            return
        Retry(self.machine, self.unit.name).add_all(event, self.missing or self._statuses())

    def _statuses(self) -> list[ops.StatusBase]:
        """Return what is wrong with what runs, or should run."""
        if self.paused:
            return [self.paused.status]
        if down := self.owned.problems():
            return down
        if self.cluster.planned and len(self.cluster.units) <= int(self.config["max-mds"]):
            return [ops.ActiveStatus(f"no metadata server stands by: juju add-unit {self.app.name}")]
        return []


if __name__ == "__main__":
    hook.main(CephFsCharm)
