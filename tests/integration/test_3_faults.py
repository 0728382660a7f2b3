"""Daemons and machines die while clients write: what was acknowledged is there, and all comes back by itself."""

import time

import pytest

from .site import Load, load


@pytest.mark.parametrize("daemon", ["ceph-osd", "ceph-mon", "ceph-mgr"])
def test_a_killed_daemon_comes_back_under_load(cloud, daemon):
    with load(cloud, "ceph/0", "probe") as clients:
        time.sleep(2)
        cloud.shell("ceph/1", f"pkill -9 {daemon}")
        time.sleep(12)
        seen = clients.stop()
        assert clients.verify() == seen["writes"] > 0
    assert seen["longest-gap"] < 30
    cloud.wait_for_health("ceph/0")


def test_after_a_power_loss_ceph_serves_without_the_model(cloud, controller):
    units = cloud.units("ceph")
    clients = Load(cloud, "ceph/0", "probe")
    clients.start()
    for unit in units:
        cloud.instance(unit)
    time.sleep(5)
    with controller.stopped():
        cloud.power_off(*units)
        cloud.power_on(*units)
        cloud.wait_for_health("ceph/0")
        assert clients.verify() > 0
    cloud.settle()
    assert clients.verify() == clients.stop()["writes"]


def test_a_killed_controller_goes_on_where_it_was(cloud, controller):
    cloud.juju.config("ceph", {"monitor-count": 1})
    controller.kill()
    cloud.settle()
    (quorum,) = cloud.run("ceph/0", "get-quorum-status")["quorum"]
    cloud.juju.config("ceph", {"monitor-count": 3})
    controller.kill()
    cloud.settle()
    assert quorum in cloud.run("ceph/0", "get-quorum-status")["quorum"]
