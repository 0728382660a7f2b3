"""The cloud on top of Ceph is taken down at once, as a script does it."""

from .removal import LEFT, WRITTEN

APPLICATIONS = (
    "ceph-fs",
    "ceph-rgw",
    "horizon",
    "octavia",
    "nova-compute",
    "kvm-host",
    "nova",
    "cinder",
    "neutron",
    "glance",
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
SERVICES = (
    "ceph-mds@* ceph-radosgw@* ceph-rgw-* cinder-* glance-* horizon-* keystone-* libvirtd* neutron-* nova-* octavia-* placement-* "
    "mariadb* memcached* haproxy* keepalived* rabbitmq* epmd* ovn-* ovs-*"
)


def test_applications_that_go_together_leave_nothing_behind(cloud):
    """Their relations end together, so that some hooks are about relations that are gone from the model."""
    cloud.juju.remove_application(*APPLICATIONS)
    cloud.juju.wait(lambda status: not status.apps.keys() & set(APPLICATIONS), delay=2, timeout=600)
    cloud.settle()
    for unit in cloud.units("ceph"):
        left = f"ls -d {' '.join(LEFT.values())} 2>/dev/null; {WRITTEN}"
        assert cloud.shell(unit, left, check=False) == ""
        running = cloud.shell(unit, f"systemctl list-units --plain --no-legend --state=active {SERVICES}")
        assert not [line for line in running.splitlines() if ".service" in line], unit
