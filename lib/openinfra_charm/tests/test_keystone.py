"""Both sides of `keystone` and `keystone-credentials`, and their words on the wire as Sunbeam's published libraries write them."""

import json
from typing import Any

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import keystone, keystone_credentials
from openinfra_charm.interfaces.keystone import Endpoint, Named

SECRET = "secret:9m4e2mr0ui3e8a215n4g"
GLANCE: dict[str, Any] = {
    "service_name": "glance",
    "type": "image",
    "description": "OpenStack Image",
    "public_url": "https://10.0.0.5:9292",
    "internal_url": "https://10.0.0.5:9292",
    "admin_url": "https://10.0.0.5:9292",
}
# What a requirer with the published library (identity_service v1, IdentityServiceRequires) writes.
REQUEST_ON_THE_WIRE = {
    "region": "RegionOne",
    "service-endpoints": json.dumps([GLANCE], sort_keys=True),
}
# What a provider with it (IdentityServiceProvides.set_identity_service_credentials) answers, all keys of it.
ANSWER_ON_THE_WIRE = {
    "api-version": "v3",
    "auth-host": "10.0.0.3",
    "auth-port": "15000",
    "auth-protocol": "https",
    "internal-host": "10.0.0.2",
    "internal-port": "5000",
    "internal-protocol": "https",
    "service-host": "cloud.example",
    "service-port": "443",
    "service-protocol": "https",
    "admin-domain-name": "admin_domain",
    "admin-domain-id": "d1",
    "admin-project-name": "admin",
    "admin-project-id": "p1",
    "admin-user-name": "admin",
    "admin-user-id": "u1",
    "service-domain-name": "service_domain",
    "service-domain-id": "d2",
    "service-project-name": "services",
    "service-project-id": "p2",
    "service-user-id": "u2",
    "internal-auth-url": "https://10.0.0.2:5000/v3",
    "admin-auth-url": "https://10.0.0.3:15000/v3",
    "public-auth-url": "https://cloud.example/v3",
    "service-credentials": SECRET,
    "admin-role": "admin",
    "region": "RegionOne",
}
IDENTITY = keystone.Identity(
    public_url="https://cloud.example/v3",
    internal_url="https://10.0.0.2:5000/v3",
    admin_url="https://10.0.0.3:15000/v3",
    region="RegionOne",
    admin_role="admin",
    service_project=Named(name="services", id="p2"),
    service_domain=Named(name="service_domain", id="d2"),
    service_user_id="u2",
    admin_project=Named(name="admin", id="p1"),
    admin_domain=Named(name="admin_domain", id="d1"),
    admin_user=Named(name="admin", id="u1"),
    credentials=SECRET,
)
# IdentityCredentialsProvides.set_identity_credentials
CREDENTIALS_ON_THE_WIRE = {
    "api-version": "3",
    "auth-host": "10.0.0.2",
    "auth-port": "5000",
    "auth-protocol": "https",
    "internal-host": "10.0.0.2",
    "internal-port": "5000",
    "internal-protocol": "https",
    "credentials": SECRET,
    "project-name": "services",
    "project-id": "p2",
    "user-domain-name": "service_domain",
    "user-domain-id": "d2",
    "project-domain-name": "service_domain",
    "project-domain-id": "d2",
    "region": "RegionOne",
    "internal-endpoint": "https://10.0.0.2:5000/v3",
    "public-endpoint": "https://10.0.0.2:5000/v3",
    "admin-role": "admin",
}
CREDENTIALS = keystone_credentials.Identity(
    public_url="https://10.0.0.2:5000/v3",
    internal_url="https://10.0.0.2:5000/v3",
    region="RegionOne",
    admin_role="admin",
    project=Named(name="services", id="p2"),
    project_domain=Named(name="service_domain", id="d2"),
    user_domain=Named(name="service_domain", id="d2"),
    credentials=SECRET,
)


class Provider(ops.CharmBase):
    """As the keystone charm."""


class Requirer(ops.CharmBase):
    """As the glance charm."""


def play(charm, step, *, secrets=(), **app_data):
    """Run `step(charm, relation)` in a hook of a leader; return its value and what it wrote into application data."""
    role = "provides" if charm is Provider else "requires"
    meta = {"name": charm.__name__.lower(), role: {"identity": {"interface": "keystone"}}}
    other = {key.replace("_", "-"): value for key, value in app_data.items()}
    relation = testing.Relation("identity", remote_app_name="other", remote_app_data=other)
    context = testing.Context(charm, meta)
    state = testing.State(leader=True, relations={relation}, secrets=secrets)
    with context(context.on.update_status(), state) as manager:
        value = step(manager.charm, manager.charm.model.get_relation("identity"))
        after = manager.run()
    return value, dict(after.get_relation(relation.id).local_app_data)


def granted():
    return {testing.Secret({"username": "glance-7-1", "password": "s3cret"}, id=SECRET)}


def read(interface, **app_data: Any):
    return play(Provider, lambda _, seen: interface.read_request(seen), **app_data)[0]


# identity-service


def test_a_published_requirers_request_is_understood():
    request = read(keystone, **REQUEST_ON_THE_WIRE)
    assert (request.application, request.region, request.roles) == ("other", "RegionOne", ())
    assert request.endpoints == (Endpoint(**GLANCE),)


@pytest.mark.parametrize("lacking", ["region", "service-endpoints"])
def test_half_a_request_is_none(lacking):
    assert read(keystone, **{k: v for k, v in REQUEST_ON_THE_WIRE.items() if k != lacking}) is None


def test_an_endpoint_of_a_later_version_is_understood_as_far_as_it_is_known():
    wanted = json.dumps([{"service_name": "x", "type": "y", "weight": 3}, "nonsense"])
    (endpoint,) = read(keystone, region="R", service_endpoints=wanted).endpoints
    assert (endpoint.service_name, endpoint.type, endpoint.public_url) == ("x", "y", "")


def test_the_answer_is_what_published_requirers_read():
    _, written = play(Provider, lambda charm, seen: keystone.publish(seen, charm.app, IDENTITY))
    assert written == ANSWER_ON_THE_WIRE


def test_the_request_is_what_published_providers_read():
    _, written = play(
        Requirer,
        lambda charm, seen: keystone.send_request(seen, charm.app, [Endpoint(**GLANCE)], region="RegionOne"),
    )
    assert written == REQUEST_ON_THE_WIRE


def test_roles_and_a_service_without_endpoints_come_across():
    _, written = play(
        Requirer,
        lambda charm, seen: keystone.send_request(seen, charm.app, [], region="R", roles=["ResellerAdmin"]),
    )
    request = read(keystone, **written)
    assert (request.endpoints, request.roles) == ((), ("ResellerAdmin",))


def test_a_published_providers_answer_is_understood():
    access, _ = play(
        Requirer,
        lambda charm, seen: keystone.read_access(charm.model, seen),
        secrets=granted(),
        **ANSWER_ON_THE_WIRE,
    )
    assert access == keystone.Access(identity=IDENTITY, username="glance-7-1", password="s3cret")


@pytest.mark.parametrize("lacking", ["service-credentials", "internal-auth-url"])
def test_there_is_no_access_before_all_of_it_is_there(lacking):
    answer = {key: value for key, value in ANSWER_ON_THE_WIRE.items() if key != lacking}
    found, _ = play(
        Requirer, lambda charm, seen: keystone.read_access(charm.model, seen), secrets=granted(), **answer
    )
    assert found is None


def test_there_is_no_access_with_a_secret_that_is_not_granted():
    found, _ = play(
        Requirer, lambda charm, seen: keystone.read_access(charm.model, seen), **ANSWER_ON_THE_WIRE
    )
    assert found is None


def test_an_ipv6_address_is_a_host_without_brackets():
    assert keystone.address("auth", "https://[fd00::1]:15000/v3") == {
        "auth-protocol": "https",
        "auth-host": "fd00::1",
        "auth-port": "15000",
    }


# identity-credentials


def test_credentials_are_asked_for_and_given_as_published():
    _, written = play(Requirer, lambda charm, seen: keystone_credentials.send_request(seen, charm.app, "rgw"))
    assert written == {"username": "rgw"}
    assert read(keystone_credentials, **written).username == "rgw"
    assert read(keystone_credentials) is None
    _, written = play(
        Provider, lambda charm, seen: keystone_credentials.publish(seen, charm.app, CREDENTIALS)
    )
    assert written == CREDENTIALS_ON_THE_WIRE


def test_credentials_of_a_published_provider_are_understood():
    def step(charm, seen):
        return keystone_credentials.read_access(charm.model, seen)

    access, _ = play(Requirer, step, secrets=granted(), **CREDENTIALS_ON_THE_WIRE)
    assert access == keystone_credentials.Access(
        identity=CREDENTIALS, username="glance-7-1", password="s3cret"
    )
    assert play(Requirer, step, **CREDENTIALS_ON_THE_WIRE)[0] is None
