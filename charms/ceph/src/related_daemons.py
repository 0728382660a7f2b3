"""The endpoints `radosgw` and `mds`: daemons of other applications, their keys, and what these work with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ops
import ops.hookcmds

import broker
import cephx
import filesystems
import versions
from key_upgrade import SERVICES
from openinfra_charm.ceph.daemon import number
from openinfra_charm.interfaces import ceph_client, ceph_daemons, ceph_mds, ceph_radosgw
from openinfra_charm.model import databag
from openinfra_charm.model.granted import wants_plain
from openinfra_charm.model.secrets import Own

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ceph import Ceph
    from members import Member
    from openinfra_charm.interfaces.ceph_daemons import Daemon, Format
    from openinfra_charm.model.cluster import Cluster
    from state import Settings

_RECORDED = "daemons-"
"""How the peers' shared facts of handed out keys begin: `daemons-<relation>`, the Ceph user by unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of daemon: its wire format, what it may be called, its Ceph user and what that may do."""

    form: Format
    names: re.Pattern[str]
    user: str
    caps: tuple[str, ...]


KINDS = {
    "radosgw": Kind(
        form=ceph_radosgw.FORMAT,
        names=re.compile(r"rgw\.[A-Za-z0-9][A-Za-z0-9.-]*"),
        user="client",
        caps=("mon", "allow rw", "osd", "allow rwx tag rgw *=*", "mgr", "allow rw"),
    ),
    "mds": Kind(
        form=ceph_mds.FORMAT,
        names=re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*"),
        user="mds",
        # The manager's module `volumes` makes what clients use of a file system, and their keys.
        caps=(
            "mon", "profile mds", "osd", "allow rw tag cephfs *=*", "mds", "allow",
            "mgr", "profile mds, allow module volumes rw",
        ),
    ),
}  # fmt: skip
"""By endpoint."""


class RelatedDaemons:
    """The daemons of related applications, as one unit of the cluster serves them.

    Each unit publishes where its monitor is. The leader makes the daemons' pools and keys, and takes the keys of those back that
    are gone.
    """

    def __init__(self, model: ops.Model, *, ceph: Ceph, cluster: Cluster) -> None:
        """Take the model, Ceph on this machine, and the peers' shared facts, in which the keys handed out are on record."""
        self._model = model
        self._unit = model.unit
        self._application = model.app
        self._ceph = ceph
        self._admin = ceph.admin
        self._cluster = cluster

    def publish(self, me: Member, version: str) -> None:
        """Publish to daemons where the cluster is.

        Args:
            me: This unit.
            version: What all monitors, managers and OSDs run at least.
        """
        fsid = self._cluster.shared["fsid"]
        address = me.public_address if me.monitor else None
        for relation in self._relations():
            ceph_daemons.publish_cluster(relation, self._unit, fsid=fsid, address=address, version=version)

    def answer(self, settings: Settings) -> None:
        """As the leader, give daemons what they ask for, and take the keys back of those that are gone.

        They wait until there are as many OSDs as a new pool needs to serve: none of them can start without its pools.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if not self._unit.is_leader():
            return
        self._take_back()
        found, _ = self._read(allows_plain=settings.allow_plain_credentials)
        for relation, daemons in found.items():
            for daemon in daemons:
                # What was refused is tried again: only the operator can put it right, and the daemon asks no second time.
                if (
                    daemon.request
                    and not ceph_client.is_done(relation, self._unit, daemon.request)
                    and len(self._admin.command("osd ls")) >= settings.pool_min_size
                ):
                    self._answer(relation, daemon, daemon.request)

    def problems(self, *, allows_plain: bool) -> list[str]:
        """Return why daemons do not get what they ask for."""
        return self._read(allows_plain=allows_plain)[1]

    def waiting(self, *, allows_plain: bool) -> list[str]:
        """Return the applications whose daemons have asked for something that was neither carried out nor refused."""
        found, _ = self._read(allows_plain=allows_plain)
        return [
            relation.app.name
            for relation, daemons in found.items()
            if any(
                one.request and not ceph_client.is_answered(relation, self._unit, one.request)
                for one in daemons
            )
        ]

    def _read(self, *, allows_plain: bool) -> tuple[dict[ops.Relation, list[Daemon]], list[str]]:
        """Return the daemons of the relations that can be served as they ask, and why others cannot."""

        def read(relation: ops.Relation) -> list[Daemon]:
            daemons = ceph_daemons.read_daemons(relation, KINDS[relation.name].form)
            if not (allows_plain or all(daemon.takes_secret for daemon in daemons)):
                raise databag.RelationError(wants_plain(relation.app.name, "key"))
            return daemons

        return databag.read_each(self._relations(), read)

    def users(self) -> list[str]:
        """Return the Ceph users of the daemons that have keys from here."""
        return sorted(entity for _, _, entity in self._recorded())

    def rotate(self, entity: str, key_type: str) -> None:
        """Hand out a new key to a daemon; Ceph takes the old one until the daemon has started with the new one.

        Raises:
            CommandRefusedError: The cluster makes no such key.
            UnreachableError: The monitors do not answer.
        """
        for relation in self._relations():
            for daemon in ceph_daemons.read_daemons(relation, KINDS[relation.name].form):
                if (relation.id, daemon.unit, entity) in self._recorded():
                    key = cephx.pending_key(self._admin, entity, key_type)
                    self._publish(relation, daemon, key)

    def replace_old_keys(self, checks: Mapping[str, Any]) -> None:
        """As the leader, give metadata servers keys of the newer type as soon as they run a version that reads them.

        The cluster has an error as long as one has not (`key_upgrade`); gateways are clients to it, and theirs are the operator's choice.

        Args:
            checks: The cluster's health checks.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if not self._unit.is_leader():
            return
        servers = [entity for entity in self.users() if entity.startswith("mds.")]
        if not servers or SERVICES not in checks:
            return
        found = self._admin.command("mds metadata")
        running = {
            f"mds.{entry['name']}": versions.version_in(entry.get("ceph_version", "")) for entry in found
        }
        for entity in servers:
            if number(running.get(entity, "")) < number(self._ceph.version()):
                continue
            if cephx.is_old(self._admin.command("auth get", entity=entity)[0]["key"]):
                self.rotate(entity, cephx.AES256K)

    def _relations(self) -> Iterator[ops.Relation]:
        return (relation for endpoint in KINDS for relation in self._model.relations[endpoint])

    def _answer(self, relation: ops.Relation, daemon: Daemon, request: ceph_client.Request) -> None:
        """Carry out what a daemon's unit asks for, and hand its key out."""
        kind = KINDS[relation.name]
        why = self._objection(kind, relation, daemon) or broker.carry_out(
            request,
            {
                "create-pool": self._create_pool,
                "create-cephfs": lambda operation: broker.create_filesystem(self._admin, operation),
            },
        )
        if not why:
            entity = _entity(kind, daemon.name)
            self._record(relation.id, daemon.unit, entity)
            key = broker.make_user(self._admin, entity, list(kind.caps))
            self._publish(relation, daemon, key)
        ceph_client.answer(relation, self._unit, request, why)

    def _create_pool(self, operation: Mapping[str, Any]) -> None:
        broker.create_pool(self._admin, operation)

    def _objection(self, kind: Kind, relation: ops.Relation, daemon: Daemon) -> str | None:
        """Return why a daemon cannot have the Ceph user that it names: that is none of its kind, or another unit's."""
        if not kind.names.fullmatch(daemon.name):
            return f"{kind.form.name}={daemon.name}: expected {kind.names.pattern}"
        entity = _entity(kind, daemon.name)
        holders = {(number, unit) for number, unit, user in self._recorded() if user == entity}
        if holders - {(relation.id, daemon.unit)}:
            return f"{kind.form.name}={daemon.name}: another unit's daemon"
        return None

    def _publish(self, relation: ops.Relation, daemon: Daemon, key: str) -> None:
        if not daemon.takes_secret:
            ceph_daemons.publish_key(relation, self._unit, KINDS[relation.name].form, daemon, key)
            return
        unit = self._model.get_unit(daemon.unit)
        secret = Own(self._model, self._application, _label(relation.id, daemon.unit), relation, unit)
        ceph_daemons.publish_secret(relation, self._application, daemon.unit, secret.put({"key": key}))

    def _take_back(self) -> None:
        """Take away the keys of daemons whose units or relations are gone."""
        served = self._serve_files()
        relations = {relation.id: relation for relation in self._relations()}
        for relation_id, unit, entity in self._recorded():
            relation = relations.get(relation_id)
            if relation and not _is_gone(relation, unit):
                continue
            self._admin.command("auth rm", entity=entity)
            if relation:
                ceph_daemons.publish_secret(relation, self._application, unit, "")
            Own(self._model, self._application, _label(relation_id, unit)).remove()
            self._record(relation_id, unit, None)
        if served and not self._serve_files():
            filesystems.take_down(self._admin)

    def _serve_files(self) -> bool:
        return any(entity.startswith("mds.") for _, _, entity in self._recorded())

    def _recorded(self) -> list[tuple[int, str, str]]:
        """Return the handed out keys: the relation's number, the unit and its daemon's Ceph user."""
        return [
            (int(key.removeprefix(_RECORDED)), unit, entity)
            for key, users in self._cluster.shared.items()
            if key.startswith(_RECORDED)
            for unit, entity in users.items()
        ]

    def _record(self, relation_id: int, unit: str, user: str | None) -> None:
        """Record which Ceph user a unit's daemon has; None takes it back."""
        key = f"{_RECORDED}{relation_id}"
        known = {**self._cluster.shared.get(key, {}), unit: user}
        self._cluster.publish_shared(**{key: {unit: user for unit, user in known.items() if user} or None})


def _is_gone(relation: ops.Relation, unit: str) -> bool:
    """Return whether a unit has left; one that this unit has not met yet may just be unknown: the model's goal decides."""
    if unit in {known.name for known in relation.units}:
        return False
    return unit not in ops.hookcmds.goal_state().relations.get(relation.name, {})


def _label(relation_id: int, unit: str) -> str:
    return f"daemon-{relation_id}-{unit}"


def _entity(kind: Kind, name: str) -> str:
    return f"{kind.user}.{name}"
