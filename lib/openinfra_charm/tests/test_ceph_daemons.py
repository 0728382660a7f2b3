"""Keys for daemons: what Charmed Ceph's charms write and read, and the same with secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openinfra_charm.interfaces import ceph_client, ceph_daemons, ceph_mds, ceph_radosgw
from openinfra_charm.model.databag import RelationError


class Bag(dict):
    """A databag, in which the empty text takes a value away."""

    def __setitem__(self, key, value):
        if value:
            super().__setitem__(key, value)
        else:
            self.pop(key, None)


def model(**secrets) -> Any:
    return Secrets(**secrets)


def read_one(relation) -> Any:
    (daemon,) = ceph_daemons.read_daemons(relation, ceph_radosgw.FORMAT)
    return daemon


class Party:
    def __init__(self, name):
        self.name = name


class Relation:
    """A relation as one side sees it: `remote` are the other side's units."""

    def __init__(self, app, *remote):
        self.app = app
        self.units = set(remote)
        self.data = {}

    def hold(self, *parties):
        for party in parties:
            self.data.setdefault(party, Bag())
        return self


class Secrets:
    """A model whose secrets can be read."""

    model_uuid = "0"

    def __init__(self, **secrets):
        self._secrets = secrets
        self._backend = self

    def secret_get(self, **_):
        return self._secrets


@pytest.fixture
def parties():
    return Party("ceph-rgw"), Party("ceph-rgw/0"), Party("ceph-mon"), Party("ceph-mon/0")


@pytest.fixture
def provider(parties):
    rgw, rgw0, mon, mon0 = parties
    return Relation(rgw, rgw0).hold(rgw, rgw0, mon, mon0)


@pytest.fixture
def requirer(parties, provider):
    _, _, mon, mon0 = parties
    relation = Relation(mon, mon0)
    relation.data = provider.data
    return relation


PUBLISHED_REQUEST = {"api-version": 1, "ops": [], "request-id": "a1"}


def test_a_published_requirer_is_read_and_answered_in_its_own_format(parties, provider):
    _, rgw0, _, mon0 = parties
    provider.data[rgw0].update({"key_name": "rgw.juju-1", "broker_req": json.dumps(PUBLISHED_REQUEST)})
    daemon = read_one(provider)
    assert (daemon.unit, daemon.name, daemon.takes_secret) == ("ceph-rgw/0", "rgw.juju-1", False)
    assert daemon.request.request_id == "a1"
    ceph_daemons.publish_cluster(provider, mon0, fsid="f-1", address="10.0.0.1")
    ceph_daemons.publish_key(provider, mon0, ceph_radosgw.FORMAT, daemon, "the-key")
    ceph_client.answer(provider, mon0, daemon.request, None)
    assert provider.data[mon0] == {
        "fsid": "f-1", "auth": "cephx", "ceph-public-address": "10.0.0.1", "rgw.juju-1_key": "the-key",
        "broker-rsp-ceph-rgw-0": '{"api-version": 1, "exit-code": 0, "request-id": "a1"}',
    }  # fmt: skip


def test_a_unit_without_a_name_is_no_daemon_yet(parties, provider):
    assert ceph_daemons.read_daemons(provider, ceph_radosgw.FORMAT) == []


def test_a_published_provider_is_read(parties, requirer):
    _, rgw0, _, mon0 = parties
    requirer.data[mon0].update(
        {"fsid": "f-1", "auth": "cephx", "ceph-public-address": "10.0.0.1", "juju-1_mds_key": "the-key",
         "broker-rsp-ceph-rgw-0": '{"exit-code": 0, "request-id": "a1"}'}
    )  # fmt: skip
    access = ceph_daemons.read_access(
        model(), requirer, ceph_mds.FORMAT, "juju-1", unit=rgw0, request_id="a1"
    )
    assert access == ceph_daemons.Access(fsid="f-1", key="the-key", monitors=("10.0.0.1",))


def test_the_key_comes_as_a_secret_to_who_asks_for_it(parties, provider, requirer):
    rgw, rgw0, mon, mon0 = parties
    ceph_client.announce_secrets(requirer, rgw)
    ceph_daemons.request(
        requirer,
        rgw0,
        ceph_radosgw.FORMAT,
        "rgw.juju-1",
        request_id="r-1",
        operations=[{"op": "create-pool"}],
    )
    daemon = read_one(provider)
    assert daemon.takes_secret
    assert daemon.request.operations == ({"op": "create-pool"},)
    ceph_daemons.publish_cluster(provider, mon0, fsid="f-1", address="10.0.0.1")
    ceph_daemons.publish_secret(provider, mon, "ceph-rgw/0", "secret:1")
    read = {"unit": rgw0, "request_id": "r-1"}
    readable = model(key="the-key")
    assert ceph_daemons.read_access(readable, requirer, ceph_radosgw.FORMAT, "rgw.juju-1", **read) is None
    ceph_client.answer(provider, mon0, daemon.request, None)
    access = ceph_daemons.read_access(readable, requirer, ceph_radosgw.FORMAT, "rgw.juju-1", **read)
    assert access == ceph_daemons.Access(fsid="f-1", key="the-key", monitors=("10.0.0.1",))
    assert "the-key" not in str(provider.data)


def test_the_latest_version_counts_that_a_unit_has_seen_the_whole_cluster_run(parties, provider, requirer):
    _, rgw0, _, mon0 = parties
    requirer.data[mon0].update(
        {"fsid": "f-1", "ceph-public-address": "10.0.0.1", "juju-1_mds_key": "the-key",
         "broker-rsp-ceph-rgw-0": '{"exit-code": 0, "request-id": "a1"}'}
    )  # fmt: skip
    ceph_daemons.publish_cluster(provider, mon0, fsid="f-1", address="10.0.0.1", version="18.2.10")
    read = {"unit": rgw0, "request_id": "a1"}
    access = ceph_daemons.read_access(model(), requirer, ceph_mds.FORMAT, "juju-1", **read)
    assert access is not None
    assert access.version == "18.2.10"


def test_a_refusal_is_told_in_the_providers_words(parties, provider, requirer):
    _, rgw0, _, mon0 = parties
    request = ceph_client.Request(unit="ceph-rgw/0", request_id="r-1", operations=())
    ceph_client.answer(provider, mon0, request, "no such pool")
    with pytest.raises(RelationError, match="refuses: no such pool"):
        ceph_daemons.read_access(model(), requirer, ceph_mds.FORMAT, "a", unit=rgw0, request_id="r-1")
