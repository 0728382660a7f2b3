#!/bin/sh
# The machines, packages and Ceph cluster that the bundle makes, made by a plain script: what the charms are compared with.
#
#     plain.sh IMAGE PROFILE NAME...
#
# makes a container of each name, each with a monitor and a manager, and ends when all are in quorum. LXD_DIR names the
# LXD daemon. Nobody manages the cluster afterwards: no growth, no changes, no repair.
set -eu

image=$1 profile=$2
shift 2
fsid=$(cat /proc/sys/kernel/random/uuid)
ceph_packages='ceph-common ceph-mgr ceph-mon ceph-osd ceph-volume fdisk python3-rados'
host_packages='logrotate needrestart unattended-upgrades'

inside() {
    machine=$1
    shift
    lxc exec "$machine" -- sh -euc "$*"
}

make_machine() {
    lxc launch "$image" "$1" --profile "$profile" --quiet </dev/null
    until lxc exec "$1" -- ip -4 route show default | grep -q .; do sleep 0.2; done
    inside "$1" "
        export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        apt-get update -qq
        apt-get install -qqy --no-install-recommends $ceph_packages $host_packages
        rm /usr/sbin/policy-rc.d
        systemctl -q mask nvmf-autoconnect.service
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

for name; do make_machine "$name" & done
wait
hosts=
for name; do hosts="$hosts$(address "$name"),"; done
hosts=${hosts%,}
for name; do configure "$name"; done

first=$1
found "$first"
shift
for name; do join "$name"; done
until inside "$first" ceph mgr stat | grep -q '"available": true'; do sleep 0.5; done
