"""What the cluster and this machine's daemons say of themselves, in words for a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from admin import CommandRefusedError, UnreachableError
from osd import is_ok_to_stop, is_safe_to_destroy

if TYPE_CHECKING:
    from admin import Admin
    from ceph import Ceph

GOOD = frozenset({"active", "clean", "scrubbing", "deep", "snaptrim", "snaptrim_wait"})
"""Words in a placement group's state that tell of nothing amiss."""


def reasons(status: dict[str, Any]) -> list[str]:
    """Return the summaries of those health checks that are not muted, from the answer to `status`."""
    checks = status["health"]["checks"]
    return [check["summary"]["message"] for _, check in sorted(checks.items()) if not check["muted"]]


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


def why_not_to_stop(ceph: Ceph) -> str | None:
    """Return why this machine's daemons must not stop now; None if clients would not notice."""
    try:
        numbers = [osd.number for osd in ceph.osds.all()]
        if numbers and not is_ok_to_stop(ceph.admin, numbers):
            return "data would be unavailable without this machine's OSDs; see get-health"
        quorum = ceph.admin.command("quorum_status")
    except UnreachableError as error:
        return f"{error}: it must be mended first"
    others = [name for name in quorum["quorum_names"] if name != ceph.monitor.name]
    monitors = len(quorum["monmap"]["mons"])
    if ceph.monitor.exists and monitors > 1 and 2 * len(others) <= monitors:
        return f"only {len(others)} of {monitors} monitors would be left, which is no quorum"
    return None


def why_not_ready(ceph: Ceph) -> str | None:
    """Return why this machine does not serve in full yet; None if it does and nothing is being repaired."""
    if dead := ceph.dead():
        return f"{', '.join(dead)} does not run"
    try:
        if ceph.monitor.exists and not ceph.monitor.in_quorum():
            return "the monitor is not in quorum"
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
