"""The `client` endpoint: pools and keys for other applications (the broker of Charmed Ceph's clients)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import broker
import cephx
from openinfra_charm.interfaces import ceph_client
from openinfra_charm.model.secrets import Own

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ops

    from charm import CephCharm
    from state import Settings

PERMISSIONS = ("set-key-permissions", "add-permissions-to-key")
RESERVED = {"admin", "crash"}
CAPS = ["mon", 'profile rbd, allow command "osd blocklist"', "osd", "profile rbd", "mgr", "profile rbd"]


def serve(charm: CephCharm, settings: Settings) -> None:
    """Answer what related clients ask for. The leader makes pools and keys; each unit names its monitor."""
    me = charm.members[charm.unit.name]
    for relation in charm.model.relations["client"]:
        ceph_client.publish_monitor(relation, charm.unit, me.public_address if me.monitor else None)
        client = ceph_client.read_client(relation)
        waiting = [r for r in client.requests if not ceph_client.is_answered(relation, charm.unit, r)]
        if not charm.unit.is_leader() or not waiting:
            continue
        if not client.takes_secret and not settings.allow_plain_credentials:
            continue
        why = _objection(charm, relation, client.name)
        failures = {r.unit: why or _carry_out(charm, client.name, r) for r in waiting}
        if not why:
            charm.cluster.publish_shared(**{_user_key(relation): client.name})
            _hand_out(charm, relation, client)
        for request in waiting:
            ceph_client.answer(relation, charm.unit, request, failures[request.unit])


def withdraw(charm: CephCharm, relation: ops.Relation) -> None:
    """Take away the key of a client that is gone; its pools and data stay."""
    name = charm.cluster.shared.get(_user_key(relation))
    if charm.unit.is_leader() and name:
        charm.ceph.admin.command("auth rm", entity=f"client.{name}")
        _secret(charm, relation).remove()
        charm.cluster.publish_shared(**{_user_key(relation): None})


def refused(charm: CephCharm) -> list[str]:
    """Return the applications that want their key in plain relation data while that is not allowed."""
    if charm.config["allow-plain-credentials"]:
        return []
    relations = charm.model.relations["client"]
    return [
        r.app.name for r in relations if (c := ceph_client.read_client(r)).requests and not c.takes_secret
    ]


def rotate(charm: CephCharm, relation: ops.Relation, key_type: str) -> None:
    """Hand out a new key to a client; Ceph takes the old one until the client has used the new one."""
    client = ceph_client.read_client(relation)
    key = cephx.pending_key(charm.ceph.admin, f"client.{client.name}", key_type)
    _publish(charm, relation, client, key)


def _user_key(relation: ops.Relation) -> str:
    """Return under which of the peers' shared facts a client's user is kept: it is asked for when the client is gone."""
    return f"client-{relation.id}"


def _objection(charm: CephCharm, relation: ops.Relation, name: str) -> str | None:
    """Return why a client cannot have the Ceph user it names: it is Ceph's own, or another client's."""
    if name in RESERVED or name.startswith(("bootstrap-", "rgw.")):
        return f"application-name={name}: Ceph's own user; name another"
    shared = charm.cluster.shared
    users = {
        key: value
        for key, value in shared.items()
        if key.startswith("client-") and key != _user_key(relation)
    }
    return f"application-name={name}: another client's user; name another" if name in users.values() else None


def _carry_out(charm: CephCharm, name: str, request: ceph_client.Request) -> str | None:
    """Carry a request out; return why it could not be, if so."""

    def set_permissions(operation: Mapping[str, Any]) -> None:
        if (other := operation.get("client", name)) != name:
            raise broker.RefusedError(f"client={other}: this relation can only change {name}")
        wanted = [str(word) for word in operation["permissions"]]
        charm.ceph.admin.command("auth caps", entity=f"client.{name}", caps=wanted)

    def create_pool(operation: Mapping[str, Any]) -> None:
        broker.create_pool(charm.ceph.admin, operation)

    # The rights of a block device client, until it asks for others.
    broker.make_user(charm.ceph.admin, f"client.{name}", CAPS)
    return broker.carry_out(
        request, {"create-pool": create_pool, **dict.fromkeys(PERMISSIONS, set_permissions)}
    )


def _hand_out(charm: CephCharm, relation: ops.Relation, client: ceph_client.Client) -> None:
    answer = charm.ceph.admin.command("auth get", entity=f"client.{client.name}")
    _publish(charm, relation, client, answer[0]["key"])


def _publish(charm: CephCharm, relation: ops.Relation, client: ceph_client.Client, key: str) -> None:
    if not client.takes_secret:
        ceph_client.publish_key(relation, charm.unit, key)
        return
    ceph_client.publish_secret(relation, charm.app, _secret(charm, relation).put({"key": key}))


def _secret(charm: CephCharm, relation: ops.Relation) -> Own:
    return Own(charm.model, charm.app, f"client-{relation.id}", relation)
