#!/usr/bin/env python3
"""The gateway charm: one address for all services, passed on to those of their units that are healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

import state as states
from gateway import Gateway
from haproxy import InvalidConfigError, NoAnswerError
from openinfra_charm import machine as machines
from openinfra_charm.daemon import render
from openinfra_charm.daemon.owned import Owned
from openinfra_charm.daemon.tls import Certificate, Subject
from openinfra_charm.interfaces import certificate_transfer, haproxy_route_tcp, prometheus_scrape
from openinfra_charm.model import actions, hook, status
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from state import HEALTH_PORT, Config, Drain, Networks, State, Units

if TYPE_CHECKING:
    from openinfra_charm.interfaces.haproxy_route_tcp import Asked

ROUTES = "haproxy-route-tcp"
TRUST = "receive-ca-cert"


class GatewayCharm(ops.CharmBase):
    """Events, relations and status of one unit of the gateway."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.gateway = Gateway(self.machine, self.app.name)
        self.owned = Owned(self.machine, self.unit.name, self.gateway)
        self.cluster = Cluster(self, "cluster")
        self.tls = Certificate(self.machine, self.app.name, combined=True)
        self._addresses = Addresses(self.model, self.machine, self.app.name)
        self.trust_path = f"/etc/{self.app.name}/trusted.pem"
        self._missing: list[ops.StatusBase] = []
        self._refused: list[str] = []
        relations = {
            "cluster": hook.PEERS,
            **dict.fromkeys((ROUTES, "certificates", TRUST), (*hook.PEERS, "broken")),
            "metrics-endpoint": ("created",),
        }
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
            self.gateway.leave(self.unit.name)
            self.cluster.publish(vip_peers=None)
        if self.gateway.is_leaving(self.unit.name):
            # It forgets routes and peers one by one; it serves what it did for as long as anybody may still ask it.
            self._missing.append(status.LEAVING)
            return
        try:
            self.reconcile()
        except status.NeedsOperatorError as error:
            self._missing.append(ops.BlockedStatus(str(error)))
        except InvalidConfigError as error:
            self._missing.append(
                ops.BlockedStatus(f"HAProxy keeps its last configuration, the new one is refused: {error}")
            )
        except NoAnswerError as error:
            self._missing += self.owned.problems() or [
                status.RetriedStatus(f"for HAProxy to answer: {error}")
            ]

    def reconcile(self) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        config = Config.parse(self.config)
        self.owned.claim()
        self.gateway.install()
        wanted = self.gather(config)
        if wanted is None:
            return
        state, refused = self.gateway.fit(wanted)
        self._refused = [refusal.reason for refusal in refused]
        self.gateway.render(state)
        self.gateway.apply(state, self.drains)
        self._share_vip(state)
        self._acknowledge()
        self.unit.set_ports(*{asked.route.port for asked in state.routes})
        self._publish(state)

    def gather(self, config: Config) -> State | None:
        """Return everything that decides what runs here; None while Juju does not say enough yet."""
        networks = self.networks()
        if not (self.cluster.formed and networks):
            self._missing.append(
                ops.WaitingStatus("for Juju to give the bindings public and internal addresses")
            )
            return None
        networks.check(config)
        public, internal = networks.public.address, networks.internal.address
        self.cluster.publish(
            public_address=public, public_ingress=networks.public.ingress, internal_address=internal
        )
        self._update_certificates(internal)
        ready = self.tls.ready
        trusted = self.machine.read(self.trust_path) or ""
        return State(
            config=config,
            unit=self.unit.name,
            networks=networks,
            peers=tuple(one for one in self.units.public if one != public),
            routes=self.routes[0],
            ca=self.trust_path if trusted else "",
            certificate=self.tls.combined_path if ready else "",
            certificates=states.digest(*(self.tls.inputs if ready else ()), trusted),
        )

    def networks(self) -> Networks | None:
        """Return where this unit is on both bindings; None while Juju does not say."""
        known = self.cluster.facts(self.unit.name) if self.cluster.formed else {}
        public = self._addresses.find("public", published=known.get("public_address"))
        internal = self._addresses.find("internal", published=known.get("internal_address"))
        if not (public and internal):
            return None
        return Networks(public=public, internal=internal)

    @property
    def units(self) -> Units:
        """Where all units are."""
        return Units.parse([self.cluster.facts(unit) for unit in self.cluster.units])

    @property
    def routes(self) -> tuple[tuple[Asked, ...], list[str]]:
        """The routes that are served, and what is wrong with the others."""
        asked, problems = haproxy_route_tcp.read_routes(self._active(ROUTES))
        served, refused = states.select(asked)
        return served, [*problems, *(refusal.reason for refusal in refused)]

    @property
    def drains(self) -> list[Drain]:
        """The backends that operators have drained."""
        return [
            Drain(backend=backend, route=route) for backend, route in self.cluster.shared.get("drained", [])
        ]

    def endpoints(self, asked: Asked, config: Config, networks: Networks) -> tuple[list[str], list[str]]:
        """Return where clients reach a route, and where services do among themselves if that is another place."""
        units = self.units
        if asked.route.internal:
            return states.endpoints_inside(asked, config, networks, units.internal), []
        return (
            states.endpoints(asked, config, networks.outer(config), units.ingress),
            states.inner_endpoints(
                asked, config, networks, public=units.ingress, internal=units.only_internal
            ),
        )

    def _active(self, endpoint: str) -> list[ops.Relation]:
        return [relation for relation in self.model.relations[endpoint] if relation.active]

    def _share_vip(self, state: State) -> None:
        """Join those that have the virtual address one by one, when all of them listen to this one; the leader begins."""
        others = (self.cluster.facts(unit) for unit in self.cluster.units if unit != self.unit.name)
        heard = [one["vip_peers"] for one in others if "vip_peers" in one]
        me = state.networks.public.address
        may_join = all(me in peers for peers in heard) if heard else self.unit.is_leader()
        shares = self.gateway.share_vip(state, may_join=may_join)
        self.cluster.publish(vip_peers=list(state.peers) if shares else None)
        if state.config.vips and not shares:
            self._missing.append(
                ops.WaitingStatus("for the units that share the virtual address to listen to this one")
            )

    # Certificates

    @property
    def _authority(self) -> ops.Relation | None:
        return next(iter(self._active("certificates")), None)

    def _update_certificates(self, address: str) -> None:
        """Take the metrics' certificate, and the CAs that backends' certificates are checked with."""
        self.tls.update(self._authority, self.unit, Subject.of(self.machine.hostname(), [address]))
        bundles = [certificate_transfer.read(relation) for relation in self._active(TRUST)]
        own = [self.machine.read(self.tls.ca_path) or ""] if self.tls.ready else []
        trusted = dict.fromkeys(
            part.strip() for part in (*own, *(one for bundle in bundles for one in bundle))
        )
        text = "".join(f"{part}\n" for part in trusted if part)
        render.write(self.machine, render.File(path=self.trust_path, content=text))

    def _acknowledge(self) -> None:
        """Acknowledge to the CAs that HAProxy runs with what they have handed out."""
        self.tls.acknowledge(self._authority, self.unit)
        for relation in self._active(TRUST):
            if self.unit.is_leader():
                certificate_transfer.announce(relation, self.app)
            certificate_transfer.acknowledge(relation, self.unit, certificate_transfer.read(relation))

    # What is published

    def _publish(self, state: State) -> None:
        """Publish where routes are served to their requirers, and where metrics are to who collects them."""
        if self.unit.is_leader():
            served = {asked.relation_id: asked for asked in state.routes}
            for relation in self._active(ROUTES):
                asked = served.get(relation.id)
                where = self.endpoints(asked, state.config, state.networks) if asked else ([], [])
                haproxy_route_tcp.publish_endpoints(relation, self.app, *where)
        for relation in self._active(ROUTES):
            haproxy_route_tcp.publish_sources(relation, self.unit, state.networks.own)
        for relation in self._active("metrics-endpoint") if state.certificate else ():
            place = self._addresses.find("internal", relation=relation)
            prometheus_scrape.publish_unit(
                relation, self.unit, place.ingress if place else state.networks.internal.ingress
            )
            if self.unit.is_leader():
                ca = self.machine.read(self.tls.ca_path) or ""
                prometheus_scrape.publish_job(
                    relation, self.model, charm_name=self.meta.name, port=HEALTH_PORT, ca=ca
                )

    # The other events

    def _set_version(self, _: ops.EventBase) -> None:
        """Publish the version where it may have changed: packages are upgraded beside the model."""
        self.unit.set_workload_version(self.gateway.version())

    def _on_stop(self, _: ops.StopEvent) -> None:
        self._missing.append(status.LEAVING)
        self.owned.stop()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self._missing.append(status.LEAVING)
        self.owned.remove()

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if not self._missing:
            self._missing += self._statuses()
        Retry(self.machine, self.unit.name).add_all(event, self._missing)

    def _statuses(self) -> list[ops.StatusBase]:
        """Return what is wrong with what runs."""
        if down := self.owned.problems():
            return down
        served, problems = self.routes
        found: list[ops.StatusBase] = [ops.BlockedStatus(problem) for problem in (*problems, *self._refused)]
        found += [
            status.RetriedStatus(f"for a healthy backend of {route}: {why}; see show-backends")
            for route, why in sorted(self.gateway.unserved.items())
        ]
        if why := self.tls.problem(self._authority) if self._authority else "":
            found.append(ops.WaitingStatus(why))
        notes = [
            f"{one.application} asks for {what}, not done"
            for one in served
            for what in states.not_honoured(one)
        ]
        checked = any(one.route.health.path and one.route.health.tls for one in served)
        if checked and not self.machine.read(self.trust_path):
            notes.append(f"backends' certificates are not checked: integrate {self.app.name}:certificates")
        elif not self._authority:
            notes.append(f"no metrics: integrate {self.app.name}:certificates")
        if notes:
            found.append(ops.ActiveStatus("; ".join(notes)))
        return found


if __name__ == "__main__":
    hook.main(GatewayCharm)
