"""The `s3` interface: a bucket of an object store, and how to reach it.

The wire format is that of Canonical's `s3-integrator` (library `charms.data_platform_libs.v0.s3`), all of it in application
data. The provider writes `bucket`, `endpoint`, `region`, `path`, `s3-uri-style` (`path` or `host`), `tls-ca-chain` (a JSON list
of PEM certificates), `access-key` and `secret-key`; the requirer writes `bucket`, the name that it would like.

Ours is `requested-secrets`, as in `data_interfaces`: to a requirer that lists both keys there a provider may give them as
a secret with the id `secret-extra` instead of plain text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openinfra_charm.model import databag, secrets
from openinfra_charm.model.databag import Form

if TYPE_CHECKING:
    import ops

KEYS = ("access-key", "secret-key")
_FORMS = {
    "bucket": Form(r"([A-Za-z0-9][\w.-]*)?", databag.NAME.words),
    "endpoint": Form(
        r"(https?://[A-Za-z0-9.:\[\]-]+(/[\w./-]*)?)?", "a URL such as https://s3.example.org:7480"
    ),
    "region": databag.NAME,
    "path": Form(
        r"(?!(.*/)?\.\.(/|$))[\w.=/-]*", "letters, digits and . _ = - between slashes, and no .. alone"
    ),
    **dict.fromkeys(KEYS, databag.KEY),
}
"""What requirers can use: all of it gets into files, and `path` and `bucket` onto command lines."""
_CERTIFICATE = Form(
    r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----",
    "a JSON list of PEM certificates",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """A bucket, `path` in it, and how to reach it. `ca` are the CA certificates to trust, PEM; empty: the system's."""

    name: str
    endpoint: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    region: str = ""
    path: str = ""
    by_path: bool = True
    ca: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """An application on the other side of an `s3` relation, as the provider sees it."""

    relation: int
    name: str
    takes_secret: bool


# The provider


def read_client(relation: ops.Relation) -> Client | None:
    """As the provider, return who asks for a bucket; None as long as nobody has."""
    data = relation.data[relation.app]
    if not data.get("bucket"):
        return None
    wanted = databag.load(data.get("requested-secrets", "[]"), list)
    return Client(
        relation=relation.id, name=relation.app.name, takes_secret=set(KEYS) <= set(map(str, wanted))
    )


def publish(relation: ops.Relation, application: ops.Application, bucket: Bucket) -> None:
    """As the provider's leader, say where a bucket is and how to reach it; keys go another way."""
    ends = "-----END CERTIFICATE-----"
    chain = [f"{one.strip()}\n{ends}" for one in bucket.ca.split(ends) if one.strip()]
    said = {
        "bucket": bucket.name, "endpoint": bucket.endpoint, "region": bucket.region, "s3-uri-style": "path" if bucket.by_path else "host",
        "tls-ca-chain": json.dumps(chain) if chain else "",
    }  # fmt: skip
    for key, value in said.items():
        databag.put(relation.data[application], key, value)


def publish_secret(relation: ops.Relation, application: ops.Application, secret_id: str) -> None:
    """As the provider's leader, hand out the id of the secret that holds both keys."""
    databag.put(relation.data[application], "secret-extra", secret_id)


def publish_plain(relation: ops.Relation, application: ops.Application, bucket: Bucket) -> None:
    """As the provider's leader, hand both keys out in plain text, as requirers without secrets demand."""
    for key, value in zip(KEYS, (bucket.access_key, bucket.secret_key), strict=True):
        databag.put(relation.data[application], key, value)


# The requirer


def send_request(relation: ops.Relation, application: ops.Application) -> None:
    """As the requirer's leader, ask for a bucket; keys may come as a secret."""
    databag.put(relation.data[application], "bucket", f"relation-{relation.id}")
    databag.put(relation.data[application], "requested-secrets", json.dumps(list(KEYS)))


def read(model: ops.Model, relation: ops.Relation, *, refresh: bool = True) -> Bucket | None:
    """As the requirer, return the bucket; None until the provider has said all that is needed.

    Without `refresh` keys that come as a secret are only peeked at: the provider may revoke those before when all units have refreshed.

    Raises:
        RelationError: It has said something that cannot be used.
    """
    data = relation.data[relation.app]
    keys = {key: data.get(key, "") for key in KEYS}
    if secret_id := data.get("secret-extra"):
        keys = secrets.find(model, secret_id, refresh=refresh) or keys
    # Some providers write an empty certificate where they have none.
    chain = [one for one in databag.load(data.get("tls-ca-chain", ""), list) if one]
    said = {**data, **{key: keys.get(key, "") for key in KEYS}}
    for key, form in _FORMS.items():
        databag.check(relation, form, {key: said.get(key, "")}, secret=key in KEYS)
    for one in chain:
        databag.check(relation, _CERTIFICATE, {"tls-ca-chain": str(one).strip()}, secret=True)
    bucket = Bucket(
        name=data.get("bucket", ""),
        endpoint=data.get("endpoint", ""),
        access_key=keys.get("access-key", ""),
        secret_key=keys.get("secret-key", ""),
        region=data.get("region", ""),
        path=data.get("path", "").strip("/"),
        by_path=data.get("s3-uri-style", "path") != "host",
        ca="".join(f"{one.strip()}\n" for one in chain),
    )
    return bucket if bucket.name and bucket.endpoint and bucket.access_key and bucket.secret_key else None
