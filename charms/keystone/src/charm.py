#!/usr/bin/env python3
"""The keystone charm: all units are alike; the leader makes what there is one of."""

from __future__ import annotations

from functools import cached_property, partial

import ops

import accounts
import clients
import keys
import report
import restored
import wishes
from admin import Admin, RefusedError, UnreachableError
from clients import Clients, Place
from keystone import BACKEND_PORT, RELEASES, Keystone
from openinfra_charm import machine as machines
from openinfra_charm.daemon import leftovers
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.interfaces import haproxy_route_tcp, memcache, mysql_client
from openinfra_charm.model import actions, addresses, hook, secrets, status
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.openstack.upgrade import Service, Upgrade
from openinfra_charm.values import bracketed
from state import Settings, State

RESTART = "restart"
"""Why a unit has its turn; an upgrade has reasons of its own."""
HOOK_SECONDS = 45
"""How long a hook may wait, for an API that it has started; the next one goes on from there."""


class KeystoneCharm(ops.CharmBase):
    """Events, relations and status of one unit of Keystone."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.keystone = Keystone(self.machine, self.app.name)
        self.cluster = Cluster(self, "cluster")
        self.jobs = Jobs(self.machine, self.app.name, self.unit.name)
        self.upgrade = Upgrade(
            self, machine=self.machine, cluster=self.cluster, jobs=self.jobs, releases=self.keystone.releases,
            locks=RELEASES, first=str(self.config["release"]),
            service=Service(schema="schema", restart=self.keystone.restart, health=partial(accounts.why_no_token, self)))  # fmt: skip
        self.clients = Clients(
            model=self.model, application=self.app, cluster=self.cluster, settings=lambda: self.settings,
            place=self._place, admin=lambda: self.admin(self.settings))  # fmt: skip
        self.secrets = secrets.Owner(self, self._on_obsolete)
        self.missing: list[ops.StatusBase] = []
        self._limit = self.machine.now() + HOOK_SECONDS
        self.new_keys: keys.KeySet | None = None
        """Keys that this hook has made: reading the secret does not give them yet."""
        for event in (
            self.on.install, self.on.leader_elected, self.on.config_changed, self.on.start, self.on.upgrade_charm,
            self.on.update_status, self.on.secret_changed, self.on.secret_remove,
            *(
                getattr(self.on[endpoint], f"relation_{kind}")
                for endpoint in ("cluster", "database", "certificates", "cache", "gateway", *clients.ENDPOINTS)
                for kind in ("created", "changed", "departed", "broken")
            ),
        ):  # fmt: skip
            framework.observe(event, self._on_change)
        framework.observe(self.on.secret_rotate, self._on_secret_rotate)
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
            self.missing.append(ops.BlockedStatus(str(error)))
        except UnreachableError as error:
            self.missing.append(ops.WaitingStatus(str(error)))
        except RefusedError as error:
            self.missing.append(ops.BlockedStatus(f"Keystone refuses what the charm needs: {error}"))

    def _reconcile(self) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the others from their turns.
        self.cluster.grant_turn()
        settings = self.settings
        leftovers.occupy(self.machine, self.unit.name, self.keystone.footprint)
        self.keystone.install()
        if not self.cluster.formed:
            return
        wishes.ask(self)
        has_tree = self.upgrade.prepare()
        state = self._gather(settings)
        if state is None or not has_tree:
            return
        self.keystone.render(state)
        self.cluster.publish(keys=state.keys.generation)
        if not self._founded(settings):
            return
        if self.keystone.api.paused:
            self.keystone.stop()
            self.cluster.release_turn()
            return
        started = self.keystone.apply() or self._restart_outdated()
        self.keystone.tls.acknowledge(self.model.get_relation("certificates"), self.unit)
        restored.prepare(self)
        seconds = self._limit - self.machine.now() if started else 0
        why = "" if self.upgrade.switching else self.keystone.api.problem(seconds)
        self.upgrade.advance()  # also where it does not serve: the way back is for that
        if why:
            self.missing.append(ops.WaitingStatus(f"for Keystone: {why}"))
            return
        if not self.keystone.outdated():
            self._take_up()
        if self.unit.is_leader():
            restored.take_up(self, settings)
            accounts.ensure(self, settings)
            keys.advance(self, settings)
            self.clients.serve()

    def _gather(self, settings: Settings) -> State | None:
        """Return everything that decides what runs here; None while the model does not say enough yet."""
        database, cache = self.model.get_relation("database"), self.model.get_relation("cache")
        access = self._access(database) if database and database.active else None
        certificates, place = self.model.get_relation("certificates"), self.place
        if place is None:
            self.missing.append(ops.WaitingStatus("for Juju to give the binding internal an address"))
        if database is None:
            self.missing.append(ops.BlockedStatus(f"no database: juju integrate {self.app.name} mysql"))
        elif access is None:
            self.missing.append(ops.WaitingStatus(f"for {database.app.name} to make the database"))
        if certificates is None:
            self.missing.append(ops.BlockedStatus(f"no TLS: juju integrate {self.app.name} certificates"))
        elif not self.keystone.tls.ready:
            self.missing.append(ops.WaitingStatus(self.keystone.tls.problem(certificates)))
        present = self._secrets(settings)
        if not (access and place and present and self.keystone.tls.ready):
            return None
        servers = memcache.read_servers(cache) if cache and cache.active else ()
        return State(
            settings=settings,
            address=place.address,
            others=self.others,
            access=access,
            servers=servers,
            keys=present,
            sources=wishes.sources(self),
        )

    def _access(self, database: ops.Relation, *, take_up: bool = False) -> mysql_client.Access | None:
        try:
            return mysql_client.read_access(self.model, database, take_up=take_up)
        except ops.SecretNotFoundError:
            return None

    def _secrets(self, settings: Settings) -> keys.KeySet | None:
        """Return the keys; as the leader make them and the first passwords where there are none."""
        if "keys-secret" not in self.cluster.shared and self.unit.is_leader():
            chosen = keys.choose(self, settings)
            accounts.make_secrets(self)
            keys.make(self, settings, chosen)
        present = keys.read(self)
        if present is None:
            self.missing.append(ops.WaitingStatus("for the leader to make the keys"))
        return present

    def _founded(self, settings: Settings) -> bool:
        """Return whether schema and first accounts are made, which the leader does once Juju has its secrets on record."""
        if accounts.is_filled(self):
            return True
        if not self.unit.is_leader():
            self.missing.append(ops.WaitingStatus("for the leader to set Keystone up"))
            return False
        if self.new_keys:
            self.missing.append(
                ops.WaitingStatus("for Juju to record the keys; the next hook sets Keystone up")
            )
            return False
        accounts.bootstrap(self, settings)
        return True

    def _restart_outdated(self) -> bool:
        """Restart an API that runs with something older, one unit of the application at a time; return whether it was."""
        if self.upgrade.switching or not self.keystone.outdated():
            return False
        if not self.cluster.request_turn(RESTART):
            self.missing.append(self.cluster.waits_for_turn("restart"))
            return False
        self.keystone.restart()
        return True

    def _take_up(self) -> None:
        """Say that what runs is the newest: to the gateway, to the units that wait, to who has handed out a new password."""
        wishes.offer(self)
        if self.cluster.turn_reason == RESTART:
            self.cluster.release_turn()
        if database := self.model.get_relation("database"):
            self._access(database, take_up=True)

    # The other events

    def _on_secret_rotate(self, event: ops.SecretRotateEvent) -> None:
        """Rotate the keys, now or as soon as every unit has acknowledged the present ones."""
        if event.secret.label == keys.LABEL and self.unit.is_leader():
            self.cluster.publish_shared(**{"rotation-due": True})
        self._on_change(event)

    def _on_obsolete(self, label: str) -> None:
        self.clients.retire(label)

    def _tell_version(self, _: ops.EventBase) -> None:
        self.unit.set_workload_version(self.keystone.version())

    def _on_action(self, event: ops.ActionEvent) -> None:
        actions.perform(self, event)

    def _on_stop(self, _: ops.StopEvent) -> None:
        if leftovers.has_place(self.machine, self.unit.name):
            self.keystone.stop()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        if leftovers.has_place(self.machine, self.unit.name):
            self.jobs.stop()
            self.keystone.remove()

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not self.missing and not self.cluster.formed:
            self.missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
        missing = [*self.missing, *self.upgrade.statuses()]
        status.add_all(event, missing or report.statuses(self))

    # What the model says

    @cached_property
    def settings(self) -> Settings:
        """The charm's options, checked.

        Raises:
            ConfigError: One of them cannot be used.
        """
        return Settings.parse(self.config)

    @cached_property
    def place(self) -> addresses.Place | None:
        """Where this unit is, as the gateway sees it, or all clients where there is none; None while Juju does not say."""
        gateway = self.model.get_relation("gateway")
        return addresses.Addresses(self.model, self.machine, self.app.name).find("internal", relation=gateway)

    @property
    def others(self) -> tuple[str, ...]:
        """The addresses of the other units, as far as they have told them."""
        facts = (self.cluster.facts(unit) for unit in self.cluster.units if unit != self.unit.name)
        return tuple(one["address"] for one in facts if "address" in one)

    @property
    def served(self) -> tuple[str, ...]:
        """Where the gateway serves Keystone, as `host:port`; nothing without one."""
        gateway = self.model.get_relation("gateway")
        return haproxy_route_tcp.read_endpoints(gateway) if gateway and gateway.active else ()

    @property
    def url(self) -> str:
        """Where clients reach Keystone: at the gateway, else at the first unit."""
        facts = [facts for unit in self.cluster.units if "address" in (facts := self.cluster.facts(unit))]
        first = facts[0].get("ingress", facts[0]["address"]) if facts else ""
        direct = f"{bracketed(first)}:{BACKEND_PORT}"
        return f"https://{self.served[0] if self.served else direct}/v3"

    @property
    def internal_url(self) -> str:
        """Where services reach Keystone: at the gateway's address in their network, if it has one there."""
        gateway = self.model.get_relation("gateway")
        inner = haproxy_route_tcp.read_internal(gateway) if gateway and gateway.active else ()
        return f"https://{inner[0]}/v3" if inner and inner != self.served else self.url

    def _place(self) -> Place:
        names = accounts.named(self)
        return Place(url=self.url, internal_url=self.internal_url, region=self.settings.region, names=names)

    def admin(self, settings: Settings) -> Admin:
        """Return this hook's session with Keystone."""
        if self._admin is None:
            self._admin = accounts.session(self, settings)
        return self._admin

    _admin: Admin | None = None


if __name__ == "__main__":
    hook.main(KeystoneCharm)
