"""What applications must not leave on their machines."""

LEFT = {
    "ceph-rgw": "/etc/ceph-rgw /opt/ceph-rgw",
    "keystone": "/etc/keystone /opt/keystone /var/lib/keystone /etc/systemd/system/keystone-*",
    "memcached": "/etc/memcached.conf /etc/memcached",
    "gateway": "/etc/haproxy/haproxy.cfg /etc/gateway",
    "mysql": "/var/lib/mysql/ibdata1 /etc/mysql/mariadb.conf.d/99-openinfra.cnf",
    "rabbitmq": "/etc/rabbitmq /var/lib/rabbitmq/mnesia/* /etc/systemd/system/epmd.socket.d",
}
"""What must not be there any more when an application is gone."""
