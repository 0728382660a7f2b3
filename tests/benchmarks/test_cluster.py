"""What the running cloud takes, and how fast a disk is part of it."""

import subprocess
import time
from collections import defaultdict

from .figures import Figure

ADD_DISK_LIMIT = 60
CONTROL_PLANE_LIMIT_MIB = 4096
# What holds data grows with the data; the control plane is everything else.
DATA_DAEMONS = {"ceph-osd"}
ENGINE = ("openinfra_model.controller", "lxd --group", "lxcfs --pidfile", "dnsmasq")


def test_add_disk_to_active_and_clean(deployed, figures):
    site = deployed.site
    for unit in site.units("ceph"):
        site.juju.run(unit, "add-disk", {"osd-devices": "file:3G"}, wait=120)
    site.wait_for_health()
    site.run("ceph/0", "create-pool", name="data", app_name="benchmark")
    site.shell("ceph/0", "rados -p data bench 60 write --no-cleanup -b 1M --max-objects 300 >/dev/null")
    site.wait_for_health()
    begun = time.monotonic()
    (added,) = site.run("ceph/0", "add-disk", osd_devices="file:3G")
    told = time.monotonic() - begun
    wait_until_filled(site, added["osd-id"])
    figures.check(
        Figure(
            what="`add-disk`, until the new disk has its share and all is active+clean",
            measured=time.monotonic() - begun,
            baseline=ADD_DISK_LIMIT,
            of="the limit",
            unit="s",
            budget=1,
            details=(
                f"the action itself: {told:.1f} s",
                f"data in the cluster: {site.ceph('ceph/0', 'df')['stats']['total_used_raw_bytes'] / 2**20:.0f} MiB raw",
            ),
        )
    )


def wait_until_filled(site, osd: int) -> None:
    """Wait until an OSD holds placement groups and nothing moves any more."""
    limit = time.monotonic() + 3 * ADD_DISK_LIMIT
    while True:
        nodes = site.ceph("ceph/0", "osd", "df")["nodes"]
        if any(node["id"] == osd and node["pgs"] for node in nodes):
            site.wait_for_health()
            return
        assert time.monotonic() < limit, f"osd.{osd} got no placement group"
        time.sleep(0.5)


def test_memory_of_the_idle_control_plane(deployed, figures):
    site = deployed.site
    machines = {
        unit: resident(site.shell(unit, "ps -eo rss=,comm=").splitlines()) for unit in site.units("ceph")
    }
    listing = subprocess.run(
        ["ps", "-ww", "-eo", "rss=,args="], capture_output=True, text=True, check=True
    ).stdout
    engine = resident(
        f"{line.split()[0]} {name.split()[0]}"
        for line in listing.splitlines()
        for name in ENGINE
        if name in line
    )
    control = sum(sum(seen.values()) for seen in (engine, *machines.values()))
    control -= sum(seen[name] for seen in machines.values() for name in DATA_DAEMONS)
    figures.check(
        Figure(
            what="Memory of the idle control plane (RSS of all processes but OSDs)",
            measured=control,
            baseline=CONTROL_PLANE_LIMIT_MIB,
            of="the limit",
            unit="MiB",
            budget=1,
            details=(
                f"engine: {largest(engine)}",
                *(f"{unit}: {largest(seen)}" for unit, seen in machines.items()),
            ),
        )
    )


def resident(lines) -> dict[str, float]:
    """Sum memory by process name, in MiB, from lines of kibibytes and name."""
    memory = defaultdict(float)
    for line in lines:
        kibibytes, name = line.split(None, 1)
        memory[name] += int(kibibytes) / 1024
    return memory


def largest(memory: dict[str, float], count: int = 6) -> str:
    return ", ".join(
        f"{name} {mebibytes:.0f} MiB"
        for name, mebibytes in sorted(memory.items(), key=lambda item: -item[1])[:count]
    )
