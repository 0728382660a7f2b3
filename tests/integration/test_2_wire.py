"""What is written, and what one logs in with, cannot be read on the network: not from clients, not between daemons."""

import uuid

import pytest
import requests

from .wire import listening


@pytest.fixture
def text() -> str:
    """A text that nobody else says, short enough to be in one frame."""
    return uuid.uuid4().hex


@pytest.fixture
def control() -> str:
    return uuid.uuid4().hex


def test_the_listener_hears_what_is_in_the_open(cloud, control):
    with listening(control.encode()) as wire:
        address = cloud.address("ceph/1")
        cloud.shell(
            "ceph/0", f"for _ in 1 2 3; do bash -c 'echo {control} > /dev/udp/{address}/9'; sleep 1; done"
        )
    assert wire.read == {control.encode()}


def test_an_object_is_not_readable_on_its_way(cloud, clients, text):
    """From the client to the gateway, on to the object gateway, the first OSD and the copies."""
    keys = clients.object_keys
    s3 = clients.s3(cloud.objects_url, keys["access-key"], keys["secret-key"])
    body = text.encode() * 100_000
    s3.create_bucket(Bucket="wire")
    with listening(text.encode()) as wire:
        s3.put_object(Bucket="wire", Key="thing", Body=body)
        assert s3.get_object(Bucket="wire", Key="thing")["Body"].read() == body
    assert not wire.read
    s3.delete_object(Bucket="wire", Key="thing")
    s3.delete_bucket(Bucket="wire")


def test_identity_is_not_readable_on_its_way(cloud, clients, text):
    """From the client to Keystone, on to the database and its other members, and the cache."""
    connection = clients.connect()
    password = clients.cloud["auth"]["password"]
    with listening(text.encode(), password.encode()) as wire:
        token = clients.connect().authorize()
        project = connection.identity.create_project(name="wire", description=text)
        for unit in cloud.units("keystone"):
            seen = requests.get(
                f"https://{cloud.address(unit)}:15000/v3/projects/{project.id}",
                headers={"X-Auth-Token": token},
                verify=clients.ca,
                timeout=10,
            )
            assert seen.json()["project"]["description"] == text
    assert not wire.read
    connection.identity.delete_project(project)
