"""Is a disk provably empty, and is it empty for sure when it was erased?"""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import CephMachine
from twin import LABEL, Cluster

import disk
from disk import GIB, MIB, DiskError


@pytest.fixture
def machine():
    return CephMachine(Cluster(), 0)


@pytest.fixture
def sdb(machine):
    return machine.plug_in("sdb")


def test_a_disk_is_found_behind_its_name(machine, sdb):
    machine.link("/dev/disk/by-id/x", "../../sdb")
    assert disk.find(machine, "/dev/disk/by-id/x") == "/dev/sdb"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/dev/sdz", "/dev/sdz: there is no such device on machine-0"),
        ("/etc/passwd", "/etc/passwd: not a block device; for an OSD in a file say file:SIZE"),
        ("/dev/sdb1", "/dev/sdb1: a partition; name the whole disk"),
    ],
)
def test_what_is_no_whole_disk_is_refused(machine, sdb, name, message):
    machine.write("/etc/passwd", "")
    machine.plug_in("sdb1")
    machine.write("/sys/class/block/sdb1/partition", "1\n")
    with pytest.raises(DiskError, match=message):
        disk.find(machine, name)


def test_an_empty_disk_is_empty(machine, sdb):
    assert disk.objections(machine, "/dev/sdb") == []


@pytest.mark.parametrize(
    ("offset", "content", "objection"),
    [
        pytest.param(0x438, b"\x53\xef", r"has a signature \(ext4\)", id="a file system"),
        pytest.param(0x200, b"EFI PART", r"has a signature \(gpt\)", id="a partition table"),
        pytest.param(-0x200, b"EFI PART", "has signatures that wipefs knows", id="a stale one at the end"),
        pytest.param(4096, b"\1", "has data in its first or last MiB", id="anything at the start"),
        pytest.param(-1, b"\1", "has data in its first or last MiB", id="anything at the end"),
        pytest.param(0, LABEL, "has a BlueStore label at 0 GiB", id="a BlueStore label"),
        pytest.param(GIB, LABEL, "has a BlueStore label at 1 GiB", id="its copy at 1 GiB only"),
        pytest.param(10 * GIB, LABEL, "has a BlueStore label at 10 GiB", id="its copy at 10 GiB only"),
    ],
)
def test_a_disk_with_something_on_it_is_not(machine, sdb, offset, content, objection):
    sdb.write(offset, content)
    assert re.search(objection, "; ".join(disk.objections(machine, "/dev/sdb")))


def test_the_label_is_looked_for_as_far_as_the_disk_goes(machine):
    machine.plug_in("big", 1001 * GIB).write(1000 * GIB, LABEL)
    assert disk.objections(machine, "/dev/big") == ["has a BlueStore label at 1000 GiB"]
    machine.plug_in("small", MIB)
    assert disk.objections(machine, "/dev/small") == []


def test_a_held_disk_is_in_use(machine, sdb):
    sdb.holder = "mount"
    assert disk.objections(machine, "/dev/sdb") == [
        "in use (mounted, part of an array, or held by a program)"
    ]


def test_whose_disk_it_is_stands_in_its_label(machine, sdb):
    uuid = "0f6e3e1c-0000-4000-8000-000000000001"
    assert disk.read_label(machine, "/dev/sdb") is None
    for words, role in ((b"main", "block"), (b"bluefs db", "block.db"), (b"bluefs wal", "block.wal")):
        sdb.write(0, LABEL + uuid.encode() + b"\n" + words)
        assert disk.read_label(machine, "/dev/sdb") == disk.Label(uuid, role)


def test_only_what_bears_the_expected_label_is_erased(machine, sdb):
    mine, other = (disk.Label(f"0f6e3e1c-0000-4000-8000-00000000000{n}", "block") for n in (1, 2))
    sdb.write(0, LABEL + other.uuid.encode() + b"\nmain")
    with pytest.raises(DiskError, match=f"another label than that of OSD {mine.uuid}; nothing was erased"):
        disk.erase_labelled(machine, "/dev/sdb", mine)
    assert disk.read_label(machine, "/dev/sdb") == other
    disk.erase_labelled(machine, "/dev/sdb", other)
    assert disk.objections(machine, "/dev/sdb") == []


@given(
    st.integers(5, 12 * GIB // MIB).map(lambda mib: mib * MIB),
    st.lists(
        st.tuples(
            st.sampled_from([0, 0x200, 0x438, MIB, GIB, 10 * GIB, -0x200, -1]),
            st.binary(min_size=1, max_size=9),
        )
    ),
)
def test_whatever_was_on_it_an_erased_disk_is_empty(size, writes):
    machine = CephMachine(Cluster(), 0)
    device = machine.plug_in("sdb", size)
    for offset, content in writes:
        if offset + len(content) <= size:
            device.write(
                offset if offset >= 0 else size + offset, content[: abs(offset)] if offset < 0 else content
            )
    device.write(0, LABEL)
    disk.erase(machine, "/dev/sdb")
    assert disk.objections(machine, "/dev/sdb") == []


def test_only_flash_is_discarded(machine):
    machine.plug_in("hdd", discards=True)
    machine.plug_in("ssd", discards=True, rotates=False)
    disk.erase(machine, "/dev/hdd")
    assert "blkdiscard -o 4096 /dev/hdd" not in machine.log
    disk.erase(machine, "/dev/ssd")
    assert "blkdiscard -o 4096 /dev/ssd" in machine.log


def test_a_disk_in_use_is_not_erased(machine, sdb):
    sdb.write(0, LABEL)
    sdb.holder = "osd.0"
    with pytest.raises(DiskError, match="/dev/sdb: in use; stop what holds it first"):
        disk.erase(machine, "/dev/sdb")
    assert sdb.read(0, len(LABEL)) == LABEL


def test_erasing_that_did_not_help_is_told(machine, sdb):
    sdb.write(0, LABEL)
    machine.handlers |= dict.fromkeys(["wipefs", "blkdiscard"], lambda *_: None)
    with pytest.raises(
        DiskError, match=r"/dev/sdb: still not empty after erasing: .*BlueStore label at 0 GiB"
    ):
        disk.erase(machine, "/dev/sdb")


# Files and lists


def test_a_file_is_made_for_an_osd_alone(machine):
    path = disk.make_file(machine, "10G", "some-uuid")
    assert path == "/var/lib/ceph/openinfra/osd-some-uuid.img"
    assert machine.size(path) == 10 * GIB
    assert (machine.nodes[path].mode, machine.nodes[path].owner) == (0o600, ("ceph", "ceph"))


@pytest.mark.parametrize("size", ["", "10", "1023M", "ten"])
def test_a_bad_size_makes_no_file(machine, size):
    with pytest.raises(DiskError, match=f"file:{size}: not a size of at least 1G"):
        disk.make_file(machine, size, "some-uuid")
    assert machine.log == []


def test_a_file_has_to_fit(machine):
    with pytest.raises(DiskError, match="file:2T: /var/lib/ceph/openinfra has 1024G free"):
        disk.make_file(machine, "2T", "some-uuid")
    assert machine.list_folder(disk.FILE_FOLDER) == []


def test_devices_are_listed_but_for_empty_drives_and_those_of_the_host(machine, sdb):
    shown = [{"path": path, "size": size, "model": None, "rota": True} for path, size in
             [("/dev/sdb", 20 * GIB), ("/dev/sr0", 0), ("/dev/hosts-own", GIB)]]  # fmt: skip
    machine.handlers["lsblk"] = lambda *_: json.dumps({"blockdevices": shown})
    assert [device["path"] for device in disk.list_devices(machine)] == ["/dev/sdb"]
    machine.handlers["lsblk"] = lambda *_: ""
    assert disk.list_devices(machine) == []
