"""A major upgrade of a Ceph cluster in use, to the version that Debian's next release has.

It has a model of its own: there is no way back from it.
"""

from __future__ import annotations

import json
import shlex
import sys
import time

import pytest

from tests.faults import ceph_alone
from tests.faults.ceph_alone import SOURCE, old_keys
from tests.integration.site import load

ERRORS = {"AUTH_INSECURE_SERVICE_KEY_TYPE", "AUTH_INSECURE_SERVICE_TICKETS"}
"""What a version that has keys of a newer type calls those that the cluster's own daemons had before: they are replaced."""
RELEASES = {19: "squid", 20: "tentacle"}
UPGRADE_SECONDS = 900
NOTICED_SECONDS = 60
"""How long monitors may take to note something of keys: they do it every five seconds."""
GAP_SECONDS = 10
"""How long a client may wait for one write while daemons are restarted."""
LOOK = """\
printf '%s\\n' "$0" > /root/look.list
set -- -o Dir::Etc::sourcelist=/root/look.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o Acquire::Languages=none
apt-get "$@" -q update >&2 && apt-cache "$@" madison ceph-osd
"""
WATCH = """\
while :; do ceph --connect-timeout 5 versions -f json 2>/dev/null | tr -d '\\n' && echo; sleep 0.5; done >> /root/versions.log
"""


@pytest.fixture(scope="module")
def site(request):
    """Three machines with an OSD each."""
    with ceph_alone.deployed(request, "ceph-upgrade", osd_devices="file:6G") as site:
        site.juju.model_config({"update-status-hook-interval": "1m"})
        ceph_alone.make_pool(site)
        yield site


@pytest.fixture(scope="module")
def versions(site) -> tuple[int, int]:
    """The major versions of Ceph that are installed and that the source has."""
    told = site.shell("ceph/0", f"sh -c {shlex.quote(LOOK)} {shlex.quote(SOURCE)}", check=False)
    offered = [int(row.split("|")[1].strip().split(".")[0]) for row in told.splitlines() if row.count("|")]
    here = _major(site.ceph("ceph/0", "version")["version"])
    if not offered or max(offered) <= here:
        pytest.skip(f"NOT RUN: Ceph {here} is installed, and {SOURCE} has {offered or 'none'}")
    return here, max(offered)


def test_a_cluster_in_use_is_upgraded_in_ceph_s_order(site, versions):
    _, new = versions
    base = site.shell("ceph/0", "dpkg-query -W -f '${Version}' base-files")
    site.shell("ceph/1", f"systemd-run --quiet --unit=watch sh -c {shlex.quote(WATCH)}")
    with load(site, "ceph/0", "probe") as running:
        site.juju.config("ceph", {"source": SOURCE})
        limit = time.monotonic() + UPGRADE_SECONDS
        seen = set()
        while _required(site) != RELEASES[new] or _insecure(site) & ERRORS:
            assert time.monotonic() < limit, site.unsettled()
            seen |= {unit.workload_status.message for unit in site.juju.status().get_units("ceph").values()}
            time.sleep(1)
        site.settle()
        summary = running.stop()
    site.shell("ceph/1", "systemctl stop watch")
    samples = [
        json.loads(line) for line in site.shell("ceph/1", "cat /root/versions.log").splitlines() if line
    ]
    told = [{kind: _majors(sample.get(kind, {})) for kind in ("mon", "mgr", "osd")} for sample in samples]
    sys.stdout.write(f"{summary}; said: {sorted(seen)}\n")
    for sample in told:
        # Managers start anew by themselves when the leading monitor, the last one, gives its place to a later version.
        if new in sample["mgr"]:
            assert len([major for major in sample["mon"] if major < new]) <= 1, sample
        if new in sample["osd"]:
            assert {*sample["mon"], *sample["mgr"]} == {new}, sample
    assert {major for majors in told[-1].values() for major in majors} == {new}
    assert running.verify() == summary["writes"] > 0
    assert summary["longest-gap"] < GAP_SECONDS, summary
    assert site.shell("ceph/0", "dpkg-query -W -f '${Version}' base-files") == base
    assert any("monitors restarted" in message for message in seen)
    dump = site.ceph("ceph/0", "osd dump")
    assert (dump["crush_node_flags"], dump["flags_set"]) == (
        {},
        [flag for flag in dump["flags_set"] if flag != "noout"],
    )


def test_the_cluster_s_own_daemons_have_keys_of_the_newer_type(site, versions):
    dump = site.ceph("ceph/0", "mon dump")
    if "auth_allowed_ciphers" not in dump:
        pytest.skip("NOT RUN: this version of Ceph knows keys of one type")
    assert dump["auth_service_cipher"]["name"] == "aes256k"
    assert old_keys(site) == {"client.admin"}
    keyring = "sed -n 's/.*key = //p' /var/lib/ceph/mon/ceph-*/keyring"
    assert len({site.shell(unit, f"sh -c {shlex.quote(keyring)}") for unit in site.units("ceph")}) == 1
    daemons = {f"mgr.{site.hostname_of(unit)}" for unit in site.units("ceph")} | {
        "osd.0",
        "osd.1",
        "osd.2",
        "mon.",
    }
    assert daemons <= {entry["entity"] for entry in site.ceph("ceph/0", "auth ls")["auth_dump"]}


def test_a_disk_is_added_to_it(site, versions):
    added = site.run("ceph/0", "add-disk", **{"osd-devices": "file:4G"})
    site.wait_for_health("ceph/0", besides=_insecure(site) - ERRORS)
    assert old_keys(site) <= {"client.admin"}, added


def test_the_older_type_goes_when_nobody_has_it_any_more(site, versions):
    if "auth_allowed_ciphers" not in site.ceph("ceph/0", "mon dump"):
        pytest.skip("NOT RUN: this version of Ceph knows keys of one type")
    assert "client.admin would be locked out" in site.refused(
        "ceph/0", "set-allowed-ciphers", ciphers="aes256k"
    )
    site.run(site.leader("ceph"), "rotate-key", **{"entity": "client.admin", "key-type": "aes256k"})
    site.settle()
    _wait(lambda: "client.admin" not in old_keys(site), "the administrator's new key to be used")
    for unit in site.units("ceph"):
        # Each has the new key with its next hook.
        site.poke(unit)
    site.run("ceph/1", "set-allowed-ciphers", ciphers="aes256k")
    for unit in site.units("ceph"):
        site.poke(unit)
    site.settle()
    allowed = {"AUTH_INSECURE_ROTATING_SERVICE_KEY_TYPE"}
    _wait(lambda: _insecure(site) <= allowed, "the cluster to see that it takes no older keys")
    with load(site, "ceph/0", "probe") as running:
        time.sleep(5)
        assert running.stop()["writes"] > 0


def test_two_more_hooks_of_each_unit_restart_nothing(site, versions):
    def starts():
        return {unit: site.invocations(unit, "ceph-*@*.service") for unit in site.units("ceph")}

    before = starts()
    for unit in [*site.units("ceph")] * 2:
        site.poke(unit)
    assert starts() == before


def test_ceph_does_not_go_back(site, versions):
    site.juju.config("ceph", {"source": ""})
    try:
        site.juju.wait(
            lambda status: (
                "Ceph cannot go back" in status.apps["ceph"].units["ceph/0"].workload_status.message
            ),
            timeout=180,
        )
    finally:
        site.juju.config("ceph", {"source": SOURCE})
    site.settle()


def _required(site) -> str:
    """What the cluster requires of its OSDs; nothing while the program that asks is being replaced."""
    return (site.ceph("ceph/2", "osd dump") or {}).get("require_osd_release", "")


def _wait(condition, what: str) -> None:
    limit = time.monotonic() + NOTICED_SECONDS
    while not condition():
        assert time.monotonic() < limit, f"waited for {what}"
        time.sleep(1)


def _insecure(site) -> set[str]:
    """What the cluster says of keys of the older type."""
    checks = (site.ceph("ceph/2", "health") or {}).get("checks", {})
    return {name for name in checks if name.startswith("AUTH_")}


def _major(version: str) -> int:
    return int(version.split()[2].split(".", maxsplit=1)[0])


def _majors(counted: dict[str, int]) -> list[int]:
    return [_major(version) for version, count in counted.items() for _ in range(count)]
