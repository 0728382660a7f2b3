"""With nothing new, nothing happens; and no credential lies where it should not."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

APPLICATIONS = [
    "ceph",
    "ceph-fs",
    "ceph-rgw",
    "certificates",
    "cinder",
    "gateway",
    "glance",
    "horizon",
    "host",
    "keystone",
    "kvm-host",
    "memcached",
    "mysql",
    "neutron",
    "nova",
    "nova-compute",
    "octavia",
    "ovn-central",
    "ovn-chassis",
    "placement",
    "rabbitmq",
]
PUBLIC = {"username", "tls", "tls-ca", "generation", "access-key", "secret-uuid"}
"""What secrets also hold that is none."""
SHORTEST = 16
"""What is shorter could be anywhere by chance."""
FORGET_SECONDS = 60
DAEMONS = (
    "ceph",
    "chrony",
    "cinder",
    "glance",
    "haproxy",
    "horizon",
    "keepalived",
    "keystone",
    "libvirt",
    "mariadb",
    "memcached",
    "mysql",
    "neutron",
    "nova",
    "octavia",
    "ovn",
    "ovs",
    "placement",
    "rabbitmq",
    "ssh",
    "unattended",
    "virt",
)
HOOKS = ("config-changed", "update-status")
# Programs and hook tools that only look. Whatever else a hook with nothing to do runs would change something.
LOOKS = [
    r"config-get|is-leader|relation-(ids|list|get|model-get)|network-get|status-get|goal-state|secret-(get|ids|info-get)",
    r"storage-(list|get)|opened-ports|unit-get|resource-get|juju-log|state-get",
    r"dpkg-query|systemctl (show|is-enabled|is-active)|systemd-detect-virt|apt-config|sysctl -n|chronyc|sshd -T",
    r"mariadb: +(SHOW|SELECT) ",
    r"ovn-appctl .*(cluster/)?status|ovsdb-client needs-conversion|ovn-nbctl .* get ",
    r"ovs-vsctl .* list |ip -json |ping |modprobe openvswitch|networkctl --json=short status ",
    r"virsh --quiet --connect qemu:///system (version|list|domstate) ",
    # Programs of release trees that ask their service's API.
    r"runuser -u \S+ -- \S+/bin/python \S+/openinfra_ask\.py ",
    r"runuser -u \S+ -- \S+/bin/python \S+/(openinfra_compute|openinfra_cinder|ask_hosts)\.py (/\S+ )+(show|servers|services?) ",
    r"(timeout --kill-after=5 \d+ )?(rabbitmqctl --silent (eval base64:encode|cluster_status)|rabbitmq-diagnostics --silent check_for_)",
    # The status is told in every hook, and the version; Juju writes neither when it is the same.
    r"status-set|application-version-set",
]
RECORDER = r"""
#!/bin/sh
PATH=${PATH#/tmp/recorder/bin:}
if [ "${0##*/}" = mariadb ]; then
    # One line for each statement: its arguments say nothing.
    said=$(cat)
    printf '%s' "$said" | tr '\n' ' ' | sed 's/; */\n/g' | sed -n 's/^./mariadb: &/p' >> /tmp/recorder/log
    printf '%s\n' "$said" | mariadb "$@"
    exit
fi
printf '%s\n' "$(printf '%s ' "${0##*/}" "$@" | tr '\n' ' ')" >> /tmp/recorder/log
exec "${0##*/}" "$@"
"""
LINKER = r"""
import os, re, sys
names = {name for folder in sys.argv[1:] for name in os.listdir(folder)}
for name in names:
    if not re.fullmatch("sh|sed|dash|env|python3.*", name):
        os.symlink("../recorder", f"/tmp/recorder/bin/{name}")
"""
"""One program that links all names: one for each would take seconds for each unit."""


def snapshot(site, unit) -> set[str]:
    """All that a hook could have changed on a unit's machine and in its relations, one line each."""
    # What daemons write by themselves, and beside it what they rename to that, comes and goes.
    files = site.shell(
        unit,
        "find /etc /usr/lib/openinfra /var/lib/openinfra /var/lib/ceph -xdev -type f "
        "-not -path '*/store.db/*' -not -name 'external_log_to*' -not -path '/var/lib/ceph/openinfra/osd-*' -not -path '/var/lib/ceph/crash/*' "
        "-printf '%p %T@ %i\\n'",
    ).splitlines()
    info = json.loads(site.juju.cli("show-unit", unit, "--format", "json"))[unit]
    relations = {json.dumps(relation, sort_keys=True) for relation in info["relation-info"]}
    # juju's agent and what belongs to the test itself come and go
    started = {
        f"{name} {invocation}"
        for name, invocation in site.invocations(unit, "*.service").items()
        if name.startswith(DAEMONS)
    }
    assert started
    return started | set(files) | relations


@pytest.fixture(scope="module")
def quiet(cloud):
    """The site without hooks that come by the clock."""
    interval = cloud.juju.model_config()["update-status-hook-interval"]
    cloud.juju.model_config({"update-status-hook-interval": "60m"})
    # Machines that have left are forgotten by a job, which the leader starts in one hook and takes note of in another.
    leader, limit = cloud.leader("ceph"), time.monotonic() + FORGET_SECONDS
    while noted_units(cloud, leader) != set(cloud.units("ceph")):
        assert time.monotonic() < limit, "ceph does not forget the units that have left"
        run_hook(cloud, leader, "update-status")
    yield cloud
    cloud.juju.model_config({"update-status-hook-interval": interval})


def noted_units(site, leader: str) -> set[str]:
    """The units whose machines are in Ceph's cluster, as its leader knows them."""
    shown = json.loads(site.juju.cli("show-unit", leader, "--format", "json"))[leader]
    (peer,) = [relation for relation in shown["relation-info"] if relation["endpoint"] == "cluster"]
    return set(json.loads(peer["application-data"]["hosts"]))


def run_hook(site, unit: str, hook: str, path: str = "$PATH") -> None:
    """Have a unit run a hook, with the programs of `path`."""
    command = f"env JUJU_DISPATCH_PATH=hooks/{hook} PATH={path} ./dispatch"
    site.juju.exec(command, unit=unit, wait=120)


@pytest.mark.parametrize("application", APPLICATIONS)
def test_two_more_hooks_of_each_unit_change_nothing(quiet, application):
    """Neither what is on its machine and in its relations, nor by any program that could."""
    quiet.settle()
    units = quiet.units(application)
    before = {unit: snapshot(quiet, unit) for unit in units}
    with ThreadPoolExecutor(len(units)) as pool:
        ran = dict(zip(units, pool.map(partial(recorded, quiet), units), strict=True))
    for unit in units:
        assert snapshot(quiet, unit) ^ before[unit] == set()
        assert ran[unit], f"nothing was recorded of {unit}"
        assert not [line for line in ran[unit] if not any(re.match(pattern, line) for pattern in LOOKS)], unit


def recorded(site, unit: str) -> list[str]:
    """Run the hooks; return each program and hook tool that ran, with its arguments."""
    site.shell(
        unit,
        "rm -rf /tmp/recorder; mkdir -p /tmp/recorder/bin; "
        f"cat > /tmp/recorder/recorder <<'END'\n{RECORDER.lstrip()}END\nchmod +x /tmp/recorder/recorder; "
        f"python3 - /var/lib/juju/tools/unit-{unit.replace('/', '-')} /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin "
        f"<<'END'\n{LINKER.lstrip()}END",
    )
    for hook in HOOKS:
        run_hook(site, unit, hook, "/tmp/recorder/bin:$PATH")
    return site.shell(unit, "cat /tmp/recorder/log; rm -rf /tmp/recorder").splitlines()


def test_no_credential_is_in_the_open(cloud):
    """Of all secrets of the model, and of all keys of Ceph's, none is where everybody may look."""
    secret = ceph_keys(cloud) | secret_values(cloud)
    assert len(secret) > 30
    places = {"the model's log": cloud.juju.cli("debug-log", "--replay", "--no-tail")}
    for application in APPLICATIONS:
        for unit in cloud.units(application):
            places[f"relation data of {unit}"] = cloud.juju.cli("show-unit", unit, "--format", "json")
    for unit in cloud.units("ceph"):
        places |= {f"{place} of {unit}'s machine": text for place, text in machine_wide(cloud, unit).items()}
    for place, text in places.items():
        found = [kind for value, kind in secret.items() if value in text]
        assert not found, f"{found} in {place}"


def ceph_keys(site) -> dict[str, str]:
    """Each key that the cluster knows, with whose it is."""
    dump = site.ceph("ceph/0", "auth", "ls")["auth_dump"]
    monitors = {
        site.shell(unit, "grep -h key /var/lib/ceph/mon/*/keyring | sed 's/.*= //'").strip()
        for unit in site.units("ceph")
    }
    return {entry["key"]: entry["entity"] for entry in dump} | dict.fromkeys(monitors - {""}, "mon.")


def secret_values(site) -> dict[str, str]:
    """What the model's secrets hold that is long enough to be one, line by line, with its owner and name."""
    listed = json.loads(site.juju.cli("secrets", "--format", "json"))
    secrets = [
        json.loads(site.juju.cli("show-secret", uri, "--reveal", "--format", "json"))[uri] for uri in listed
    ]
    return {
        line.strip(): f"{secret['owner']}'s {key}"
        for secret in secrets
        for key, text in secret["content"]["Data"].items()
        for line in text.splitlines()
        if key not in PUBLIC and len(line) >= SHORTEST and "-----" not in line
    }


def machine_wide(site, unit) -> dict[str, str]:
    """Where everybody on a machine may look: logs, arguments of processes, world-readable files."""
    # As nobody: a file in a folder that is closed to others is not in the open, whatever its mode. From a folder that nobody may
    # enter, such as root's, find runs no program.
    readable = (
        "cd / && setpriv --reuid nobody --regid nogroup --clear-groups find /etc /usr/lib/openinfra /var/lib /var/log /tmp /run -xdev "
        # What packages and charms have brought.
        "\\( -path /var/lib/apt -o -path /var/lib/dpkg -o -path '/var/lib/juju/agents/*/charm' \\) -prune -o "
        "-type f -readable -size -2M -exec cat {} + 2>/dev/null"
    )
    files = site.shell(unit, readable, check=False)
    assert "root:x:0:0:" in files, "/etc/passwd is for everybody and was not read"
    return {
        "processes": site.shell(unit, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"),
        "the journal": site.shell(unit, "journalctl --no-pager -o cat"),
        "world-readable files": files,
    }
