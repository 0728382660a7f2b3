"""The s3 interface: what a provider says of a bucket, and what of it cannot be used."""

import json

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import s3

META = {"name": "probe", "requires": {"s3-parameters": {"interface": "s3"}}}
GIVEN = {
    "bucket": "backups",
    "endpoint": "https://[2001:db8::1]:7480",
    "access-key": "access",
    "secret-key": "very/secret+",
    "path": "/cloud/one/",
    "region": "eu-1",
}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


def read(**said):
    """Return what a unit reads of a relation in which this is said."""
    found = []

    class Probe(ops.CharmBase):
        def __init__(self, framework):
            super().__init__(framework)
            framework.observe(self.on.update_status, self._read)

        def _read(self, _):
            found.append(s3.read(self.model, self.model.relations["s3-parameters"][0]))

    data = {key: value for key, value in (GIVEN | said).items() if value}
    context = testing.Context(Probe, META)
    relation = testing.Relation("s3-parameters", remote_app_name="s3", remote_app_data=data)
    context.run(context.on.update_status(), testing.State(relations={relation}))
    return found[0]


def test_a_bucket_is_read():
    bucket = read(**{"tls-ca-chain": json.dumps([PEM])})
    assert (bucket.name, bucket.path, bucket.endpoint) == ("backups", "cloud/one", GIVEN["endpoint"])
    assert bucket.ca == f"{PEM}\n"


def test_an_empty_certificate_is_none():
    assert not read(**{"tls-ca-chain": '[""]'}).ca


def test_it_is_none_before_the_provider_has_said_all():
    assert read(**{"secret-key": ""}) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("path", "x\nExecStartPre=/bin/sh"), ("path", 'x" y'), ("path", "%h"), ("path", "a/../../b"), ("bucket", "a b"),
        ("bucket", "-x"), ("endpoint", "https://a\nendpoint = b"), ("endpoint", "ftp://a"), ("region", "x\ny"),
        ("access-key", "a\nb"), ("secret-key", "a b"), ("tls-ca-chain", '["no certificate"]'), ("tls-ca-chain", "[1]"),
    ],
)  # fmt: skip
def test_what_could_be_read_as_something_else_is_refused_by_name(key, value):
    with pytest.raises(
        testing.errors.UncaughtCharmError,
        match=f"RelationError.*{key}=.* in s3-parameters, which cannot be used",
    ) as refused:
        read(**{key: value})
    assert key not in s3.KEYS or value not in str(refused.value)


# The provider


def provide(said, **bucket):
    """Return what a leader reads of a client that says this, and what it writes for it."""
    seen = []

    class Probe(ops.CharmBase):
        def __init__(self, framework):
            super().__init__(framework)
            framework.observe(self.on.update_status, self._serve)

        def _serve(self, _):
            relation = self.model.relations["s3"][0]
            seen.append(s3.read_client(relation))
            s3.publish(relation, self.app, s3.Bucket(**bucket))
            s3.publish_secret(relation, self.app, "secret:s00000000000000000s0")

    context = testing.Context(Probe, {"name": "store", "provides": {"s3": {"interface": "s3"}}})
    relation = testing.Relation("s3", remote_app_name="cinder", remote_app_data=said)
    after = context.run(context.on.update_status(), testing.State(leader=True, relations={relation}))
    return seen[0], after.get_relation(relation.id).local_app_data


GIVES = {"name": "juju-cinder", "endpoint": "https://10.0.0.7:7480", "access_key": "a", "secret_key": "s"}


def test_a_provider_sees_who_asks_and_whether_it_knows_secrets():
    knows, _ = provide({"bucket": "b", "requested-secrets": '["access-key", "secret-key"]'}, **GIVES)
    assert knows
    assert (knows.name, knows.takes_secret) == ("cinder", True)
    published, _ = provide({"bucket": "b"}, **GIVES)
    assert published
    assert not published.takes_secret
    assert provide({}, **GIVES)[0] is None


def test_what_a_provider_says_has_no_keys_and_each_ca_as_one():
    _, said = provide({"bucket": "b"}, ca=f"{PEM}\n{PEM}\n", region="regionone", **GIVES)
    assert json.loads(said["tls-ca-chain"]) == [PEM, PEM]
    assert not {"access-key", "secret-key"} & set(said)
    assert (said["bucket"], said["region"], said["s3-uri-style"]) == ("juju-cinder", "regionone", "path")
