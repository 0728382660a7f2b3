"""The power of a whole machine is cut while it writes: what it had acknowledged is there, and it serves by itself.

The machine is a QEMU guest that is killed with SIGKILL. Each write and each flush of its disk is logged, so that the disk
can be looked at as it was at other moments too, also without what a real disk loses with its cache. Each test first
shows that it sees a loss: with settings, programs or a disk that do lose something.
"""

import time
from pathlib import Path

import pytest

from openinfra_model.devtools import pack

from .power import image
from .power.guest import workshop
from .power.lives import HONEST, IGNORANT, Finding, live
from .power.loads import Database, Files, Objects

ROOT = Path(__file__).parents[2]
CUTS = 12
"""Moments of each life at which its disk is looked at."""
FEW_CUTS = 4


@pytest.fixture(scope="module")
def archives():
    pack.pack(ROOT)
    return {name: ROOT / f"build/openinfra-{name}.charm" for name in ("ceph", "mysql")}


@pytest.fixture(scope="module")
def guest_image(request):
    tell = request.config.pluginmanager.get_plugin("terminalreporter").write_line
    image.prepare_host(tell=tell)
    return image.ensure(tell=tell)


@pytest.fixture
def shop(guest_image, archives):
    with workshop(guest_image, archives) as shop:
        yield shop


@pytest.fixture
def examine(shop, chance, tell):
    """Let a machine live under a load and die, and say what is found on its disk, at other moments of its life too."""

    def examine(load, cuts: int) -> list[Finding]:
        life = live(shop, load, chance, tell)
        findings = []
        for finding in life.examine([*life.moments(chance, cuts), life.forgetful()]):
            tell(str(finding))
            findings.append(finding)
        return findings

    return examine


def lost(findings: list[Finding]) -> list[Finding]:
    """Return where something was missing for want of a sync: the disks did what they said, and all served."""
    return [found for found in findings if found.disk in HONEST and found.missing]


def hold(examine, load, seconds: float) -> None:
    """Let machines live and die for as long as there is time: nothing that one of them acknowledged may be missing."""
    end = time.monotonic() + seconds
    while True:
        findings = examine(load, CUTS)
        assert not [str(found) for found in findings if found.disk in HONEST and not found.is_good]
        assert [found for found in findings if found.disk == IGNORANT and not found.is_good], (
            "nothing is missing on a disk that ignores flushes: all this proves nothing"
        )
        if time.monotonic() > end:
            return


@pytest.mark.parametrize("file_system", ["ext4", "xfs"])
def test_what_a_charm_writes_is_whole_and_there(examine, chance, seconds, file_system):
    assert lost(
        examine(Files(chance.randrange(1 << 32), file_system=file_system, verb="careless"), FEW_CUTS)
    ), "files that nobody synced were there: all this proves nothing"
    hold(examine, Files(chance.randrange(1 << 32), file_system=file_system), seconds)


def test_mariadb_keeps_each_row(examine, seconds):
    assert lost(examine(Database(weak="innodb_flush_log_at_trx_commit = 2"), FEW_CUTS)), (
        "innodb_flush_log_at_trx_commit = 2 lost nothing: all this proves nothing"
    )
    hold(examine, Database(), seconds)


def test_ceph_keeps_each_object(examine, seconds):
    hold(examine, Objects(), seconds)
