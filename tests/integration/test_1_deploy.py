"""From nothing to a cluster that serves."""

import hashlib

DEPLOY_SECONDS = 1200


def test_every_unit_becomes_active(site):
    # Each look takes time from the hooks.
    status = site.settle(DEPLOY_SECONDS, pause=4)
    assert [name for name in status.apps if not status.get_units(name)] == []
    assert {
        "ceph",
        "ceph-fs",
        "ceph-rgw",
        "gateway",
        "horizon",
        "host",
        "keystone",
        "mysql",
        "ovn-central",
        "ovn-chassis",
        "placement",
        "rabbitmq",
    } <= status.apps.keys()


def test_three_monitors_are_in_quorum(site):
    quorum = site.run("ceph/0", "get-quorum-status")
    hosts = {site.hostname_of(unit) for unit in site.units("ceph")}
    assert set(quorum["quorum"]) == set(quorum["monitors"]) == hosts


def test_each_unit_has_the_disks_that_the_bundle_names(cloud):
    tree = cloud.ceph("ceph/0", "osd", "tree")
    up = [node for node in tree["nodes"] if node["type"] == "osd" and node["status"] == "up"]
    assert len(up) >= 6


def test_an_object_written_on_one_machine_is_read_on_another(cloud):
    cloud.run("ceph/0", "create-pool", name="probe", app_name="test")
    script = "import rados; c = rados.Rados(conffile='/etc/ceph/ceph.conf'); c.connect(); i = c.open_ioctx('probe'); "
    write = script + "i.write_full('thing', bytes(range(256)) * 4096)"
    read = script + "import hashlib; print(hashlib.sha256(i.read('thing', 1 << 21)).hexdigest())"
    cloud.shell("ceph/0", f'python3 -c "{write}"')
    got = cloud.shell("ceph/1", f'python3 -c "{read}"').strip()
    assert got == hashlib.sha256(bytes(range(256)) * 4096).hexdigest()


def test_pools_are_listed_and_deleted_only_when_confirmed(cloud):
    cloud.run("ceph/1", "create-pool", name="scratch", app_name="test")
    assert "scratch" in {pool["name"] for pool in cloud.run("ceph/2", "list-pools")}
    assert "confirm=scratch" in cloud.refused("ceph/0", "delete-pool", name="scratch", confirm="scrach")
    assert "there is no pool" in cloud.refused("ceph/0", "delete-pool", name="none", confirm="none")
    cloud.run("ceph/0", "delete-pool", name="scratch", confirm="scratch")
    assert "scratch" not in {pool["name"] for pool in cloud.run("ceph/2", "list-pools")}
