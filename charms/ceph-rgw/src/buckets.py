"""Buckets for other applications (interface `s3`): each has a user, a bucket that only this user may use, and for each relation a key.

A relation that ends takes its key with it; the bucket and what is in it stay, and are there for the next relation with an application
of that name. Both go with `delete-user name=juju-<application> purge=true`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import ops

from admin import RefusedError
from openinfra_charm.interfaces import s3
from openinfra_charm.model import databag
from openinfra_charm.model.granted import Grants, Records, wants_plain
from openinfra_charm.model.status import RetriedStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ceph_rgw import Rgw
    from openinfra_charm.model.cluster import Cluster

ENDPOINT = "s3"


class Buckets:
    """The buckets of related applications.

    Its record of each, in the peer relation: `user`, which is the bucket's name too, and the name of the `key`. The units' fact `named` are the
    hosts that their certificates are for.

    Args:
        model: The model.
        cluster: The peer relation.
        rgw: The gateway of this machine.
        allows_plain: Whether clients without secrets get their keys in plain relation data.
    """

    def __init__(self, model: ops.Model, cluster: Cluster, rgw: Rgw, *, allows_plain: bool) -> None:
        self._model = model
        self._cluster = cluster
        self._rgw = rgw
        self._allows_plain = allows_plain
        self._records = Records(cluster, ENDPOINT)
        self._grants = Grants(model, (ENDPOINT,), records=self._records, label=ENDPOINT)

    def certified(self, hosts: Iterable[str]) -> None:
        """Publish the hosts that this unit's certificate is for."""
        self._cluster.publish(named=sorted(set(hosts)))

    def serve(self, url: str, region: str, ca: str, *, balanced: bool) -> Iterator[ops.StatusBase]:
        """As the leader, give each application its bucket, and yield what is in the way.

        Args:
            url: Where services reach the gateways; empty while that is not known.
            region: What S3 clients call the region.
            ca: The CA certificates that the gateways' are checked with, PEM.
            balanced: Whether any unit may answer there.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        for relation_id in self._grants.departed:
            self._withdraw(relation_id)
        clients, problems = self._read()
        yield from map(ops.BlockedStatus, problems)
        if not clients:
            return
        if not url or not self._is_named(urlsplit(url).hostname or "", everywhere=balanced):
            # Who got it before keeps it.
            if any(not self._records.read(client.relation) for client in clients.values()):
                yield ops.WaitingStatus(
                    "to give buckets: for certificates that name where the gateways are reached"
                )
            return
        for relation, client in clients.items():
            try:
                why = self._give(relation, client, url=url, region=region, ca=ca)
            except RefusedError as error:
                why = str(error)
            if why:
                yield RetriedStatus(f"to give {client.name} a bucket: {why}")

    def problems(self) -> list[str]:
        """Return why applications get no bucket, as far as others can put that right."""
        return self._read()[1]

    def _read(self) -> tuple[dict[ops.Relation, s3.Client], list[str]]:
        def read(relation: ops.Relation) -> s3.Client | None:
            client = s3.read_client(relation)
            if client and not (client.takes_secret or self._allows_plain):
                raise databag.RelationError(wants_plain(client.name, "key"))
            return client

        return databag.read_each(self._grants.relations.values(), read)

    def _is_named(self, host: str, *, everywhere: bool) -> bool:
        """Return whether certificates are for the host that clients are told: those of all units, or of the one that it is."""
        named = [host in self._cluster.facts(unit).get("named", ()) for unit in self._cluster.units]
        return all(named) if everywhere else any(named)

    def _give(self, relation: ops.Relation, client: s3.Client, *, url: str, region: str, ca: str) -> str:
        """Give an application its bucket; return why that cannot be, empty if it can."""
        secret, user = self._grants.secret(client.relation), f"juju-{client.name}"
        keys: dict[str, str] = secret.read() if self._records.read(client.relation) else {}
        if not keys:
            admin = self._rgw.admin
            # Those that nobody knows, since a hook has died.
            admin.keep_keys(user, self._known_keys(user))
            made = admin.add_key(user)
            if why := self._rgw.make_bucket(user, made.access, made.secret):
                return why
            keys = dict(zip(s3.KEYS, (made.access, made.secret), strict=True))
            self._records.note(client.relation, user=user, key=made.access)
        secret_id, application = secret.put(keys), self._model.app
        access, secret_key = (keys[key] for key in s3.KEYS)
        bucket = s3.Bucket(
            name=user, endpoint=url, region=region, ca=ca, access_key=access, secret_key=secret_key
        )
        if client.takes_secret:
            s3.publish_secret(relation, application, secret_id)
        else:
            s3.publish_plain(relation, application, bucket)
        s3.publish(relation, application, bucket)
        return ""

    def _withdraw(self, relation_id: int) -> None:
        """Take the key of a relation that is gone away; what it leads to stays."""
        record = self._records.read(relation_id)
        self._rgw.admin.keep_keys(record["user"], self._known_keys(record["user"]) - {record["key"]})
        self._grants.secret(relation_id).remove()
        self._records.forget(relation_id)

    def _known_keys(self, user: str) -> set[str]:
        records = map(self._records.read, self._records)
        return {one["key"] for one in records if one.get("user") == user}
