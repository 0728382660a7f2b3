"""Daemons die, units and machines come and go, and options change, while clients write."""

import threading
import time

import pytest

from tests.integration.site import load

DAEMONS = ("ceph-osd@*", "ceph-mon@*")


class Watch:
    """Looks at the cluster all the time and remembers which hosts had an OSD down together."""

    def __init__(self, site, unit):
        self._site, self._unit = site, unit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.hosts_down_together: set[frozenset[str]] = set()
        self.looks = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _look(self):
        while not self._stop.wait(0.3):
            tree = self._site.ceph(self._unit, "osd", "tree")
            if tree is None:
                continue
            self.looks += 1
            nodes = {node["id"]: node for node in tree["nodes"]}
            hosts = [node for node in nodes.values() if node["type"] == "host"]
            down = {h["name"] for h in hosts if any(nodes[c]["status"] == "down" for c in h["children"])}
            self.hosts_down_together.add(frozenset(down))


@pytest.mark.parametrize("daemon", ["ceph-osd", "ceph-mon", "ceph-mgr"])
def test_a_killed_daemon_comes_back_under_load(cloud, pool, daemon):
    with load(cloud, "ceph/0", pool) as clients:
        time.sleep(2)
        cloud.shell("ceph/1", f"pkill -9 {daemon}")
        time.sleep(12)
        seen = clients.stop()
        assert clients.verify() == seen["writes"] > 0
    assert seen["longest-gap"] < 30
    cloud.wait_for_health("ceph/0")


def test_a_crash_reaches_the_operator(cloud):
    """Reports of what is known to do no harm do not: there is this one alone."""
    unit = cloud.units("ceph")[1]
    osd = cloud.osds_of(unit)[0]
    cloud.shell(unit, f"systemctl kill --signal=SEGV ceph-osd@{osd}.service")
    folder = "/var/lib/ceph/crash"
    cloud.shell(unit, f"for _ in $(seq 60); do ls {folder}/2*/done 2>/dev/null && break; sleep 1; done")
    cloud.shell(unit, "systemctl restart ceph-crash.service")
    limit = time.monotonic() + 60
    while not (crashes := cloud.ceph(unit, "crash", "ls-new")):
        assert time.monotonic() < limit, "nobody has told the cluster"
        time.sleep(2)
    assert [crash["entity_name"] for crash in crashes] == [f"osd.{osd}"]
    # Until systemd has started it again, its unit's status says that it does not run.
    while "recently crashed" not in cloud.juju.status().get_units("ceph")[unit].workload_status.message:
        assert time.monotonic() < limit, "no status tells of it"
        time.sleep(3)
        cloud.poke(unit)
    cloud.shell(unit, "ceph crash archive-all")
    cloud.wait_for_health("ceph/0")


def test_a_restart_goes_from_unit_to_unit(cloud, pool):
    before = {unit: cloud.invocations(unit, *DAEMONS) for unit in cloud.units("ceph")}
    with load(cloud, "ceph/0", pool) as clients, Watch(cloud, "ceph/0") as watch:
        now = cloud.juju.config("ceph")["osd-benchmark"]
        cloud.juju.config("ceph", {"osd-benchmark": not now})
        cloud.settle()
        seen = clients.stop()
        assert clients.verify() == seen["writes"] > 0
    after = {unit: cloud.invocations(unit, *DAEMONS) for unit in cloud.units("ceph")}
    assert all(set(before[unit].values()).isdisjoint(after[unit].values()) for unit in before)
    assert watch.looks > 10
    assert max(map(len, watch.hosts_down_together)) == 1
    cloud.wait_for_health()


def test_units_are_added_and_removed(cloud):
    """One is prepared for it. Juju's removal of the other one cannot be refused: its hook fails until the data are safe."""
    before = cloud.units("ceph")
    cloud.juju.cli("add-unit", "ceph", "--num-units", "2")
    cloud.settle()
    prepared, unprepared = sorted(set(cloud.units("ceph")) - set(before))
    host = cloud.hostname_of(prepared)
    for unit in (prepared, unprepared):
        cloud.run(unit, "add-disk", osd_devices="file:3G")
    cloud.wait_for_health()

    cloud.wait_for_job(prepared, cloud.run(prepared, "prepare-removal")["job-id"])
    cloud.juju.remove_unit(prepared, unprepared)
    cloud.juju.wait(lambda status: status.get_units("ceph").keys() == set(before), delay=2, timeout=400)
    assert host not in {node["name"] for node in cloud.ceph("ceph/0", "osd", "tree")["nodes"]}
    cloud.settle()
    cloud.wait_for_health()
