"""Units and machines come and go, and options change, while clients write."""

import threading
import time

from .site import load


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


def test_a_restart_goes_from_unit_to_unit(cloud):
    before = {unit: started(cloud, unit) for unit in cloud.units("ceph")}
    with load(cloud, "ceph/0", "probe") as clients, Watch(cloud, "ceph/0") as watch:
        now = cloud.juju.config("ceph")["osd-memory-target"]
        cloud.juju.config("ceph", {"osd-memory-target": "900M" if now != "900M" else "904M"})
        cloud.settle()
        seen = clients.stop()
        assert clients.verify() == seen["writes"] > 0
    after = {unit: started(cloud, unit) for unit in cloud.units("ceph")}
    assert all(set(before[unit].values()).isdisjoint(after[unit].values()) for unit in before)
    assert watch.looks > 10
    assert max(map(len, watch.hosts_down_together)) == 1
    cloud.wait_for_health()


def test_a_unit_is_added_and_removed(cloud):
    before = cloud.units("ceph")
    cloud.juju.cli("add-unit", "ceph")
    cloud.settle()
    (new,) = set(cloud.units("ceph")) - set(before)
    host = cloud.hostname_of(new)
    cloud.run(new, "add-disk", osd_devices="file:3G")
    cloud.wait_for_health()
    job = cloud.run(new, "prepare-removal")["job-id"]
    cloud.wait_for_job(new, job)
    cloud.juju.remove_unit(new)
    cloud.juju.wait(lambda status: new not in status.get_units("ceph"), timeout=180)
    assert host not in {node["name"] for node in cloud.ceph("ceph/0", "osd", "tree")["nodes"]}
    cloud.settle()
    cloud.wait_for_health()


def test_a_unit_with_data_is_not_let_go_unprepared(cloud):
    """Juju's removal cannot be refused: the hook fails with the reason until the data are safe."""
    cloud.juju.cli("add-unit", "ceph")
    cloud.settle()
    new = cloud.units("ceph")[-1]
    cloud.run(new, "add-disk", osd_devices="file:3G,file:3G")
    cloud.wait_for_health()
    cloud.juju.remove_unit(new)
    cloud.juju.wait(lambda status: new not in status.get_units("ceph"), timeout=400)
    cloud.settle()
    cloud.wait_for_health()


def test_a_destroyed_machine_is_replaced(cloud):
    lost = next(unit for unit in cloud.units("ceph")[1:] if unit != cloud.leader("ceph"))
    host, machine, osds = cloud.hostname_of(lost), cloud.machine_of(lost), set(cloud.osds_of(lost))
    with load(cloud, "ceph/0", "probe") as clients:
        cloud.destroy(lost)
        cloud.juju.cli("remove-machine", "--force", "--no-prompt", machine)
        cloud.juju.cli("add-unit", "ceph")
        cloud.juju.wait(lambda status: lost not in status.get_units("ceph"), timeout=180)
        new = cloud.units("ceph")[-1]
        # The others cannot settle before the new machine has disks for the copies that they lack.
        cloud.juju.wait(lambda s: s.get_units("ceph")[new].is_active, timeout=300, delay=1, successes=2)
        cloud.run(new, "add-disk", osd_devices="file:3G,file:3G")
        limit = time.monotonic() + 240
        while host in {node["name"] for node in cloud.ceph("ceph/0", "osd", "tree")["nodes"]}:
            assert time.monotonic() < limit, f"{host} is still in the cluster"
            time.sleep(3)
        seen = clients.stop()
        assert clients.verify() == seen["writes"] > 0
    for unit in cloud.units("ceph"):
        cloud.poke(unit)
    cloud.settle()
    cloud.wait_for_health()
    entities = {entry["entity"] for entry in cloud.ceph("ceph/0", "auth", "ls")["auth_dump"]}
    assert f"mgr.{host}" not in entities
    assert not entities & {f"osd.{number}" for number in osds - set(cloud.ceph("ceph/0", "osd", "ls"))}
    quorum = cloud.run("ceph/0", "get-quorum-status")
    assert host not in quorum["monitors"]
    assert len(quorum["quorum"]) == 3


def test_a_rolling_reboot_stops_before_the_second_machine_when_an_osd_stays_down(cloud):
    """A disk of each machine is taken away under its OSD, which will notice only when it starts again."""
    units = cloud.units("ceph")
    disks = {
        unit: next(d["device"] for d in cloud.run(unit, "list-disks")["osds"] if "/osd-" in d["device"])
        for unit in units
    }
    boots = {unit: booted(cloud, unit) for unit in units}
    for unit, path in disks.items():
        cloud.shell(unit, f"mv {path} {path}.away")
    cloud.run(cloud.leader("host"), "reboot", all_units=True)
    held = "waiting until all applications of the machine are healthy"
    cloud.juju.wait(lambda status: any(held in told for told in messages(status, "host")), timeout=300)
    time.sleep(45)
    (first,) = [unit for unit in units if booted(cloud, unit) != boots[unit]]
    status = cloud.juju.status()
    assert "does not run" in status.get_units("ceph")[first].workload_status.message
    assert sum("reboot waits for host/" in message for message in messages(status, "host")) == len(units) - 1
    for unit, path in disks.items():
        cloud.shell(unit, f"mv {path}.away {path}")
    cloud.poke(first)
    cloud.wait_for_health()
    limit = time.monotonic() + 600
    while any(booted(cloud, unit) == boots[unit] for unit in units):
        assert time.monotonic() < limit, "the roll did not go on"
        time.sleep(5)
    cloud.settle()
    cloud.wait_for_health()


def messages(status, application) -> list[str]:
    return [unit.workload_status.message for unit in status.get_units(application).values()]


def started(cloud, unit) -> dict[str, str]:
    """When each OSD and monitor of a unit was started last."""
    names = "'ceph-osd@*' 'ceph-mon@*'"
    shown = cloud.shell(unit, f"systemctl show --property=Id,ActiveEnterTimestampMonotonic {names}")
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines()) for block in shown.strip().split("\n\n")
    ]
    return {block["Id"]: f"{block['Id']} {block['ActiveEnterTimestampMonotonic']}" for block in blocks}


def booted(cloud, unit) -> str:
    # A machine that is just starting has no systemd to ask yet: its answer is none of the earlier ones.
    return cloud.shell(unit, "systemctl show --property=UserspaceTimestampMonotonic --value", check=False)
