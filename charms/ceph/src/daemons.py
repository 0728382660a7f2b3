"""The endpoints `radosgw` and `mds`: keys for daemons of other applications, and what these work with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ops
import ops.hookcmds

import broker
import cephx
import drain
import filesystems
import keys
from openinfra_charm.ceph.daemon import number
from openinfra_charm.interfaces import ceph_client, ceph_daemons, ceph_mds, ceph_radosgw
from openinfra_charm.model.secrets import Own
from upgrade import version_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from charm import CephCharm
    from openinfra_charm.interfaces.ceph_daemons import Daemon, Format
    from state import Settings

_RECORDED = "daemons-"
"""How the peers' shared facts of handed out keys begin: `daemons-<relation>`, the Ceph user by unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of daemon: its endpoint and wire format, what it may be called, its Ceph user and what that may do."""

    endpoint: str
    form: Format
    names: re.Pattern[str]
    user: str
    caps: tuple[str, ...]


KINDS = (
    Kind(
        endpoint="radosgw",
        form=ceph_radosgw.FORMAT,
        names=re.compile(r"rgw\.[A-Za-z0-9][A-Za-z0-9.-]*"),
        user="client",
        caps=("mon", "allow rw", "osd", "allow rwx tag rgw *=*", "mgr", "allow rw"),
    ),
    Kind(
        endpoint="mds",
        form=ceph_mds.FORMAT,
        names=re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*"),
        user="mds",
        # The manager's module `volumes` makes what clients use of a file system, and their keys.
        caps=(
            "mon", "profile mds", "osd", "allow rw tag cephfs *=*", "mds", "allow",
            "mgr", "profile mds, allow module volumes rw",
        ),
    ),
)  # fmt: skip


def serve(charm: CephCharm, settings: Settings) -> None:
    """Tell daemons where the cluster is; as the leader give them their keys, and take back those of units that are gone.

    They wait until there are as many OSDs as a new pool needs to serve: none of them can start without its pools.
    """
    me = charm.members[charm.unit.name]
    fsid = charm.cluster.shared["fsid"]
    uuids = sorted(osd.uuid for osd in charm.ceph.osds.all())
    if uuids != list(me.osds):
        drain.claim(charm.ceph.admin, charm.unit.name, uuids)
        # It wakes the leader, who may have waited for it.
        charm.cluster.publish(osds=uuids)
    if charm.unit.is_leader():
        _take_back(charm)
        _replace_old_keys(charm)
    for kind, relation in _relations(charm):
        address = me.public_address if me.monitor else None
        version = charm.upgrade.cluster_version()
        ceph_daemons.publish_cluster(relation, charm.unit, fsid=fsid, address=address, version=version)
        for daemon, request in _waiting(charm, kind, relation) if charm.unit.is_leader() else ():
            if not daemon.takes_secret and not settings.allow_plain_credentials:
                continue
            if len(charm.ceph.admin.command("osd ls")) >= settings.pool_min_size:
                _answer(charm, kind, relation, daemon, request)


def refused(charm: CephCharm) -> list[str]:
    """Return the applications that want keys in plain relation data while that is not allowed."""
    if charm.config["allow-plain-credentials"]:
        return []
    return [
        relation.app.name
        for kind, relation in _relations(charm)
        if any(not daemon.takes_secret for daemon in ceph_daemons.read_daemons(relation, kind.form))
    ]


def _relations(charm: CephCharm) -> Iterator[tuple[Kind, ops.Relation]]:
    return ((kind, relation) for kind in KINDS for relation in charm.model.relations[kind.endpoint])


def _waiting(
    charm: CephCharm, kind: Kind, relation: ops.Relation
) -> list[tuple[Daemon, ceph_client.Request]]:
    """Return the daemons that have asked for something that this unit has not carried out, and what it is.

    What was refused is tried again: nobody but the operator can put it right, and the daemon asks no second time.
    """
    return [
        (daemon, daemon.request)
        for daemon in ceph_daemons.read_daemons(relation, kind.form)
        if daemon.request and not ceph_client.is_done(relation, charm.unit, daemon.request)
    ]


def _answer(
    charm: CephCharm, kind: Kind, relation: ops.Relation, daemon: Daemon, request: ceph_client.Request
) -> None:
    """Carry out what a daemon's unit asks for, and hand its key out."""
    admin = charm.ceph.admin
    why = _objection(charm, kind, relation, daemon) or broker.carry_out(
        request,
        {
            "create-pool": lambda operation: broker.create_pool(admin, operation),
            "create-cephfs": lambda operation: broker.create_filesystem(admin, operation),
        },
    )
    if not why:
        entity = _entity(kind, daemon.name)
        _record(charm, relation.id, daemon.unit, entity)
        key = broker.make_user(admin, entity, list(kind.caps))
        _publish(charm, kind, relation, daemon, key)
    ceph_client.answer(relation, charm.unit, request, why)


def _objection(charm: CephCharm, kind: Kind, relation: ops.Relation, daemon: Daemon) -> str | None:
    """Return why a daemon cannot have the Ceph user that it names: that is none of its kind, or another unit's."""
    if not kind.names.fullmatch(daemon.name):
        return f"{kind.form.name}={daemon.name}: expected {kind.names.pattern}"
    entity = _entity(kind, daemon.name)
    holders = {(number, unit) for number, unit, user in _recorded(charm) if user == entity}
    if holders - {(relation.id, daemon.unit)}:
        return f"{kind.form.name}={daemon.name}: another unit's daemon"
    return None


def known(charm: CephCharm) -> list[str]:
    """Return the Ceph users of the daemons that have keys from here."""
    return sorted(entity for _, _, entity in _recorded(charm))


def rotate(charm: CephCharm, entity: str, key_type: str) -> None:
    """Hand out a new key to a daemon; Ceph takes the old one until the daemon has started with the new one."""
    for kind, relation in _relations(charm):
        for daemon in ceph_daemons.read_daemons(relation, kind.form):
            if (relation.id, daemon.unit, entity) in _recorded(charm):
                key = cephx.pending_key(charm.ceph.admin, entity, key_type)
                _publish(charm, kind, relation, daemon, key)


def _replace_old_keys(charm: CephCharm) -> None:
    """Give metadata servers keys of the newer type as soon as they run a version that reads them.

    The cluster has an error as long as one has not (`keys`); gateways are clients to it, and theirs are the operator's choice.
    """
    servers = [entity for entity in known(charm) if entity.startswith("mds.")]
    if not servers or keys.SERVICES not in charm.ceph.admin.command("status")["health"]["checks"]:
        return
    found = charm.ceph.admin.command("mds metadata")
    running = {f"mds.{entry['name']}": version_in(entry.get("ceph_version", "")) for entry in found}
    for entity in servers:
        if number(running.get(entity, "")) < number(charm.ceph.version()):
            continue
        if cephx.is_old(charm.ceph.admin.command("auth get", entity=entity)[0]["key"]):
            rotate(charm, entity, cephx.AES256K)


def _publish(charm: CephCharm, kind: Kind, relation: ops.Relation, daemon: Daemon, key: str) -> None:
    if not daemon.takes_secret:
        ceph_daemons.publish_key(relation, charm.unit, kind.form, daemon, key)
        return
    unit = charm.model.get_unit(daemon.unit)
    secret = Own(charm.model, charm.app, _label(relation.id, daemon.unit), relation, unit)
    ceph_daemons.publish_secret(relation, charm.app, daemon.unit, secret.put({"key": key}))


def _take_back(charm: CephCharm) -> None:
    """Take away the keys of daemons whose units or relations are gone."""
    served = _serve_files(charm)
    relations = {relation.id: (kind, relation) for kind, relation in _relations(charm)}
    for relation_id, unit, entity in _recorded(charm):
        kind, relation = relations.get(relation_id, (None, None))
        if kind and relation and not _is_gone(relation, kind, unit):
            continue
        charm.ceph.admin.command("auth rm", entity=entity)
        if relation:
            ceph_daemons.publish_secret(relation, charm.app, unit, "")
        Own(charm.model, charm.app, _label(relation_id, unit)).remove()
        _record(charm, relation_id, unit, None)
    if served and not _serve_files(charm):
        filesystems.rest(charm.ceph.admin)


def _serve_files(charm: CephCharm) -> bool:
    return any(entity.startswith("mds.") for _, _, entity in _recorded(charm))


def _is_gone(relation: ops.Relation, kind: Kind, unit: str) -> bool:
    """Return whether a unit has left; one that this unit has not met yet may just be unknown: the model's goal decides."""
    if unit in {known.name for known in relation.units}:
        return False
    return unit not in ops.hookcmds.goal_state().relations.get(kind.endpoint, {})


def _recorded(charm: CephCharm) -> list[tuple[int, str, str]]:
    """Return the handed out keys: the relation's number, the unit and its daemon's Ceph user."""
    return [
        (int(key.removeprefix(_RECORDED)), unit, entity)
        for key, users in charm.cluster.shared.items()
        if key.startswith(_RECORDED)
        for unit, entity in users.items()
    ]


def _record(charm: CephCharm, relation_id: int, unit: str, user: str | None) -> None:
    """Record which Ceph user a unit's daemon has; None takes it back."""
    key = f"{_RECORDED}{relation_id}"
    known = {**charm.cluster.shared.get(key, {}), unit: user}
    charm.cluster.publish_shared(**{key: {unit: user for unit, user in known.items() if user} or None})


def _label(relation_id: int, unit: str) -> str:
    return f"daemon-{relation_id}-{unit}"


def _entity(kind: Kind, name: str) -> str:
    return f"{kind.user}.{name}"
