"""What applications must not leave on their machines."""

_APIS = ("cinder", "glance", "neutron", "nova", "nova-compute", "octavia")
LEFT = {
    **{name: f"/etc/{name} /opt/{name} /var/lib/{name} /etc/systemd/system/{name}-*" for name in _APIS},
    "kvm-host": "/etc/pki/qemu/server-key.pem /etc/pki/libvirt/private/clientkey.pem /var/lib/openinfra/kvm-host",
    "ceph-rgw": "/etc/ceph-rgw /opt/ceph-rgw",
    "keystone": "/etc/keystone /opt/keystone /var/lib/keystone /etc/systemd/system/keystone-*",
    "memcached": "/etc/memcached.conf /etc/memcached",
    "placement": "/etc/placement /opt/placement /var/lib/placement /etc/systemd/system/placement-*",
    "horizon": "/etc/horizon /opt/horizon /var/lib/horizon /etc/systemd/system/horizon-*",
    "gateway": "/etc/gateway",
    "ovn-chassis": "/etc/ovn-chassis /etc/systemd/system/ovn-controller.service.d",
    "ovn-central": "/var/lib/ovn/ovnnb_db.db /etc/ovn-central /etc/systemd/system/ovn-northd.service.d",
    "mysql": "/var/lib/mysql/ibdata1 /etc/mysql/mariadb.conf.d/99-openinfra.cnf",
    "rabbitmq": "/etc/rabbitmq /var/lib/rabbitmq/mnesia/* /etc/systemd/system/epmd.socket.d",
}
"""What must not be there any more when an application is gone."""
WRITTEN = "grep -ls 'Written by openinfra' /etc/haproxy/haproxy.cfg"
"""Tells what is left in a file of a package's own, which stays where the package came for another application."""
