#!/usr/bin/env python3
"""The ceph-rgw charm: each unit serves the same objects over S3 and Swift from one Ceph cluster."""

from __future__ import annotations

from functools import cached_property

import ops

from admin import UnreachableError
from buckets import ENDPOINT, Buckets
from ceph_rgw import Rgw
from endpoints import Endpoints
from openinfra_charm import machine as machines
from openinfra_charm.daemon import tls
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.daemon.owned import Owned
from openinfra_charm.daemon.pause import Pause
from openinfra_charm.interfaces import ceph_daemons, ceph_radosgw, keystone
from openinfra_charm.model import actions, databag, hook, secrets, status
from openinfra_charm.model.addresses import Addresses, Place
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from state import Keystone, Settings, Site, State, check_site

RESTART_SECONDS = 30
"""How long a hook waits for the started daemon; the next hook goes on where this one gives up."""
POOLS = (
    "rgw.control", "rgw.meta", "rgw.log", "rgw.otp", "rgw.buckets.index", "rgw.buckets.non-ec", "rgw.buckets.data",
)  # fmt: skip
"""What a zone keeps its things in. `.rgw.root` is not among them: radosgw makes it itself."""
FEW = 8
"""Placement groups of a pool that holds little."""


class CephRgwCharm(ops.CharmBase):
    """Events, relations and status of one unit of the object gateway."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.tls = tls.Certificate(self.machine, self.app.name, user="ceph", group="ceph", combined=True)
        self.rgw = Rgw(self.machine, self.app.name, self.tls)
        self.owned = Owned(self.machine, self.unit.name, self.rgw)
        self.paused = Pause(self.unit.name, self.rgw)
        self.cluster = Cluster(self, "cluster")
        self.jobs = Jobs(self.machine, self.app.name, self.unit.name)
        self.missing: list[ops.StatusBase] = []
        plain = bool(self.config["allow-plain-credentials"])
        self.buckets = Buckets(self.model, self.cluster, self.rgw, allows_plain=plain)
        self.secrets = secrets.Owner(self)
        others = ("ceph", "certificates", "gateway", "identity-service", ENDPOINT)
        relations = {"cluster": hook.PEERS, **dict.fromkeys(others, hook.OTHERS)}
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
        if isinstance(event, ops.RelationBrokenEvent) and event.relation.name == "ceph":
            self._leave_ceph()

    def _reconcile(self) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the lock from the others.
        self.cluster.grant_lock()
        settings = Settings.parse(self.config)
        self.owned.claim()
        self.rgw.install()
        if not self.cluster.formed:
            self.missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
            return
        if not self._record_site(settings.site):
            return
        state = self._gather(settings)
        if state is None:
            return
        self.rgw.render(state)
        if self.paused or not self._found(settings.site):
            return
        self._name_hosts(settings)
        self.rgw.apply()
        self._restart_outdated()
        self.jobs.resume()
        self._check_health()
        self.endpoints(settings).publish(
            takes_proxied=self.rgw.front.was_started,
            # This list is read from the disks each time: who cannot reach the cluster has no answer.
            health=f"/{self.rgw.health_bucket}" if self.cluster.shared.get("checked") else "",
        )
        self.missing += self._give_buckets(settings)

    def _give_buckets(self, settings: Settings) -> list[ops.StatusBase]:
        """Give applications that ask for one a bucket; return what is in the way."""
        endpoints = self.endpoints(settings)
        if self.tls.current:
            self.buckets.certified(endpoints.hosts)
        if not (self.unit.is_leader() and self.cluster.shared.get("checked")):
            return []
        ca = self.machine.read(self.tls.ca_path) or ""
        where, balanced = endpoints.internal_url, endpoints.gateway is not None
        return [*self.buckets.serve(where, settings.site.zonegroup, ca, balanced=balanced)]

    def _record_site(self, site: Site) -> bool:
        """As the leader record under which names objects are kept, once; return whether that is known."""
        recorded = self.cluster.shared.get("site")
        if recorded is None and self.unit.is_leader():
            recorded = {"realm": site.realm, "zonegroup": site.zonegroup, "zone": site.zone}
            self.cluster.publish_shared(site=recorded)
        if recorded is None:
            self.missing.append(ops.WaitingStatus("for the leader to name realm, zone group and zone"))
            return False
        check_site(site, recorded)
        return True

    def _gather(self, settings: Settings) -> State | None:
        """Return everything that decides what runs here; None while the model does not say enough yet."""
        access = self._access(settings.site)
        ready = self._has_certificate(settings)
        identity = self.model.relations["identity-service"]
        answers, problems = databag.read_each(
            identity, lambda one: keystone.read_access(self.model, one, refresh=False)
        )
        if identity and not answers:
            self.endpoints(settings).request_identity()
            self.missing += map(ops.BlockedStatus, problems)
            if not problems:
                self.missing.append(ops.WaitingStatus(f"for {identity[0].app.name} to make a user"))
        if not (access and ready) or (identity and not answers):
            return None
        return State(
            settings=settings,
            address=self._place.address,
            access=access,
            keystone=_keystone(answers[identity[0]]) if answers else None,
            host_names=tuple(self.cluster.shared.get("host-names", ())),
            sources=self.endpoints(settings).sources,
        )

    def _leave_ceph(self) -> None:
        """Stop, as the key is taken away; the next Ceph may be another one, and have no zone."""
        self.rgw.stop()
        if self.unit.is_leader():
            self.cluster.publish_shared(founded=None, checked=None)

    def _access(self, site: Site) -> ceph_daemons.Access | None:
        """Ask for pools and a key, and return how to reach the cluster."""
        relation = self.model.get_relation("ceph")
        if relation is None:
            self.missing.append(
                ops.BlockedStatus(f"integrate with Ceph: juju integrate {self.app.name}:ceph ceph")
            )
            return None
        pools = [
            {"op": "create-pool", "name": f"{site.zone}.{name}", "app-name": "rgw"}
            | ({} if name == POOLS[-1] else {"pg_num": FEW})
            for name in POOLS
        ]
        found, problems = databag.read_each(
            [relation],
            lambda one: ceph_daemons.obtain(
                self.model, one, ceph_radosgw.FORMAT, self.rgw.name,
                request_id=f"pools-{site.zone}", operations=pools,
            ),
        )  # fmt: skip
        self.missing += map(ops.BlockedStatus, problems)
        if not (found or problems):
            self.missing.append(ops.WaitingStatus(f"for {relation.app.name} to make pools and a key"))
        return found.get(relation)

    def _has_certificate(self, settings: Settings) -> bool:
        """Ask for a certificate, take what has come, and return whether the front can start with what is there."""
        relation = self.model.get_relation("certificates")
        self.tls.update(relation, self.unit, self.endpoints(settings).subject(self.machine.hostname()))
        if problem := self.tls.problem(relation):
            kind = ops.WaitingStatus if relation else ops.BlockedStatus
            self.missing.append(kind(problem))
        return self.tls.ready

    def _found(self, site: Site) -> bool:
        """As the leader make realm, zone group and zone; return whether they are there."""
        if self.cluster.shared.get("founded"):
            return True
        if not self.unit.is_leader():
            self.missing.append(ops.WaitingStatus("for the leader to make realm, zone group and zone"))
            return False
        self.rgw.found(site)
        self.cluster.publish_shared(founded=True)
        return True

    def _name_hosts(self, settings: Settings) -> None:
        """As the leader have Ceph know all names that clients use, as it takes any other one for a bucket's."""
        wanted = self.endpoints(settings).host_names
        if self.unit.is_leader() and self.cluster.shared.get("host-names", []) != wanted:
            self.rgw.name_hosts(settings.site, wanted)
            self.cluster.publish_shared(**{"host-names": wanted or None})

    def _restart_outdated(self) -> None:
        """Restart a daemon that runs with an older configuration, one unit of the application at a time."""
        self.missing += self.cluster.rolling_restart(
            self.rgw, lambda: self.rgw.wait_until_ready(RESTART_SECONDS), "radosgw to answer"
        )
        if self.rgw.outdated():
            return
        self.tls.acknowledge(self.model.get_relation("certificates"), self.unit)
        if identity := self.model.get_relation("identity-service"):
            # Now that the daemon runs with the newest user, Keystone may end the one before.
            keystone.read_access(self.model, identity)

    def _check_health(self) -> None:
        """As the leader have something to check the health of gateways with; it takes a daemon that serves."""
        if not self.unit.is_leader() or self.cluster.shared.get("checked"):
            return
        if self.rgw.wait_until_ready(RESTART_SECONDS) and self.rgw.make_health_bucket():
            self.cluster.publish_shared(checked=True)
        else:
            self.missing.append(status.RetriedStatus("for radosgw to answer after its start"))

    def endpoints(self, settings: Settings) -> Endpoints:
        """Return where clients reach the application.

        Raises:
            NeedsOperatorError: Juju has no address for this unit.
        """
        return Endpoints(
            self.unit, self.cluster, settings, self._place,
            gateway=self.model.get_relation("gateway"), identity=self.model.get_relation("identity-service"),
        )  # fmt: skip

    @cached_property
    def _place(self) -> Place:
        """Where this unit is, as the gateway sees it, or all clients where there is none.

        Raises:
            NeedsOperatorError: Juju has no address for it.
        """
        addresses = Addresses(self.model, self.machine, self.app.name)
        return addresses.require("internal", relation=self.model.get_relation("gateway"))

    # The other events

    def _set_version(self, _: ops.EventBase) -> None:
        """Publish the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.rgw.version())

    def _on_stop(self, _: ops.StopEvent) -> None:
        self.missing.append(status.LEAVING)
        if self.owned.is_mine:
            self.jobs.stop()
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
        """Return what is wrong with what runs, or should run, and what is being done."""
        if self.paused:
            return [self.paused.status]
        jobs = (f"{job.id}: {job.progress or job.state}" for job in self.jobs.unfinished())
        return self.owned.problems() or [ops.MaintenanceStatus(job) for job in jobs]


def _keystone(access: keystone.Access) -> Keystone:
    url = access.identity.internal_url.removesuffix("/").removesuffix("/v3")
    return Keystone(
        url=url,
        user=access.username,
        password=access.password,
        project=access.identity.service_project.name,
        domain=access.identity.service_domain.name,
    )


if __name__ == "__main__":
    hook.main(CephRgwCharm)
