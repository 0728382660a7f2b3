"""A Ceph daemon with a configuration of its own, and what it restarts for."""

import pytest

from openinfra_charm.ceph.daemon import Daemon
from openinfra_charm.daemon.render import File
from openinfra_charm.testing import Software

UNIT = "ceph-mds@machine-0.service"


CONFIG = "mon_host = 10.0.0.1\nmds_join_fs = files\n"


def render(daemon, key="secret", config=CONFIG, drop_in="[Service]\n", **more):
    files = {
        "config": File(path=daemon.config, content=config),
        "drop_in": File(path=daemon.drop_in, content=drop_in),
    }
    daemon.render(key=key, **files, **more)


@pytest.fixture
def daemon(machine):
    daemon = Daemon(machine, "files", unit=UNIT, user="mds.machine-0")
    render(daemon)
    daemon.apply()
    return daemon


def test_its_key_is_its_own(machine, daemon):
    assert machine.read(daemon.keyring) == "[mds.machine-0]\n\tkey = secret\n"
    assert (machine.nodes[daemon.keyring].mode, machine.nodes[daemon.keyring].owner) == (0o600, ("ceph",) * 2)


def test_it_is_restarted_for_what_else_it_reads_at_its_start(machine):
    daemon = Daemon(machine, "files", unit=UNIT, user="mds.machine-0", files=("/etc/files/more.pem",))
    render(daemon, config="")
    daemon.apply()
    assert not daemon.outdated()
    machine.have("/etc/files/more.pem", "a CA")
    assert daemon.outdated()


def test_nothing_new_changes_nothing(machine, daemon):
    machine.log.clear()
    render(daemon)
    daemon.apply()
    assert (machine.log, daemon.outdated()) == ([], False)


@pytest.mark.parametrize(
    ("changed", "outdated"),
    [
        ({"config": "mon_host = 10.0.0.2\nmds_join_fs = files\n"}, False),
        ({"config": "mon_host = 10.0.0.1\nmds_join_fs = other\n"}, True),
        ({"key": "another"}, True),
        ({"drop_in": "[Unit]\n"}, True),
    ],
)
def test_it_is_restarted_for_all_but_other_monitors(daemon, changed, outdated):
    render(daemon, **changed)
    assert daemon.outdated() == outdated
    daemon.restart()
    assert not daemon.outdated()


class Programs(Software):
    """Packages of Ceph: each service runs what was installed when it started."""

    version = "18.2.7+ds-1"

    def version_of(self, package):
        del package
        return self.version

    def program_of(self, unit):
        del unit
        return self.version


@pytest.mark.parametrize(
    ("cluster", "outdated"), [("", False), ("18.2.7", False), ("20.2.4", True), ("20.2.5", True)]
)
def test_it_takes_newer_packages_up_after_the_cluster(machine, daemon, cluster, outdated):
    programs = Programs()
    machine.bring(programs)
    machine.install_packages(["ceph-common"])
    daemon.restart()
    programs.version = "20.2.4+ds-2"
    machine.install_packages(["ceph-common"])
    config = "mon_host = 10.0.0.1\nmds_join_fs = files\n"
    render(daemon, config=config, cluster_version=cluster)
    assert daemon.outdated() == outdated
    daemon.restart()
    assert not daemon.outdated()
