"""An OpenStack service as a charm: from what its `Spec` says to units that serve, whatever the order of events.

    SPEC = Spec(name="placement", ports=Ports(public=8778, backend=18778, proxied=28778), wsgi="placement.wsgi.api:application",
                templates=("placement.conf.j2",), needs=(DATABASE, IDENTITY, CACHE), schema=Schema(...), catalogue=(...))

    class PlacementCharm(ops.CharmBase):
        def __init__(self, framework: ops.Framework) -> None:
            super().__init__(framework)
            self.service = Service(self, SPEC)

What is special about a service, its charm adds by `Hooks`. A charm that has more than the service gives it a `Part` and calls it in its
own recipe. charmcraft.yaml declares the peer relation `cluster`, the endpoints `certificates`
and `gateway` and those of the needs, the binding `internal`, the options of `openinfra_charm.openstack.spec.Options` and `release`, and
the actions of `openinfra_charm.openstack.actions`. A service without an API (a `Spec` without `wsgi`) has no endpoint `gateway`, and no options
`region` and `workers`. See docs/openstack-service.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import ops

from openinfra_charm import machine as machines
from openinfra_charm.daemon import leftovers
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.interfaces.keystone import Endpoint
from openinfra_charm.model import actions, databag, hook, secrets, status
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from openinfra_charm.openstack import jobs
from openinfra_charm.openstack.actions import STANDARD
from openinfra_charm.openstack.entrance import Entrance, ways
from openinfra_charm.openstack.founding import Founding
from openinfra_charm.openstack.needs import Requirer
from openinfra_charm.openstack.spec import Options, State
from openinfra_charm.openstack.upgrade import Operations, Upgrade
from openinfra_charm.openstack.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from openinfra_charm.openstack.needs import Need
    from openinfra_charm.openstack.spec import Spec
    from openinfra_charm.openstack.workload import Whole

RESTART = "restart"
"""Why a unit has the lock; an upgrade has reasons of its own."""
HOOK_SECONDS = 45
"""How long a hook may wait, for an API that it has started; the next one goes on from there."""


def _nothing(*_: Any) -> None:
    pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """What a charm adds to its service, each called at its place in the reconcile, of which they may raise the errors.

    NotYetError: it waits, and says for what. NeedsOperatorError: it is blocked.
    """

    gather: Callable[[], Mapping[str, Any]] = dict[str, Any]
    """Returns more values for the templates."""
    render: Callable[[], None] = _nothing
    """Writes more files, before the configuration that may name them."""
    found: Callable[[], None] = _nothing
    """As the leader, makes what the first start needs; the schema is there. It can be repeated."""
    restored: Callable[[], None] = _nothing
    """As the leader, brings a database that was restored to what is on record; the service serves."""
    serve: Callable[[], None] = _nothing
    """Does what needs a service that serves."""
    health: Callable[[], str] = str
    """Returns why a request with credentials is not answered here; asked in upgrades, of an API that says it is healthy."""
    obsolete: Callable[[str], None] = _nothing
    """As the leader, ends what nobody reads any more; it is given the secret's label."""
    problems: Callable[[], Iterable[str]] = tuple[str, ...]
    """Yields what an operator has to put right, while the service serves."""
    notes: Callable[[], Iterable[str]] = tuple[str, ...]
    """Yields what an operator may want to know, as the leader of a service that serves."""
    leave: Callable[[], None] = _nothing
    """Sees that the unit may stop, before anything does; what it raises makes Juju try again."""
    additions: Callable[[], Mapping[str, str]] = dict[str, str]
    """Returns the paths of files that belong into release trees, by their names there, beside the modules of `Spec.completion`."""
    endpoints: tuple[str, ...] = ()
    """The charm's own, which it serves or uses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What a service shares with a charm that it is a part of.

    The charm observes the events of `Service.endpoints` and `secret_changed`, and calls `reconcile`, `stop`, `remove` and `statuses` in its
    recipe. It gives its `Actions` those of `Service.actions` that it declares, observes a certificate by itself, and installs and records
    what the service's workload has (`packages`, `footprint`).
    """

    cluster: Cluster
    whole: Whole


class Service(ops.Object):
    """Events, relations and status of one unit of an OpenStack service."""

    def __init__(
        self, charm: ops.CharmBase, spec: Spec, hooks: Hooks | None = None, part: Part | None = None
    ) -> None:
        super().__init__(charm, "service")
        self._part = part
        self._charm = charm
        self._spec = spec
        self._hooks = hooks or Hooks()
        self._title = spec.title or spec.name.capitalize()
        self.unit, self.app = charm.unit, charm.app
        self.machine = machines.this()
        self.missing: list[ops.StatusBase] = []
        """What this hook waits for."""
        self.cluster = part.cluster if part else Cluster(charm, "cluster")
        self.jobs = Jobs(self.machine, self.app.name, self.unit.name)
        self.workload = Workload(self.machine, self.app.name, spec, part.whole if part else None)
        further = {name: way for name, way in ways(spec).items() if way.endpoint in charm.meta.requires}
        self.entrance = Entrance(self.model, self.machine, self.cluster, spec.ports, further)
        self.upgrade = Upgrade(
            self.model, machine=self.machine, cluster=self.cluster, jobs=self.jobs,
            releases=self.workload.releases, locks=spec.source / "releases", first=str(charm.config["release"]),
            bindings=spec.bindings, additions=self._additions,
            operations=Operations(
                schema=jobs.SCHEMA if spec.schema else "", arguments=self.workload.upgrade_steps,
                restart=self.workload.restart, health=self._why_not_healthy, answer=self.workload.why_no_answer,
            ),
        )  # fmt: skip
        self._needs = [need for need in spec.needs if need.endpoint in charm.meta.requires]
        self._founding = Founding(
            model=self.model, cluster=self.cluster, spec=spec, workload=self.workload,
            found=self._hooks.found, restored=self._hooks.restored,
        )  # fmt: skip
        self._limit = self.machine.now() + HOOK_SECONDS
        self.endpoints = tuple(need.endpoint for need in self._needs)
        """Those of its needs."""
        self.actions = {name: partial(action, self) for name, action in STANDARD.items()}
        """What all services have, by the names of the actions."""
        if part is None:
            self._secrets = secrets.Owner(charm, self._hooks.obsolete)
            self._observe(charm.on)
            self._actions = actions.Actions(charm, self.actions)

    def _observe(self, on: ops.CharmEvents) -> None:
        declared = self._charm.meta.relations
        gateways = (f"gateway-{name}" for name in self.entrance.further)
        names = ("cluster", "certificates", "gateway", *gateways, *self.endpoints, *self._hooks.endpoints)
        names = tuple(name for name in names if name in declared)
        relations = dict.fromkeys(names, (*hook.PEERS, "broken"))
        for event in hook.changes(on, relations, on.secret_changed, on.secret_remove):
            self.framework.observe(event, self.reconcile)
        for event in (on.start, on.update_status):
            self.framework.observe(event, self._set_version)
        self.framework.observe(on.stop, self._on_stop)
        self.framework.observe(on.remove, self._on_remove)
        self.framework.observe(on.collect_unit_status, self._on_collect_unit_status)

    # The recipe

    def reconcile(self, _: ops.EventBase) -> None:
        """Bring this machine to what the model says, as far as that can be done; the status says what is missing."""
        try:
            self._reconcile()
        except status.NeedsOperatorError as error:
            self.missing.append(ops.BlockedStatus(str(error)))
        except status.NotYetError as error:
            self.missing.append(status.RetriedStatus(str(error)))

    def _reconcile(self) -> None:
        """Bring this machine to what the model says; with nothing new it changes nothing."""
        # A unit that cannot go on must not keep the lock from the others.
        self.cluster.grant_lock()
        _ = self.settings, self.options
        self._install()
        if not self.cluster.formed:
            return
        self._ask()
        has_tree = self.upgrade.prepare()
        state = self._gather()
        if state is None or not has_tree:
            return
        self._hooks.render()
        self.workload.render(state)
        if not self._is_founded():
            return
        if self.workload.api.paused:
            self.workload.stop()
            self.cluster.release_lock()
            return
        started = self.workload.apply() or self._restart_outdated()
        if self._part is None:
            self.workload.tls.acknowledge(self.entrance.certificates, self.unit)
        restored = self._is_restored()
        if restored:
            self._founding.prepare_restored()
        seconds = self._limit - self.machine.now() if started else 0
        why = "" if self.upgrade.switching else self.workload.problem(seconds)
        self.upgrade.advance()  # also where it does not serve: the way back is for that
        if why:
            self.missing.append(status.RetriedStatus(f"for {self._title}: {why}"))
            return
        if not self.workload.outdated():
            self._publish()
        if restored:
            self._founding.follow_restored()
        self._hooks.serve()

    def _install(self) -> None:
        """Have the unit's place on the machine, which a part has through its charm, with packages, user and folders."""
        if self._part is None:
            leftovers.occupy(self.machine, self.unit.name, self.workload.footprint)
        self.workload.install()

    def _ask(self) -> None:
        """Ask other applications for what the service needs of them."""
        if self._part is None:
            self.entrance.ask(self.workload.fronts, self.workload.tls)
        for need, relation in self._related():
            if relation and relation.active:
                need.ask_as_unit(relation, self._requirer)
                if self.unit.is_leader():
                    need.ask(relation, self._requirer)

    def _gather(self) -> State | None:
        """Return everything that decides what runs here; None while the model does not say enough yet."""
        certificates, place, tls = self.entrance.certificates, self._place, self.workload.tls
        if place is None:
            self.missing.append(ops.WaitingStatus("for Juju to give the binding internal an address"))
        found = {need.name: self._read(need, relation) for need, relation in self._related()}
        # What is the matter with the certificate of a part says its charm.
        if certificates is None and self._part is None:
            self.missing.append(ops.BlockedStatus(f"no TLS: juju integrate {self.app.name} certificates"))
        elif not tls.ready and self._part is None:
            self.missing.append(ops.WaitingStatus(tls.problem(certificates)))
        own = None
        try:
            own = self._hooks.gather()
        except status.NotYetError as error:
            self.missing.append(ops.WaitingStatus(str(error)))
        lacking = [need for need in self._needs if need.required and found[need.name] is None]
        if lacking or own is None or place is None or not tls.ready:
            return None
        return State(
            options=self.options,
            settings=self.settings,
            address=place,
            others=self.entrance.others,
            sources=self.entrance.sources,
            further={name: door.sources for name, door in self.entrance.further.items()},
            found=found,
            own=own,
        )

    @property
    def _place(self) -> str | None:
        """The unit's address; None while Juju does not say. A part has what its charm finds (`Hooks.gather`)."""
        if self._part:
            return ""
        return self.entrance.place.address if self.entrance.place else None

    def _read(self, need: Need, relation: ops.Relation | None) -> Any:
        """Return what a need has been given; None, with the reason in the status, where it is required and has not been."""
        if relation is None:
            if need.required:
                self.missing.append(ops.BlockedStatus(self._advice(need)))
            return None
        found, problems = databag.read_each(
            [relation] if relation.active else [], lambda one: need.read(one, self._requirer)
        )
        self.missing += map(ops.BlockedStatus, problems)
        if need.required and not (found or problems):
            self.missing.append(ops.WaitingStatus(f"for {relation.app.name} {need.awaits}"))
        return found.get(relation)

    def _related(self) -> Iterator[tuple[Need, ops.Relation | None]]:
        for need in self._needs:
            yield need, self.model.get_relation(need.endpoint)

    @cached_property
    def _requirer(self) -> Requirer:
        """Who asks; where this unit is has been published before."""
        url, internal = self.entrance.url, self.entrance.internal_url
        endpoints = [
            Endpoint(
                service_name=one.name, type=one.type, description=one.description, public_url=url + one.path,
                internal_url=internal + one.path, admin_url=internal + one.path,
            )
            for one in self._spec.catalogue
        ]  # fmt: skip
        return Requirer(
            model=self.model, application=self.app, region=self.options.region, endpoints=tuple(endpoints),
            roles=self._spec.roles, enough=self._spec.enough, options=self._charm.config,
        )  # fmt: skip

    def _is_founded(self) -> bool:
        """Return whether the databases have all that the service needs, which the leader sees to."""
        if self._spec.schema is None or self._founding.is_done:
            return True
        if not self.unit.is_leader():
            self.missing.append(ops.WaitingStatus(f"for the leader to set {self._title} up"))
            return False
        self._founding.found()
        return True

    def _is_restored(self) -> bool:
        """Return whether the leader has to follow a restore now; say what it waits for."""
        if not self.unit.is_leader() or not self._founding.is_restored():
            return False
        plan = self.upgrade.plan
        if plan and plan.phase:
            words = "to follow the restore of the database: finish-upgrade or rollback-release first"
            self.missing.append(ops.WaitingStatus(words))
            return False
        return True

    def _restart_outdated(self) -> bool:
        """Restart what runs with something older, one unit of the application at a time; return whether it was."""
        if self.upgrade.switching or not self.workload.outdated():
            return False
        if not self.cluster.acquire_lock(RESTART):
            self.missing.append(self.cluster.waits_for_lock("restart"))
            return False
        self.workload.restart()
        return True

    def _publish(self) -> None:
        """Publish that what runs is the newest: for the gateway, the units that wait, and who has given new credentials."""
        self.entrance.offer()
        if self.cluster.lock_reason == RESTART:
            self.cluster.release_lock()
        for need, relation in self._related():
            if relation and relation.active:
                need.use(relation, self._requirer)

    # The other events

    def _set_version(self, _: ops.EventBase) -> None:
        self.unit.set_workload_version(self.workload.version())

    def _on_stop(self, _: ops.StopEvent) -> None:
        self.missing.append(status.LEAVING)
        if leftovers.has_place(self.machine, self.unit.name):
            self.stop()

    def stop(self) -> None:
        """Stop all processes, as the unit leaves."""
        self._hooks.leave()
        self.workload.stop()

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self.missing.append(status.LEAVING)
        if leftovers.has_place(self.machine, self.unit.name):
            self.remove()

    def remove(self) -> None:
        """Take all that is the service's off the machine."""
        self.jobs.stop()
        self.workload.remove()

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        Retry(self.machine, self.unit.name).add_all(event, self.statuses())

    def statuses(self) -> list[ops.StatusBase]:
        """Return every reason for the unit's status; none where all is well."""
        if not self.missing and not self.cluster.formed:
            self.missing.append(ops.WaitingStatus("for the peer relation, which Juju makes"))
        return [*self.missing, *self.upgrade.statuses()] or [*self._statuses()]

    def _statuses(self) -> Iterator[ops.StatusBase]:
        """Yield every reason that the status has when nothing is missing, from the machine and the model as they are now."""
        try:
            _ = self.settings, self.options
        except status.ConfigError as error:
            yield ops.BlockedStatus(str(error))
            return
        if self.workload.api.paused:
            yield status.paused(self.unit.name)
            return
        if why := self.workload.problem():
            yield status.RetriedStatus(f"for {self._title}: {why}")
            return
        yield from map(ops.BlockedStatus, self._hooks.problems())
        if self.unit.is_leader() and (notes := [*self._hooks.notes(), *self._notes()]):
            yield ops.ActiveStatus("; ".join(notes))

    def _notes(self) -> Iterator[str]:
        """Yield what an operator of a service that serves may want to know; the leader says it."""
        if self._spec.ports and not self.entrance.served and len(self.cluster.units) > 1:
            own = f"{self.app.name}:gateway" if self.entrance.further else self.app.name
            yield f"clients reach only {self.entrance.url}: juju integrate {own} gateway"
        for name, door in self.entrance.further.items():
            if not door.served and len(self.cluster.units) > 1:
                yield f"clients of {name} reach only {door.url}: juju integrate {self.app.name}:gateway-{name} gateway"
        for need, relation in self._related():
            if relation is None and not need.required:
                yield self._advice(need)

    def _advice(self, need: Need) -> str:
        return f"{need.lacks}: juju integrate {self.app.name} {need.provider}"

    # What the model says

    @cached_property
    def settings(self) -> Any:
        """The charm's own options, checked.

        Raises:
            ConfigError: One of them cannot be used.
        """
        return self._spec.settings(self._charm.config)

    @cached_property
    def options(self) -> Options:
        """The options that every API has, checked.

        Raises:
            ConfigError: One of them cannot be used.
        """
        return Options.parse(self._charm.config)

    def _additions(self) -> Mapping[str, str]:
        modules = {name: str(self._spec.source / "files" / name) for name in self._spec.completion}
        return {**modules, **self._hooks.additions()} if modules else {}

    def _why_not_healthy(self) -> str:
        return self.workload.problem() or self._hooks.health()
