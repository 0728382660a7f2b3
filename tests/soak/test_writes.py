"""The log of a disk's writes as QEMU writes it, and the disks that are made of it."""

import random

import pytest

from .power import image
from .power.writes import BLOCK, Log

SIZE = 64 * BLOCK


@pytest.fixture
def log(tmp_path, tell):
    """Two blocks of 1, flushed; then the second one again and a third, of 2; then half a block of 3; and the flushes with which QEMU ends."""
    image.prepare_host(tell=tell)
    disk, path = tmp_path / "disk", tmp_path / "log"
    for file, size in ((disk, SIZE), (path, 0)):
        file.write_bytes(bytes(size))
    commands = ("write -P 1 0 8k", "flush", "write -P 2 4k 8k", "write -P 3 32k 2k")
    options = f"driver=blklogwrites,file.driver=file,file.filename={disk},log.driver=file,log.filename={path}"
    image.run("qemu-io", *(part for command in commands for part in ("-c", command)), "--image-opts", options)
    return Log(path)


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "new"
    path.write_bytes(bytes(SIZE))
    return path


def blocks(disk) -> list[int]:
    """What the first bytes of the blocks are, as far as they were written."""
    content = disk.read_bytes()
    return [content[place] for place in (0, BLOCK, 2 * BLOCK, 8 * BLOCK)]


def test_every_write_and_flush_is_read_in_order(log):
    assert [(write.place, write.size, write.is_flush) for write in log.writes[:4]] == [
        (0, 2 * BLOCK, False),
        (0, 0, True),
        (BLOCK, 2 * BLOCK, False),
        (8 * BLOCK, BLOCK // 2, False),
    ]
    assert all(write.is_flush for write in log.writes[4:])
    assert log.flushes == len(log.writes) - 3


def test_a_replay_to_the_end_is_the_disk_itself(log, disk, tmp_path):
    log.replay(disk, 0, len(log.writes))
    assert disk.read_bytes() == (tmp_path / "disk").read_bytes()


def test_a_disk_keeps_what_it_flushed_and_of_the_rest_whole_blocks(log, disk):
    assert log.last_flush(4) == 2
    log.replay(disk, 0, 2)
    assert blocks(disk) == [1, 1, 0, 0]
    seen = set()
    for seed in range(40):
        log.replay(disk, 0, 2)
        log.scatter(disk, 2, 4, random.Random(seed), 0.5)
        seen.add(tuple(blocks(disk)))
        disk.write_bytes(bytes(SIZE))
    assert seen == {(1, second, third, last) for second in (1, 2) for third in (0, 2) for last in (0, 3)}


def test_a_position_in_the_log_is_a_number_of_writes(log):
    assert [log.before(write.end) for write in log.writes[:4]] == [1, 2, 3, 4]
    assert log.before(log.writes[2].end - 1) == 2


def test_a_log_that_was_cut_off_ends_with_its_last_whole_write(log, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(path.read_bytes()[: log.writes[2].end - 1])
    assert len(Log(path).writes) == 2
