"""A cluster that begins with a version of Ceph which takes keys of the type aes256k alone.

It has a model of its own: other versions cannot be installed beside.
"""

from __future__ import annotations

import time

import pytest

from tests.faults import ceph_alone
from tests.faults.ceph_alone import old_keys
from tests.integration.site import load


@pytest.fixture(scope="module")
def site(request):
    """Three machines with an OSD each."""
    source = ceph_alone.SOURCE
    with ceph_alone.deployed(request, "ceph-keys", seconds=900, osd_devices="file:5G", source=source) as site:
        if "auth_allowed_ciphers" not in site.ceph("ceph/0", "mon dump"):
            pytest.skip(f"NOT RUN: Ceph from {source} knows keys of one type")
        ceph_alone.make_pool(site)
        yield site


def insecure(site) -> list[str]:
    """What the cluster says of keys of the older type."""
    return [name for name in site.ceph("ceph/0", "health")["checks"] if name.startswith("AUTH_")]


def test_it_serves_with_keys_of_the_newer_type_alone(site):
    assert [cipher["name"] for cipher in site.ceph("ceph/0", "mon dump")["auth_allowed_ciphers"]] == [
        "aes256k"
    ]
    assert (old_keys(site), insecure(site)) == (set(), [])
    with load(site, "ceph/0", "probe") as running:
        time.sleep(5)
        summary = running.stop()
    assert running.verify() == summary["writes"] > 0


def test_disks_and_units_are_added(site):
    site.run("ceph/0", "add-disk", **{"osd-devices": "file:5G"})
    site.juju.add_unit("ceph")
    site.settle(900)
    site.wait_for_health("ceph/0")
    assert site.ceph("ceph/3", "osd stat")["num_up_osds"] == 5
    assert (old_keys(site), insecure(site)) == (set(), [])


def test_the_administrator_s_key_is_rotated_while_clients_write(site):
    key = next(e["key"] for e in site.ceph("ceph/0", "auth ls")["auth_dump"] if e["entity"] == "client.admin")
    site.run(site.leader("ceph"), "rotate-key", entity="client.admin")
    for unit in site.units("ceph"):
        site.poke(unit)
    site.settle()
    dump = site.ceph("ceph/0", "auth ls")["auth_dump"]
    assert key not in {entry["key"] for entry in dump}
    assert (old_keys(site), insecure(site)) == (set(), [])
    for unit in site.units("ceph"):
        assert site.ceph(unit, "osd stat")["num_osds"] == 5


def test_two_more_hooks_of_each_unit_restart_nothing(site):
    before = {unit: site.invocations(unit, "ceph-*@*.service") for unit in site.units("ceph")}
    for unit in [*site.units("ceph")] * 2:
        site.poke(unit)
    assert {unit: site.invocations(unit, "ceph-*@*.service") for unit in site.units("ceph")} == before
