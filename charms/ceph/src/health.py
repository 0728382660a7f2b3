"""What the cluster says of itself, in words for a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from admin import Admin

OLD_KEYS = "AUTH_INSECURE_"
"""How the names of checks begin that are about keys of an older type (AES), from Ceph 19.2.6 and 20.2.4 on."""
HOLDING = frozenset({
    "full", "nobackfill", "nodown", "noin", "noout", "norebalance", "norecover", "noup", "pauserd", "pausewr",
})  # fmt: skip
"""Flags of the whole cluster that keep it from looking after its data."""
GOOD = frozenset({"active", "clean", "scrubbing", "deep", "snaptrim", "snaptrim_wait"})
"""Words in the state of a placement group that has all its copies and serves."""


def checks(admin: Admin) -> dict[str, Any]:
    """Return the cluster's health checks, those that are muted too, by their names.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    return admin.command("status")["health"]["checks"]


def reasons(status: dict[str, Any]) -> list[str]:
    """Return the summaries of those health checks that are not muted, from the answer to `status`."""
    found = sorted(status["health"]["checks"].items())
    return [check["summary"]["message"] for _, check in found if not check["muted"]]


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
