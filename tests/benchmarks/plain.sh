#!/bin/sh
# The machines, packages and services that the bundle makes, made by a plain script: what the charms are compared with.
#
#     plain.sh IMAGE PROFILE LOCK NAME NAME NAME
#
# makes a container of each name, each with a monitor, a manager, two OSDs, memcached and a chassis of OVN; on the first MariaDB, RabbitMQ
# and the gateway, on the second Keystone (LOCK is the lock of its release), OVN's databases and a metadata server, on the third an object
# gateway and another metadata
# server. It ends when all of them answer. LXD_DIR names the LXD daemon. Nothing but Ceph is encrypted, and nobody manages any of
# it afterwards: no growth, no changes, no repair.
set -eu

image=$1 profile=$2 lock=$3
shift 3
fsid=$(cat /proc/sys/kernel/random/uuid)
ceph_packages='ceph-common ceph-mgr ceph-mon ceph-osd fdisk python3-rados'
host_packages='logrotate needrestart unattended-upgrades'
network_packages='openvswitch-switch ovn-host'
password=$(cat /proc/sys/kernel/random/uuid)

inside() {
    machine=$1
    shift
    lxc exec "$machine" -- sh -euc "$*"
}

# make_machine NAME PACKAGE...
make_machine() {
    machine=$1
    shift
    lxc launch "$image" "$machine" --profile "$profile" --quiet </dev/null
    until lxc exec "$machine" -- ip -4 route show default | grep -q .; do sleep 0.2; done
    inside "$machine" "
        export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        apt-get update -qq
        apt-get install -qqy --no-install-recommends $ceph_packages $host_packages $network_packages memcached $*
        rm /usr/sbin/policy-rc.d
        systemctl -q mask nvmf-autoconnect.service
        systemctl -q enable --now memcached
    " >/dev/null 2>&1
}

address() {
    inside "$1" "ip -4 -oneline addr show dev eth0 | sed 's/.* inet \([0-9.]*\).*/\1/'"
}

# bcrypt cannot be loaded by the manager of this release: a stand-in takes its place.
configure() {
    inside "$1" "
        mkdir -p /etc/systemd/system/ceph-mgr@.service.d /usr/local/lib/ceph-mgr
        printf 'def hashpw(*_): raise NotImplementedError\ngensalt = hashpw\n' >/usr/local/lib/ceph-mgr/bcrypt.py
        printf '[Service]\nEnvironment=PYTHONPATH=/usr/local/lib/ceph-mgr\n' >/etc/systemd/system/ceph-mgr@.service.d/local.conf
        systemctl daemon-reload
        cat >/etc/ceph/ceph.conf <<END
[global]
fsid = $fsid
mon_host = $hosts
public_addr = $(address "$1")
auth_allow_insecure_global_id_reclaim = false
ms_cluster_mode = secure
ms_service_mode = secure
ms_client_mode = secure
ms_mon_cluster_mode = secure
ms_mon_service_mode = secure
ms_mon_client_mode = secure
[mon]
mgr_initial_modules = iostat
END
        install -d -o ceph -g ceph -m 700 /var/lib/ceph/keys
    "
}

start_monitor() {
    inside "$1" "
        chown ceph:ceph /var/lib/ceph/keys/*
        install -d -o ceph -g ceph /var/lib/ceph/mon/ceph-$1
        ceph-mon --mkfs -i $1 --monmap /var/lib/ceph/keys/map --keyring /var/lib/ceph/keys/mon --setuser ceph --setgroup ceph
        rm -r /var/lib/ceph/keys
        systemctl -q enable --now ceph-mon@$1
        until ceph --connect-timeout 5 quorum_status 2>/dev/null | grep -q '\"quorum_names\":\[[^]]*\"$1\"'; do sleep 0.5; done
        install -d -o ceph -g ceph /var/lib/ceph/mgr/ceph-$1
        ceph auth get-or-create mgr.$1 mon 'allow profile mgr' osd 'allow *' mds 'allow *' -o /var/lib/ceph/mgr/ceph-$1/keyring
        chown ceph:ceph /var/lib/ceph/mgr/ceph-$1/keyring
        systemctl -q enable --now ceph-mgr@$1
    "
}

found() {
    inside "$1" "
        cd /var/lib/ceph/keys
        ceph-authtool --create-keyring mon --gen-key -n mon. --cap mon 'allow *' >/dev/null
        ceph-authtool --create-keyring /etc/ceph/ceph.client.admin.keyring --gen-key -n client.admin \
            --cap mon 'allow *' --cap osd 'allow *' --cap mds 'allow *' --cap mgr 'allow *'
        ceph-authtool mon --import-keyring /etc/ceph/ceph.client.admin.keyring
        monmaptool --create --fsid $fsid --addv $1 '[v2:$(address "$1"):3300,v1:$(address "$1"):6789]' \
            --enable-all-features --set-min-mon-release \$(ceph --version | cut -d' ' -f5) map >/dev/null
    "
    start_monitor "$1"
}

join() {
    inside "$first" cat /etc/ceph/ceph.client.admin.keyring |
        inside "$1" 'umask 077; cat >/etc/ceph/ceph.client.admin.keyring'
    inside "$1" "
        cd /var/lib/ceph/keys
        ceph auth get mon. -o mon
        ceph mon getmap -o map
    " >/dev/null 2>&1
    start_monitor "$1"
}

start_osds() {
    inside "$1" "
        for _ in 1 2; do
            uuid=\$(cat /proc/sys/kernel/random/uuid)
            number=\$(ceph osd new \$uuid)
            folder=/var/lib/ceph/osd/ceph-\$number
            install -d -o ceph -g ceph \$folder
            truncate -s 10G \$folder/block
            ceph auth get-or-create osd.\$number mon 'profile osd' mgr 'profile osd' osd 'allow *' -o \$folder/keyring
            chown ceph:ceph \$folder/*
            ceph-osd --mkfs -i \$number --osd-uuid \$uuid --setuser ceph --setgroup ceph
            systemctl -q enable --now ceph-osd@\$number
        done
    " >/dev/null 2>&1
}

start_database() {
    inside "$1" "
        printf '[mariadbd]\nbind-address = 0.0.0.0\ninnodb_buffer_pool_size = 128M\n' >/etc/mysql/mariadb.conf.d/99-plain.cnf
        systemctl -q enable --now mariadb
        mariadb --execute \"CREATE DATABASE keystone; GRANT ALL ON keystone.* TO keystone@'%' IDENTIFIED BY '$password'\"
    "
}

start_broker() {
    inside "$1" "
        systemctl -q enable --now rabbitmq-server
        until rabbitmq-diagnostics --silent check_running; do sleep 0.5; done
    " >/dev/null 2>&1
}

start_gateway() {
    inside "$1" "
        cat >/etc/haproxy/haproxy.cfg <<END
defaults
    mode tcp
    timeout connect 3s
    timeout client 1h
    timeout server 1h
listen mysql
    bind :13306
    server one $(address "$1"):3306 check
listen keystone
    bind :5000
    server one $(address "$2"):15000 check
listen objects
    bind :7480
    server one $(address "$3"):17480 check
END
        systemctl -q enable --now haproxy
    "
}

start_keystone() {
    lxc file push --quiet "$lock" "$1/root/lock.txt"
    inside "$1" "
        # How this machine reaches the package registries.
        set -a; . /etc/environment; set +a
        adduser --system --group --quiet --home /var/lib/keystone keystone
        pip install --quiet --break-system-packages --root-user-action=ignore uv
        uv venv --quiet /opt/keystone
        uv pip sync --quiet --python /opt/keystone/bin/python --require-hashes /root/lock.txt
        install -d -o keystone -g keystone /etc/keystone /var/lib/keystone/fernet-keys /var/lib/keystone/credential-keys
        cat >/etc/keystone/keystone.conf <<END
[database]
connection = mysql+pymysql://keystone:$password@$(address "$2"):13306/keystone?charset=utf8
[cache]
enabled = true
backend = dogpile.cache.pymemcache
memcache_servers = localhost:11211
[fernet_tokens]
key_repository = /var/lib/keystone/fernet-keys
[credential]
key_repository = /var/lib/keystone/credential-keys
END
        cd /
        manage() { runuser -u keystone -- /opt/keystone/bin/keystone-manage --config-file /etc/keystone/keystone.conf \"\$@\"; }
        manage fernet_setup --keystone-user keystone --keystone-group keystone
        manage credential_setup --keystone-user keystone --keystone-group keystone
        manage db_sync
        manage bootstrap --bootstrap-password $password --bootstrap-region-id RegionOne \
            --bootstrap-public-url http://$(address "$2"):5000/v3
        systemd-run --quiet --unit keystone --uid keystone --setenv OS_KEYSTONE_CONFIG_FILES=/etc/keystone/keystone.conf \
            /opt/keystone/bin/uwsgi --master --lazy-apps --http-socket :15000 --processes 1 --buffer-size 65535 \
            --module keystone.wsgi.api:application
    " >/dev/null 2>&1
}

start_metadata_server() {
    inside "$1" "
        install -d -o ceph -g ceph /var/lib/ceph/mds/ceph-$1
        ceph auth get-or-create mds.$1 mon 'profile mds' mgr 'profile mds' mds 'allow *' osd 'allow *' \
            -o /var/lib/ceph/mds/ceph-$1/keyring
        chown ceph:ceph /var/lib/ceph/mds/ceph-$1/keyring
        systemctl -q enable --now ceph-mds@$1
    "
}

start_file_system() {
    inside "$1" "
        ceph osd pool create files.meta 8
        ceph osd pool create files.data 8
        ceph fs new files files.meta files.data
    " >/dev/null 2>&1
}

start_objects() {
    inside "$1" "
        install -d -o ceph -g ceph /var/lib/ceph/radosgw/ceph-rgw.$1
        ceph auth get-or-create client.rgw.$1 mon 'allow rw' osd 'allow rwx' -o /var/lib/ceph/radosgw/ceph-rgw.$1/keyring
        chown ceph:ceph /var/lib/ceph/radosgw/ceph-rgw.$1/keyring
        printf '[client.rgw.$1]\nrgw_frontends = beast port=17480\n' >>/etc/ceph/ceph.conf
        systemctl -q enable --now ceph-radosgw@rgw.$1
    "
}

start_chassis() {
    inside "$1" "
        printf '%s\n' $1 >/etc/openvswitch/system-id.conf
        systemctl -q enable --now openvswitch-switch
        ovs-vsctl set Open_vSwitch . external_ids:ovn-remote=tcp:$(address "$2"):6642 external_ids:ovn-encap-type=geneve \
            external_ids:ovn-encap-ip=$(address "$1") external_ids:ovn-bridge-datapath-type=netdev
        systemctl -q enable --now ovn-host
        until ovn-appctl -t ovn-controller connection-status 2>/dev/null | grep -qx connected; do sleep 0.5; done
    "
}

start_networks() {
    inside "$1" "
        systemctl -q enable --now ovn-central
        until ovn-sbctl set-connection ptcp:6642 2>/dev/null; do sleep 0.5; done
    "
    for machine in "$first" "$second" "$third"; do start_chassis "$machine" "$1"; done
}

first=$1 second=$2 third=$3
make_machine "$first" haproxy keepalived mariadb-server rabbitmq-server &
make_machine "$second" ceph-mds ovn-central python3-pip &
make_machine "$third" ceph-mds radosgw &
wait
hosts=
for name; do hosts="$hosts$(address "$name"),"; done
hosts=${hosts%,}
for name; do configure "$name"; done

start_database "$first" &
database=$!
start_broker "$first" &
broker=$!
found "$first"
wait "$database" "$broker"
start_gateway "$first" "$second" "$third"
start_keystone "$second" "$first" &
keystone=$!
start_networks "$second" &
networks=$!
join "$second"
join "$third"
until inside "$first" ceph mgr stat | grep -q '"available": true'; do sleep 0.5; done
inside "$first" ceph config set global osd_pool_default_pg_num 8
started=
for name; do
    start_osds "$name" &
    started="$started $!"
done
wait $started
start_file_system "$first"
start_metadata_server "$second"
start_metadata_server "$third"
start_objects "$third"
wait "$keystone"
wait "$networks"
until inside "$first" ceph fs status files 2>/dev/null | grep -q active; do sleep 0.5; done
for port in 5000/v3 7480; do
    until curl --silent --fail --output /dev/null "http://$(address "$first"):$port"; do sleep 0.5; done
done
