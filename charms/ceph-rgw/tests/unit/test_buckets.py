"""Buckets for other applications: given where certificates name the way there, each with a user and a key of its own."""

import json

import ops
from play import GATEWAY, RELATIONS, S3

ASKS = {"bucket": "relation-7", "requested-secrets": '["access-key", "secret-key"]'}


def keys_of(model):
    """Return what the secret holds whose id was published."""
    secret_id = model.local[S3, "app"].get("secret-extra")
    return next((one.latest_content for one in model.secrets if one.id == secret_id), {})


def test_an_application_gets_a_bucket_of_its_own_with_keys_in_a_secret(deploy):
    model = deploy(2)
    model.integrate(S3, **ASKS)
    said = model.local[S3, "app"]
    assert (said["bucket"], said["region"], said["s3-uri-style"]) == ("juju-cinder", "regionone", "path")
    assert said["endpoint"] == "https://10.0.0.10:17480"
    assert json.loads(said["tls-ca-chain"]) == [model.ca.pem.strip()]
    assert "access-key" not in said
    assert model.zone.buckets["juju-cinder"] == "juju-cinder"
    keys = keys_of(model)
    assert model.zone.users["juju-cinder"].keys == {keys["access-key"]: keys["secret-key"]}
    assert {status.name for status in model.statuses.values()} == {"active"}


def test_a_second_look_changes_nothing(deploy):
    model = deploy(2)
    model.integrate(S3, **ASKS)
    before = model.snapshot()
    model.log()
    model.every()
    model.update_status()
    assert model.log() == []
    assert model.snapshot() == before


def test_nothing_is_given_before_it_is_asked_for(deploy):
    model = deploy()
    model.integrate(S3)
    assert not model.local.get((S3, "app"))
    assert "juju-cinder" not in model.zone.users


def test_a_bucket_is_given_only_where_certificates_name_the_gateway(deploy):
    model = deploy()
    model.relations[GATEWAY] = RELATIONS[GATEWAY]
    model.relations[S3] = RELATIONS[S3]
    model.tell(S3, ASKS)
    model.tell(GATEWAY, {"endpoints": '["10.0.0.100:7480"]'})
    # The gateway is there, the CA has not signed yet.
    model.update_status()
    assert "endpoint" not in model.local.get((S3, "app"), {})
    assert model.statuses[0].name == "waiting"
    model.settle()
    model.update_status()
    assert model.local[S3, "app"]["endpoint"] == "https://10.0.0.100:7480"
    assert model.statuses[0].name == "active"


def test_a_client_without_secrets_needs_the_operators_leave(deploy):
    model = deploy()
    model.integrate(S3, bucket="relation-7")
    assert "set allow-plain-credentials=true" in model.statuses[0].message
    assert "bucket" not in model.local.get((S3, "app"), {})
    model.configure(allow_plain_credentials=True)
    said = model.local[S3, "app"]
    assert model.zone.users["juju-cinder"].keys == {said["access-key"]: said["secret-key"]}
    assert model.statuses[0] == ops.ActiveStatus()


def test_a_relation_that_ends_takes_its_key_and_leaves_the_data(deploy):
    model = deploy()
    model.integrate(S3, **ASKS)
    first = keys_of(model)["access-key"]
    model.zone.objects["juju-cinder"] = 3
    model.unrelate(S3)
    model.update_status()
    assert model.zone.users["juju-cinder"].keys == {}
    assert model.zone.objects["juju-cinder"] == 3
    assert not [one for one in model.secrets if first in one.latest_content.values()]
    model.local.pop((S3, "app"), None)
    model.integrate(S3, **ASKS)
    assert model.local[S3, "app"]["bucket"] == "juju-cinder"
    assert list(model.zone.users["juju-cinder"].keys) == [keys_of(model)["access-key"]] != [first]


def test_a_key_of_a_hook_that_died_is_taken_away(deploy):
    model = deploy()
    model.machines[0].run("radosgw-admin", "-c", "/etc/ceph-rgw/ceph.conf", "--name", "x", "user", "create", "--uid=juju-cinder", "--display-name=x")  # fmt: skip
    model.integrate(S3, **ASKS)
    assert list(model.zone.users["juju-cinder"].keys) == [keys_of(model)["access-key"]]


def test_a_bucket_that_is_somebody_elses_is_not_given(deploy):
    model = deploy()
    model.zone.buckets["juju-cinder"] = "mallory"
    model.integrate(S3, **ASKS)
    assert "to give cinder a bucket: radosgw answers 409" in model.statuses[0].message
    assert "secret-extra" not in model.local.get((S3, "app"), {})
