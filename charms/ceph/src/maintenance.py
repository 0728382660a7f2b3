"""A machine that stops and starts again: whether it may, what is kept from happening meanwhile, whether it serves again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import health
from admin import CommandRefusedError, UnreachableError
from safety import is_ok_to_stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ceph import Ceph


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
        return f"{error}: restore the quorum first"
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
        if ceph.monitor.has_manager and not ceph.monitor.manager_serves():
            return "the manager is not known to the monitors yet"
        numbers = {osd.number for osd in ceph.osds.all()}
        dump = ceph.admin.command("osd dump")["osds"]
        status = ceph.admin.command("status")
    except UnreachableError as error:
        return str(error)
    if down := sorted(entry["osd"] for entry in dump if entry["osd"] in numbers and not entry["up"]):
        return f"OSDs are down: {', '.join(map(str, down))}"
    return None if health.is_clean(status) else "data is being repaired"


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
    return ceph.machine.wait_until(lambda: not why_not_ready(ceph), seconds)
