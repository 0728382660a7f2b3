"""What the cluster and this machine's daemons say of themselves, in words for a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from admin import CommandRefusedError, UnreachableError
from osd import is_ok_to_stop, is_safe_to_destroy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from admin import Admin
    from ceph import Ceph

OLD_KEYS = "AUTH_INSECURE_"
"""How the names of checks begin that tell of keys of an older type (AES), from Ceph 19.2.6 and 20.2.4 on."""
HOLDING = frozenset({
    "full", "nobackfill", "nodown", "noin", "noout", "norebalance", "norecover", "noup", "pauserd", "pausewr",
})  # fmt: skip
"""Flags of the whole cluster that keep it from looking after its data."""
GOOD = frozenset({"active", "clean", "scrubbing", "deep", "snaptrim", "snaptrim_wait"})
"""Words in a placement group's state that tell of nothing amiss."""


def reasons(status: dict[str, Any]) -> list[str]:
    """Return the summaries of those health checks that are not muted, from the answer to `status`."""
    checks = status["health"]["checks"]
    return [check["summary"]["message"] for _, check in sorted(checks.items()) if not check["muted"]]


def errors(status: dict[str, Any]) -> list[str]:
    """Return the summaries of those checks that are errors of the cluster as it runs, from the answer to `status`.

    What later versions say of keys that earlier ones made (CVE-2025-30156) is none: data and daemons are as before.
    """
    return [
        check["summary"]["message"]
        for name, check in sorted(status["health"]["checks"].items())
        if check["severity"] == "HEALTH_ERR" and not check["muted"] and not name.startswith(OLD_KEYS)
    ]


def is_clean(status: dict[str, Any]) -> bool:
    """Return whether every placement group has all its copies, from the answer to `status`."""
    groups = status["pgmap"].get("pgs_by_state", [])
    return all(set(group["state_name"].split("+")) <= GOOD for group in groups)


def idle_groups(admin: Admin) -> dict[str, int]:
    """Return how many placement groups of each pool do not serve: inactive ones, and stale ones, of which nobody knows.

    Raises:
        UnreachableError: The monitors, or a manager, do not answer.
    """
    names = {str(pool["poolnum"]): pool["poolname"] for pool in admin.command("osd lspools")}
    answer = admin.command("pg dump", dumpcontents=["pgs_brief"])
    words = ((group["pgid"].partition(".")[0], group["state"].split("+")) for group in answer["pg_stats"])
    idle = [names.get(pool, pool) for pool, state in words if "active" not in state or "stale" in state]
    return {pool: idle.count(pool) for pool in idle}


def why_not_to_stop(
    ceph: Ceph, numbers: Sequence[int] | None = None, *, with_monitor: bool = True
) -> str | None:
    """Return why daemons of this machine must not stop now; None if clients would not notice.

    Args:
        ceph: This machine's Ceph.
        numbers: The OSDs that would stop together; None: all that are here.
        with_monitor: Whether the monitor would stop too, if there is one.
    """
    try:
        stopping = [osd.number for osd in ceph.osds.all()] if numbers is None else list(numbers)
        if stopping and not is_ok_to_stop(ceph.admin, stopping):
            return "data would be unavailable without this machine's OSDs; see get-health"
        if not with_monitor:
            return None
        quorum = ceph.admin.command("quorum_status")
    except UnreachableError as error:
        return f"{error}: it must be mended first"
    others = [name for name in quorum["quorum_names"] if name != ceph.monitor.name]
    monitors = len(quorum["monmap"]["mons"])
    if ceph.monitor.exists and monitors > 1 and 2 * len(others) <= monitors:
        return f"only {len(others)} of {monitors} monitors would be left, which is no quorum"
    return None


def why_not_to_upgrade(admin: Admin) -> str | None:
    """Return why this is no time to begin an upgrade; None if the cluster serves in full and nobody works on it.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    status, quorum, dump = (admin.command(words) for words in ("status", "quorum_status", "osd dump"))
    if wrong := errors(status):
        return f"HEALTH_ERR: {'; '.join(wrong)}; see get-health"
    names = {monitor["name"] for monitor in quorum["monmap"]["mons"]} - set(quorum["quorum_names"])
    if names:
        return (
            f"monitors that are not in quorum: {', '.join(sorted(names))}: start them, see get-quorum-status"
        )
    groups = status["pgmap"].get("pgs_by_state", [])
    if idle := sum(group["count"] for group in groups if "active" not in group["state_name"].split("+")):
        return f"{idle} placement groups are not active, see get-health"
    if flags := HOLDING & set(dump["flags_set"]):
        return f"the cluster has the flags {', '.join(sorted(flags))}: ceph osd unset each, or unset-noout"
    if hosts := sorted(dump["crush_node_flags"]):
        return f"work goes on at {', '.join(hosts)}, which has {dump['crush_node_flags'][hosts[0]][0]} set"
    return None


def why_not_ready(ceph: Ceph) -> str | None:
    """Return why this machine does not serve in full yet; None if it does and nothing is being repaired."""
    if dead := ceph.dead():
        return f"{', '.join(dead)} does not run"
    try:
        if ceph.monitor.exists and not ceph.monitor.in_quorum():
            return "the monitor is not in quorum"
        if ceph.monitor.has_manager and not ceph.monitor.manager_serves():
            return "the manager is not known to the monitors yet"
        numbers = {osd.number for osd in ceph.osds.all()}
        dump = ceph.admin.command("osd dump")["osds"]
        status = ceph.admin.command("status")
    except UnreachableError as error:
        return str(error)
    if down := sorted(entry["osd"] for entry in dump if entry["osd"] in numbers and not entry["up"]):
        return f"OSDs are down: {', '.join(map(str, down))}"
    return None if is_clean(status) else "data is being repaired"


def keep_data(ceph: Ceph) -> str | None:
    """Have the cluster not make this machine's data anew while it restarts; return why that cannot be."""
    try:
        if ceph.osds.all():
            ceph.admin.command("osd set-group", flags="noout", who=[ceph.monitor.name])
    except (UnreachableError, CommandRefusedError) as error:
        return str(error)
    return None


def release_data(ceph: Ceph) -> str | None:
    """Take `keep_data` back; return why that cannot be."""
    try:
        if ceph.monitor.name in ceph.admin.command("osd dump")["crush_node_flags"]:
            ceph.admin.command("osd unset-group", flags="noout", who=[ceph.monitor.name])
    except (UnreachableError, CommandRefusedError) as error:
        return str(error)
    return None


def wait_until_ready(ceph: Ceph, seconds: float) -> bool:
    """Return whether this machine serves in full, waiting up to `seconds` for it."""
    limit = ceph.machine.now() + seconds
    while why_not_ready(ceph):
        if ceph.machine.now() >= limit:
            return False
        ceph.machine.sleep(1)
    return True


def why_data_would_be_lost(ceph: Ceph, numbers: list[int]) -> str | None:
    """Return why these OSDs of this machine must not go for good; None if nothing is lost with them.

    Ceph's own pool (`.mgr`) holds nothing that anybody would miss when the cluster goes.
    """
    if not numbers:
        return None
    try:
        pools = [name for name in ceph.admin.command("osd pool ls") if name != ".mgr"]
        if not pools or is_safe_to_destroy(ceph.admin, numbers):
            return None
    except UnreachableError as error:
        return f"{error}, so nobody can tell whether OSDs {numbers} hold the only copy of something"
    return f"OSDs {', '.join(map(str, numbers))} hold copies that are not elsewhere yet"
