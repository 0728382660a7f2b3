"""The machine in memory behaves as a real one where tests rely on it."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openinfra_charm.testing import Disk, MemoryMachine

SIZE = 64
WRITES = st.lists(
    st.tuples(
        st.sampled_from(["write", "erase"]), st.integers(0, SIZE - 1), st.binary(min_size=1, max_size=16)
    ),
    max_size=8,
)


@given(WRITES, st.integers(-SIZE, SIZE), st.integers(0, SIZE))
def test_a_disk_reads_as_a_row_of_bytes_would(writes, offset, size):
    disk, plain = Disk(SIZE), bytearray(SIZE)
    for verb, place, data in writes:
        fitting = data[: SIZE - place]
        if verb == "write":
            disk.write(place, fitting)
            plain[place : place + len(fitting)] = fitting
        else:
            disk.erase(place, len(fitting))
            plain[place : place + len(fitting)] = bytes(len(fitting))
    start = offset if offset >= 0 else SIZE + offset
    assert disk.read(offset, size) == bytes(plain[start : start + size])


def test_a_disk_of_a_thousand_gigabytes_takes_no_memory():
    disk = Disk(1000 << 30)
    disk.write(-4, b"last")
    assert disk.read(-6, 10) == b"\0\0last"
    assert disk.read((1000 << 30) - 4, 4) == b"last"


def test_a_block_device_is_found_behind_links_and_may_be_held():
    machine = MemoryMachine()
    machine.add_disk("/dev/sdb", Disk(SIZE))
    machine.link("/dev/disk/by-id/x", "../../sdb")
    assert machine.resolve("/dev/disk/by-id/x") == "/dev/sdb"
    assert machine.is_block_device("/dev/disk/by-id/x")
    assert machine.open_exclusively("/dev/disk/by-id/x")
    machine.disk("/dev/sdb").holder = "mount"
    assert not machine.open_exclusively("/dev/sdb")
    assert not machine.open_exclusively("/dev/sdc")


def test_a_sparse_file_has_bytes_but_is_no_device():
    machine = MemoryMachine()
    machine.allocate("/image", SIZE, user="ceph")
    assert machine.read_bytes("/image", 3) == b"\0\0\0"
    assert machine.size("/image") == SIZE
    assert not machine.is_block_device("/image")
    with pytest.raises(FileExistsError):
        machine.allocate("/image", SIZE)
    with pytest.raises(FileNotFoundError, match="/nothing"):
        machine.size("/nothing")


# Disks


def test_a_start_gives_disks_other_names_and_serial_numbers_stay_with_them():
    machine = MemoryMachine()
    machine.renames_disks = True
    first, second = machine.plug_in("sda", serial="ata-1"), machine.plug_in("sdb")
    assert machine.disk("/dev/disk/by-id/ata-1") is first
    machine.power_off()
    machine.power_on()
    assert (machine.disk("/dev/sda"), machine.disk("/dev/sdb")) == (second, first)
    assert machine.resolve("/dev/disk/by-id/ata-1") == "/dev/sdb"


@pytest.mark.parametrize(("number", "opens"), [(errno.EIO, True), (errno.ENOMEDIUM, False)])
def test_a_broken_disk_and_an_empty_drive_cannot_be_read(number, opens):
    machine = MemoryMachine()
    machine.plug_in("sda").errno = number
    for attempt in (
        lambda: machine.read_bytes("/dev/sda", 1),
        lambda: machine.disk("/dev/sda").write(0, b"x"),
    ):
        with pytest.raises(OSError, match=r"error|medium"):
            attempt()
    assert machine.open_exclusively("/dev/sda") == opens


def test_a_service_with_another_key_needs_its_restart(machine):
    machine.have("/var/lib/ceph/mgr/ceph-a/keyring", "old")
    machine.start_services("ceph-mgr@a.service")
    machine.restart_services("ceph-mgr@a.service")
    assert machine.needless == ["ceph-mgr@a.service"]
    machine.have("/var/lib/ceph/mgr/ceph-a/keyring", "new")
    machine.restart_services("ceph-mgr@a.service")
    assert machine.needless == ["ceph-mgr@a.service"]


def test_a_program_that_may_take_only_so_long_is_run(machine):
    machine.handlers["ask"] = lambda argv, stdin: f"{argv[1]} {stdin}"
    assert machine.run("timeout", "--kill-after=5", "40", "ask", "him", stdin="now").stdout == "him now"
    assert machine.run("timeout", "40", "nobody", check=False).code == 127
