"""Machines are rebooted one after the other."""

import time


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
    try:
        cloud.run(cloud.leader("host"), "reboot", all_units=True)
        held = "waiting until all applications of the machine are healthy"
        cloud.juju.wait(lambda status: any(held in told for told in messages(status, "host")), timeout=300)
        time.sleep(45)
        (first,) = [unit for unit in units if booted(cloud, unit) != boots[unit]]
        status = cloud.juju.status()
        assert "does not run" in status.get_units("ceph")[first].workload_status.message
        assert (
            sum("reboot waits for host/" in message for message in messages(status, "host")) == len(units) - 1
        )
    finally:
        # Whatever comes after this has all disks.
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
