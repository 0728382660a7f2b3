"""Machines are lost and replaced, and rebooted one after the other, while clients write."""

import time

import pytest

from tests.integration.site import load

POOL = "machines"


@pytest.fixture(scope="module", autouse=True)
def pool(cloud) -> None:
    cloud.run("ceph/0", "create-pool", name=POOL, app_name="soak")


def test_a_destroyed_machine_is_replaced(cloud):
    lost = next(unit for unit in cloud.units("ceph")[1:] if unit != cloud.leader("ceph"))
    host, machine, osds = cloud.hostname_of(lost), cloud.machine_of(lost), set(cloud.osds_of(lost))
    with load(cloud, "ceph/0", POOL) as clients:
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


def booted(cloud, unit) -> str:
    # A machine that is just starting has no systemd to ask yet: its answer is none of the earlier ones.
    return cloud.shell(unit, "systemctl show --property=UserspaceTimestampMonotonic --value", check=False)
