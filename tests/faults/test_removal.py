"""What goes for good: a machine, which another one replaces; and applications, one after the other, beside the rest."""

import time

import pytest

from tests.integration.removal import LEFT, WRITTEN
from tests.integration.site import load

ORDER = (
    "ceph-fs",
    "ceph-rgw",
    "horizon",
    "placement",
    "keystone",
    "memcached",
    "gateway",
    "mysql",
    "rabbitmq",
    "ovn-chassis",
    "ovn-central",
    "certificates",
)
"""Each before those that it needs."""
FOLDERS = {
    "ceph": ("/etc/ceph", "/var/lib/openinfra/ceph"),
    "ceph-rgw": ("/etc/ceph-rgw", "/var/lib/openinfra/ceph-rgw"),
    "horizon": ("/etc/horizon", "/var/lib/openinfra/horizon"),
    "host": ("/var/lib/openinfra/host",),
    "keystone": ("/etc/keystone", "/var/lib/openinfra/keystone"),
    "memcached": ("/etc/memcached.conf",),
    "placement": ("/etc/placement", "/var/lib/openinfra/placement"),
    "gateway": ("/etc/haproxy", "/etc/keepalived"),
    "mysql": ("/etc/mysql", "/var/lib/openinfra/mysql"),
    "ovn-chassis": ("/etc/ovn-chassis", "/var/lib/openinfra/ovn-chassis"),
    "ovn-central": ("/etc/ovn-central", "/var/lib/openinfra/ovn-central"),
    "rabbitmq": ("/etc/rabbitmq", "/var/lib/openinfra/rabbitmq"),
}
OWN = {
    "ceph-fs": ("ceph-mds",),
    "ceph-rgw": ("ceph-radosgw", "ceph-rgw", "radosgw"),
    "horizon": ("horizon",),
    "placement": ("placement",),
    "keystone": ("keystone",),
    "memcached": ("memcached",),
    "gateway": ("haproxy", "keepalived"),
    "mysql": ("mariadb",),
    "ovn-chassis": ("openvswitch", "ovn-chassis", "ovn-controller", "ovn-host", "ovs"),
    "ovn-central": ("ovn-",),
    "rabbitmq": ("rabbitmq", "epmd"),
    "certificates": (),
}
"""How the daemons are named that go with an application; all others go on undisturbed."""
DAEMONS = [
    f"{name}.service"
    for name in (
        "ceph-*",
        "horizon*",
        "placement*",
        "keystone*",
        "mariadb*",
        "memcached",
        "haproxy",
        "keepalived",
        "rabbitmq*",
        "ovn-*",
        "ovs-*",
    )
]
UNSERVED = {"FS_DEGRADED", "FS_WITH_FAILED_MDS", "MDS_INSUFFICIENT_STANDBY"}
"""What Ceph warns of when nobody serves a file system."""


def test_a_destroyed_machine_is_replaced(cloud, pool):
    lost = next(unit for unit in cloud.units("ceph")[1:] if unit != cloud.leader("ceph"))
    host, machine, osds = cloud.hostname_of(lost), cloud.machine_of(lost), set(cloud.osds_of(lost))
    with load(cloud, "ceph/0", pool) as clients:
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


def files(cloud, unit: str, application: str) -> set[str]:
    """An application's files on a machine, each with its content's time and its place on the disk."""
    folders = " ".join(FOLDERS[application])
    return set(cloud.shell(unit, f"find {folders} -type f -printf '%p %T@ %i\\n'", check=False).splitlines())


@pytest.mark.parametrize("application", ORDER)
def test_the_rest_serves_on(cloud, application):
    """They keep every file, too."""
    later = [name for name in FOLDERS if name not in ORDER[: ORDER.index(application) + 1]]
    machines = cloud.units("ceph")
    before = {(unit, other): files(cloud, unit, other) for unit in machines for other in later}
    ran = {unit: cloud.invocations(unit, *DAEMONS) for unit in machines}

    cloud.juju.remove_application(application)
    cloud.juju.wait(lambda status: application not in status.apps, timeout=300)
    cloud.settle()

    for (unit, other), known in before.items():
        # Some tell their daemons of a client that is gone; nothing of theirs goes with it.
        assert {line.split()[0] for line in known} <= {line.split()[0] for line in files(cloud, unit, other)}
    for unit in machines:
        left = f"ls -d {LEFT.get(application, '')} 2>/dev/null"
        if application == "gateway":
            left += f"; {WRITTEN}"
        assert cloud.shell(unit, left, check=False) in {"", ".\n"}
        goes_on = {item for item in ran[unit].items() if not item[0].startswith(OWN[application])}
        assert goes_on
        assert goes_on <= cloud.invocations(unit, *DAEMONS).items()
    cloud.wait_for_health(besides=UNSERVED)
