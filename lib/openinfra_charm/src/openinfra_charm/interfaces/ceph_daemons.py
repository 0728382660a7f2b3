"""What the interfaces `ceph-radosgw` and `ceph-mds` have in common: a key for each of an application's daemons.

The wire formats are those of Charmed Ceph (charms `ceph-mon`, `ceph-radosgw` and `ceph-fs`). Each unit of the requirer
writes its daemon's name and a broker request as in `ceph-client`. Each unit of the provider publishes `fsid` and its monitor's
address, and answers as in `ceph-client`; in plain text it would write each daemon's key.

A requirer that knows secrets says `requested-secrets=["key"]` in its application data. The provider then writes into its
own, for the daemon of unit `ceph-rgw/0`, `secret-key-ceph-rgw-0`: the id of a secret with the one field `key`, which is
granted to that unit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.ceph.daemon import number
from openinfra_charm.interfaces import ceph_client
from openinfra_charm.model import databag, secrets
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ops

_VERSION = "ceph-version"


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How one of the interfaces calls things: the key of a daemon's name, and what follows that name in its key's."""

    name: str
    key_suffix: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Daemon:
    """A daemon on the other side, as the provider sees it; `request` is None until its unit has asked for something."""

    unit: str
    name: str
    takes_secret: bool
    request: ceph_client.Request | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a daemon needs to join the cluster."""

    fsid: str
    key: str
    monitors: tuple[str, ...]
    version: str = ""
    """The version that all monitors, managers and OSDs of the cluster run at least; empty where the provider does not tell."""

    @property
    def mon_host(self) -> str:
        """The monitors as the option of that name wants them; Ceph knows their ports itself."""
        return ",".join(sorted(map(bracketed, self.monitors)))


# The provider


def read_daemons(relation: ops.Relation, form: Format) -> list[Daemon]:
    """Return the daemons that have a name, by their units' names."""
    wanted = relation.data[relation.app].get("requested-secrets", "[]") if relation.app else "[]"
    takes_secret = "key" in databag.load(wanted, list)
    return [
        Daemon(
            unit=unit.name,
            name=name,
            takes_secret=takes_secret,
            request=ceph_client.parse_request(unit.name, relation.data[unit].get("broker_req", "")),
        )
        for unit in sorted(relation.units, key=lambda unit: unit.name)
        if (name := relation.data[unit].get(form.name, ""))
    ]


def publish_cluster(
    relation: ops.Relation, unit: ops.Unit, *, fsid: str, address: str | None, version: str = ""
) -> None:
    """Tell daemons which cluster this is and the address of this unit's monitor, if it has one.

    `version` is what all monitors, managers and OSDs run at least: other daemons run no later one before.
    """
    databag.put(relation.data[unit], "fsid", fsid)
    databag.put(relation.data[unit], _VERSION, version)
    ceph_client.publish_monitor(relation, unit, address)


def publish_key(relation: ops.Relation, unit: ops.Unit, form: Format, daemon: Daemon, key: str) -> None:
    """Hand a key out in plain text, as requirers without secrets demand."""
    databag.put(relation.data[unit], f"{daemon.name}{form.key_suffix}", key)


def publish_secret(relation: ops.Relation, application: ops.Application, unit: str, secret_id: str) -> None:
    """Hand out the id of the secret with the key of a unit's daemon; an empty one takes it back. Only the leader may."""
    databag.put(relation.data[application], _secret(unit), secret_id)


# The requirer


def obtain(
    model: ops.Model,
    relation: ops.Relation,
    form: Format,
    daemon: str,
    *,
    request_id: str,
    operations: Iterable[Mapping[str, Any]],
) -> Access | None:
    """As a unit, ask for what its daemon works with; return what it needs, once that is answered; None until then.

    Raises:
        RelationError: The provider has refused the request, or said something that cannot be used.
    """
    if model.unit.is_leader():
        ceph_client.announce_secrets(relation, model.app)
    request(relation, model.unit, form, daemon, request_id=request_id, operations=operations)
    return read_access(model, relation, form, daemon, unit=model.unit, request_id=request_id)


def request(
    relation: ops.Relation,
    unit: ops.Unit,
    form: Format,
    daemon: str,
    *,
    request_id: str,
    operations: Iterable[Mapping[str, Any]],
) -> None:
    """As a unit, name its daemon, and ask for what it works with."""
    databag.put(relation.data[unit], form.name, daemon)
    body = {"api-version": ceph_client.API_VERSION, "request-id": request_id, "ops": list(operations)}
    databag.put(relation.data[unit], "broker_req", json.dumps(body, sort_keys=True))


def read_access(
    model: ops.Model, relation: ops.Relation, form: Format, daemon: str, *, unit: ops.Unit, request_id: str
) -> Access | None:
    """As a unit, return what its daemon needs, once `request_id` is answered; None until then.

    Raises:
        RelationError: The provider has refused the request, or said something that cannot be used.
    """
    content = secrets.find(model, relation.data[relation.app].get(_secret(unit.name)))
    key, fsid = content["key"] if content else "", ""
    monitors: list[str] = []
    versions = [""]
    for provider in sorted(relation.units, key=lambda unit: unit.name):
        data = relation.data[provider]
        key = key or data.get(f"{daemon}{form.key_suffix}", "")
        fsid = fsid or data.get("fsid", "")
        versions.append(data.get(_VERSION, ""))
        if address := data.get("ceph-public-address"):
            monitors.append(address)
    answered = ceph_client.read_answer(relation, unit, request_id)
    if not (answered and key and fsid and monitors):
        return None
    databag.check(relation, databag.NAME, {"fsid": fsid})
    ceph_client.check_access(relation, key, monitors)
    # Versions never go back: a unit that is away has seen an earlier one.
    return Access(fsid=fsid, key=key, monitors=tuple(monitors), version=max(versions, key=number))


def _secret(unit: str) -> str:
    return f"secret-key-{unit.replace('/', '-')}"
