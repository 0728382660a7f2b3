"""With nothing new, nothing happens; and no credential lies where it should not."""

import json
import re

import pytest

# Programs and hook tools that only look. Whatever else a hook with nothing to do runs would change something.
LOOKS = [
    r"config-get|is-leader|relation-(ids|list|get|model-get)|network-get|status-get|goal-state|secret-(get|ids|info-get)",
    r"storage-(list|get)|opened-ports|unit-get|resource-get|juju-log|state-get",
    r"dpkg-query|systemctl (show|is-enabled|is-active)|systemd-detect-virt|apt-config|sysctl -n|chronyc|sshd -T",
    # The status is told in every hook, and the version; Juju writes neither when it is the same.
    r"status-set|application-version-set",
]
RECORDER = r"""
#!/bin/sh
PATH=${PATH#/tmp/recorder/bin:}
printf '%s\n' "$(printf '%s ' "${0##*/}" "$@" | tr '\n' ' ')" >> /tmp/recorder/log
exec "${0##*/}" "$@"
"""


def snapshot(site, unit) -> set[str]:
    """All that a hook could have changed on a unit's machine and in its relations, one line each."""
    shown = site.shell(unit, "systemctl show --property=Id,InvocationID '*.service'").strip().split("\n\n")
    services = {" ".join(sorted(block.splitlines())) for block in shown}
    files = site.shell(
        unit,
        "find /etc /usr/lib/openinfra /var/lib/openinfra /var/lib/ceph -xdev -type f "
        "-not -path '*/store.db/*' -not -name external_log_to -not -path '/var/lib/ceph/openinfra/osd-*' -not -path '/var/lib/ceph/crash/*' "
        "-printf '%p %T@ %i\\n'",
    ).splitlines()
    info = json.loads(site.juju.cli("show-unit", unit, "--format", "json"))[unit]
    relations = {json.dumps(relation, sort_keys=True) for relation in info["relation-info"]}
    # juju's agent and what belongs to the test itself come and go
    started = {line for line in services if re.search(r"Id=(ceph|chrony|ssh|unattended)", line)}
    assert started
    return started | set(files) | relations


@pytest.mark.parametrize("hook", ["config-changed", "update-status"])
@pytest.mark.parametrize("application", ["ceph", "host"])
def test_one_more_hook_changes_nothing(cloud, application, hook):
    cloud.settle()
    for unit in cloud.units(application):
        before = snapshot(cloud, unit)
        cloud.poke(unit, hook)
        assert snapshot(cloud, unit) ^ before == set()


@pytest.mark.parametrize("hook", ["config-changed", "update-status"])
@pytest.mark.parametrize("application", ["ceph", "host"])
def test_one_more_hook_runs_no_program_that_changes_something(cloud, application, hook):
    unit = cloud.units(application)[0]
    cloud.shell(
        unit,
        "rm -rf /tmp/recorder; mkdir -p /tmp/recorder/bin; "
        f"cat > /tmp/recorder/recorder <<'END'\n{RECORDER.lstrip()}END\nchmod +x /tmp/recorder/recorder; "
        f"for d in /var/lib/juju/tools/unit-{unit.replace('/', '-')} /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do "
        "for p in $d/*; do n=${p##*/}; case $n in sh|sed|dash|env|python3*) ;; *) ln -sf ../recorder /tmp/recorder/bin/$n;; esac; "
        "done; done",
    )
    command = f"env JUJU_DISPATCH_PATH=hooks/{hook} PATH=/tmp/recorder/bin:$PATH ./dispatch"
    cloud.juju.exec(command, unit=unit, wait=120)
    ran = cloud.shell(unit, "cat /tmp/recorder/log; rm -rf /tmp/recorder").splitlines()
    assert ran, "nothing was recorded"
    changing = [line for line in ran if not any(re.match(pattern, line) for pattern in LOOKS)]
    assert not changing


def test_no_credential_is_in_the_open(cloud):
    keys = set()
    for unit in cloud.units("ceph"):
        dump = cloud.ceph(unit, "auth", "ls")["auth_dump"]
        keys |= {entry["key"] for entry in dump}
        keys.add(cloud.shell(unit, "grep -h key /var/lib/ceph/mon/*/keyring | sed 's/.*= //'").strip())
    keys.discard("")
    assert len(keys) > 5
    for unit in cloud.units("ceph"):
        everything = site_wide(cloud, unit)
        for place, text in everything.items():
            assert not [key for key in keys if key in text], f"a key is in {place} of {unit}"


def site_wide(site, unit) -> dict[str, str]:
    """Where everybody may look: logs, relation data, arguments of processes, world-readable files."""
    # As nobody: a file in a folder that is closed to others is not in the open, whatever its mode.
    readable = (
        "setpriv --reuid nobody --regid nogroup --clear-groups "
        "find /etc /usr/lib/openinfra /var/lib/openinfra /var/lib/ceph /var/log /tmp /run -xdev -type f -readable"
    )
    return {
        "the model's log": site.juju.cli("debug-log", "--replay", "--no-tail"),
        "relation data": site.juju.cli("show-unit", unit, "--format", "json"),
        "processes": site.shell(unit, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"),
        "the journal": site.shell(unit, "journalctl --no-pager -o cat"),
        "world-readable files": site.shell(
            unit, f"{readable} -size -2M -exec cat {{}} + 2>/dev/null", check=False
        ),
    }
