"""Disks come and go, and none is taken that may hold something."""

import time

import pytest

IMAGES = "/var/tmp/disks"


class Loops:
    """Loop devices on a unit's machine, over sparse files."""

    def __init__(self, site, unit):
        self._site, self._unit, self.made = site, unit, []

    def make(self, size: str, prepare: str = "true") -> str:
        """Make a device; `prepare` is a shell command that sees it as $D."""
        image = f"{IMAGES}/{len(self.made)}"
        command = f"mkdir -p {IMAGES} && truncate -s {size} {image} && D=$(losetup -f --show {image}) && {{ {prepare}; }} >&2 && echo $D"
        device = self._site.shell(self._unit, command).strip()
        self.made.append(device)
        return device

    def swap(self, first: str, second: str) -> None:
        """Give two devices each other's names, as a start of the machine may."""
        self._site.shell(
            self._unit,
            f"A=$(losetup -nO BACK-FILE {first}) B=$(losetup -nO BACK-FILE {second}); "
            f"losetup -d {first} && losetup -d {second} && sleep 1 && losetup {first} $B && losetup {second} $A",
        )

    def exchange(self, device: str) -> None:
        """Have an empty disk in the place of one that has died, under its name."""
        self._site.shell(
            self._unit,
            f"A=$(losetup -nO BACK-FILE {device}); losetup -d {device} && sleep 1 && rm $A && truncate -s 2G $A && losetup {device} $A",
        )

    def breaks(self, device: str) -> None:
        """Let a device be read no more: it gives input/output errors."""
        self._site.shell(
            self._unit, f"truncate -s 0 $(losetup -nO BACK-FILE {device}) && blockdev --flushbufs {device}"
        )

    def remove(self):
        """Take the OSDs that live on them out of the cluster, then the devices."""
        disks = self._site.run(self._unit, "list-disks")["osds"]
        numbers = ",".join(str(osd["number"]) for osd in disks if osd["device"] in self.made)
        if numbers:
            self._site.run(self._unit, "add-disk", osd_devices="file:3G")
            job = self._site.run(self._unit, "remove-disk", osd_ids=numbers)["job-id"]
            self._site.wait_for_job(self._unit, job)
            self._site.wait_for_health()
        # In a container a device's own name is a mount point, which umount would take away.
        self._site.shell(self._unit, "umount /mnt", check=False)
        for device in self.made:
            self._site.shell(self._unit, f"losetup -d {device}")
        self._site.shell(self._unit, f"rm -rf {IMAGES}", check=False)


@pytest.fixture(scope="module")
def loops(cloud):
    loops = Loops(cloud, "ceph/0")
    yield loops
    loops.remove()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        ("mkfs.ext4 -q $D", "ext4"),
        ("mkfs.ext4 -q $D && mount $D /mnt", "in use"),
        ("echo label: gpt | sfdisk -q $D", "gpt"),
        ("head -c 4096 /dev/urandom > $D", "data in its first or last MiB"),
        (
            "printf 'bluestore block device\\n' | dd of=$D bs=1M seek=1024 conv=notrunc status=none",
            "label at 1 GiB",
        ),
    ],
)
def test_a_device_that_is_not_empty_is_refused(cloud, loops, prepare, reason):
    device = loops.make("2G", prepare)
    before = cloud.osds_of("ceph/0")
    message = cloud.refused("ceph/0", "add-disk", osd_devices=device)
    assert device in message
    assert reason in message
    assert cloud.osds_of("ceph/0") == before


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"osd-devices": "/dev/nothing"}, "there is no such device"),
        ({"osd-devices": "/etc/hostname"}, "not a block device"),
        ({"osd-devices": "file:10"}, "not a size"),
        ({"osd-devices": ""}, "empty"),
        ({"osd-device": "/dev/loop9"}, "osd-device"),
        ({"osd-devices": "/dev/loop9,/dev/loop9"}, "twice"),
        ({"osd-devices": "/dev/loop9", "wipe": True, "confirm": "/dev/loop8"}, "confirm=/dev/loop9"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(cloud, params, reason):
    assert reason in cloud.refused("ceph/0", "add-disk", **params)


def test_good_disks_are_added_beside_a_bad_one_and_twice_is_harmless(cloud, loops):
    good, bad = loops.make("2G"), loops.make("2G", "mkfs.ext4 -q $D")
    before = set(cloud.osds_of("ceph/0"))
    message = cloud.refused("ceph/0", "add-disk", osd_devices=f"{good},{bad}")
    assert f"{good}: is osd." in message
    added = set(cloud.osds_of("ceph/0")) - before
    assert len(added) == 1
    (again,) = cloud.run("ceph/0", "add-disk", osd_devices=good)
    assert (again["state"], again["osd-id"]) == ("present", added.pop())
    cloud.wait_for_health()


def test_a_full_disk_is_taken_only_after_it_was_named_twice(cloud, loops):
    device = loops.make("2G", "mkfs.ext4 -q $D")
    (added,) = cloud.run("ceph/0", "add-disk", osd_devices=device, wipe=True, confirm=device)
    assert added["state"] == "added"
    cloud.wait_for_health()


def test_a_disk_with_data_is_drained_and_removed(cloud, pool):
    cloud.shell("ceph/1", f"rados -p {pool} bench 5 write --no-cleanup -b 65536 >/dev/null")
    number = cloud.osds_of("ceph/0")[-1]
    assert "not an OSD of ceph/1" in cloud.refused("ceph/1", "remove-disk", osd_ids=str(number))
    assert "move" in str(cloud.run("ceph/0", "remove-disk", osd_ids=str(number), dry_run=True))
    job = cloud.run("ceph/0", "remove-disk", osd_ids=str(number), zap=True)["job-id"]
    cloud.wait_for_job("ceph/0", job)
    assert number not in cloud.osds_of("ceph/0")
    assert number not in cloud.ceph("ceph/1", "osd", "ls")
    cloud.wait_for_health()


def test_a_replaced_disk_keeps_its_number(cloud, loops):
    number = cloud.osds_of("ceph/0")[0]
    job = cloud.run("ceph/0", "replace-disk", osd_id=number, device=loops.make("3G"))["job-id"]
    cloud.wait_for_job("ceph/0", job)
    assert number in cloud.osds_of("ceph/0")
    cloud.wait_for_health()


def label(cloud, device: str) -> str:
    """Return the uuid of the OSD whose label a device of the first unit carries; empty where there is none."""
    return cloud.shell("ceph/0", f"head -c 59 {device} | tr -d '\\0' | sed -n 2p").strip()


def wait_until_down(cloud, number: int, seconds: float = 60) -> None:
    """Wait until the cluster has noticed that an OSD is gone, and serves without it."""
    limit = time.monotonic() + seconds
    while True:
        states = cloud.ceph("ceph/0", "status")["pgmap"].get("pgs_by_state", [])
        up = {osd["osd"] for osd in cloud.ceph("ceph/0", "osd", "dump")["osds"] if osd["up"]}
        if number not in up and all("active" in group["state_name"].split("+") for group in states):
            return
        assert time.monotonic() < limit, (
            f"osd.{number} is not taken for down, or groups wait for it: {states}"
        )
        time.sleep(1)


def test_the_disk_that_is_removed_is_erased_and_not_the_one_that_has_its_name(cloud, loops):
    first, second = loops.make("2G"), loops.make("2G")
    added = cloud.run("ceph/0", "add-disk", osd_devices=f"{first} {second}")
    goes, stays = (entry["osd-id"] for entry in added)
    cloud.wait_for_health()
    kept = label(cloud, second)
    cloud.shell("ceph/0", f"systemctl stop ceph-osd@{goes} ceph-osd@{stays}")
    loops.swap(first, second)
    cloud.shell("ceph/0", f"systemctl start ceph-osd@{goes} ceph-osd@{stays}")
    cloud.wait_for_health()
    job = cloud.run("ceph/0", "remove-disk", osd_ids=f"osd.{goes}", zap=True)["job-id"]
    cloud.wait_for_job("ceph/0", job)
    assert (label(cloud, first), label(cloud, second)) == (kept, "")
    disks = {osd["number"]: osd["device"] for osd in cloud.run("ceph/0", "list-disks")["osds"]}
    assert disks[stays] == first
    cloud.wait_for_health()


def test_a_dead_disk_is_replaced_by_one_that_gets_its_name(cloud, loops):
    device = loops.make("2G")
    (added,) = cloud.run("ceph/0", "add-disk", osd_devices=device)
    cloud.wait_for_health()
    number, dead = added["osd-id"], label(cloud, device)
    cloud.shell("ceph/0", f"systemctl stop ceph-osd@{number}")
    loops.exchange(device)
    wait_until_down(cloud, number)
    job = cloud.run("ceph/0", "replace-disk", osd_id=number, device=device)["job-id"]
    assert cloud.wait_for_job("ceph/0", job) == f"osd.{number} is on {device} now"
    assert label(cloud, device) not in {"", dead}
    cloud.wait_for_health()


def test_a_disk_that_cannot_be_read_is_told_and_holds_up_no_other(cloud, loops):
    broken, good = loops.make("2G"), loops.make("2G")
    loops.breaks(broken)
    found = {one["path"]: one["not-usable-because"] for one in cloud.run("ceph/0", "list-disks")["devices"]}
    assert (found[broken], found[good]) == (["cannot be read: Input/output error"], [])
    message = cloud.refused("ceph/0", "add-disk", osd_devices=f"{broken} {good}")
    assert f"{broken}: cannot be read" in message
    assert f"{good}: is osd." in message
    cloud.wait_for_health()


def test_a_disk_in_use_is_never_zapped(cloud):
    device = next(d["path"] for d in cloud.run("ceph/0", "list-disks")["devices"] if d["osd-id"] is not None)
    assert "remove-disk" in cloud.refused("ceph/0", "zap-disk", devices=device, confirm=device)
    assert "confirm=" in cloud.refused("ceph/0", "zap-disk", devices=device, confirm="yes")


def test_no_disk_can_be_removed_that_leaves_too_few_for_the_copies(cloud):
    numbers = ",".join(map(str, cloud.osds_of("ceph/2")))
    assert "copies on different hosts" in cloud.refused("ceph/2", "remove-disk", osd_ids=numbers)
    assert "copies on different hosts" in cloud.refused("ceph/2", "prepare-removal")
