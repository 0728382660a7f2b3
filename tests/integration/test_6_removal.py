"""Applications are removed one after the other beside the rest, which serve on and keep every file."""

import pytest

ORDER = ("ceph-fs", "ceph-rgw", "keystone", "memcached", "gateway", "mysql", "certificates")
"""Each before those that it needs."""
FOLDERS = {
    "ceph": ("/etc/ceph", "/var/lib/openinfra/ceph"),
    "ceph-rgw": ("/etc/ceph-rgw", "/var/lib/openinfra/ceph-rgw"),
    "host": ("/var/lib/openinfra/host",),
    "keystone": ("/etc/keystone", "/var/lib/openinfra/keystone"),
    "memcached": ("/etc/memcached.conf",),
    "gateway": ("/etc/haproxy", "/etc/keepalived"),
    "mysql": ("/etc/mysql", "/var/lib/openinfra/mysql"),
}
LEFT = {
    "ceph-rgw": "/etc/ceph-rgw /opt/ceph-rgw",
    "keystone": "/etc/keystone /opt/keystone /var/lib/keystone /etc/systemd/system/keystone-*",
    "memcached": "/etc/memcached.conf /etc/memcached",
    "gateway": "/etc/haproxy/haproxy.cfg /etc/gateway",
    "mysql": "/var/lib/mysql/ibdata1 /etc/mysql/mariadb.conf.d/99-openinfra.cnf",
}
"""What must not be there any more when an application is gone."""
OWN = {
    "ceph-fs": ("ceph-mds",),
    "ceph-rgw": ("ceph-radosgw", "radosgw"),
    "keystone": ("keystone",),
    "memcached": ("memcached",),
    "gateway": ("haproxy", "keepalived"),
    "mysql": ("mariadb",),
    "certificates": (),
}
"""How the daemons are named that go with an application; all others go on undisturbed."""
DAEMONS = [
    f"{name}.service" for name in ("ceph-*", "keystone*", "mariadb*", "memcached", "haproxy", "keepalived")
]
UNSERVED = {"FS_DEGRADED", "FS_WITH_FAILED_MDS", "MDS_INSUFFICIENT_STANDBY"}
"""What Ceph warns of when nobody serves a file system."""


def files(cloud, unit: str, application: str) -> set[str]:
    """An application's files on a machine, each with its content's time and its place on the disk."""
    folders = " ".join(FOLDERS[application])
    return set(cloud.shell(unit, f"find {folders} -type f -printf '%p %T@ %i\\n'", check=False).splitlines())


@pytest.mark.parametrize("application", ORDER)
def test_the_rest_serves_on(cloud, application):
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
        assert cloud.shell(unit, f"ls -d {LEFT.get(application, '')} 2>/dev/null", check=False) in {"", ".\n"}
        goes_on = {item for item in ran[unit].items() if not item[0].startswith(OWN[application])}
        assert goes_on
        assert goes_on <= cloud.invocations(unit, *DAEMONS).items()
    cloud.wait_for_health(besides=UNSERVED)
