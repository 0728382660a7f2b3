"""Actions on hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jobs
from openinfra_charm.model.actions import ActionError, Outcome, require_leader

if TYPE_CHECKING:
    from charm import NovaCharm


def list_hosts(charm: NovaCharm) -> Outcome:
    """Show services, what is allocated of each host, and agents.

    Raises:
        NotYetError: Nova does not answer.
    """
    found = charm.nova.look("show")
    down = [f"{one['service']} on {one['host']}" for one in found["services"] if one["state"] != "up"]
    dead = [f"{one['agent']} on {one['host']}" for one in found["agents"] if not one["alive"]]
    words = f"{len(found['allocations'])} hosts; not up: {', '.join([*down, *dead]) or 'none'}"
    return Outcome(summary="; ".join(filter(None, (words, found["problem"]))), result=found)


def evacuate_host(charm: NovaCharm, *, host: str, fenced: bool = False, dry_run: bool = False) -> Outcome:
    """Begin to build the servers of a dead host anew elsewhere.

    Raises:
        ActionError: This is not the leader, the host is unknown or alive, or may still run its servers.
    """
    require_leader(charm, f"evacuate-host host={host}")
    found = charm.nova.look("servers", host=host)
    if not found["service"]:
        raise ActionError(f"host={host}: Nova knows no such host: see list-hosts")
    if found["state"] == "up":
        raise ActionError(
            f"host={host}: nova-compute is alive there. Move its servers with drain of nova-compute, or wait a minute if it has just died"
        )
    words = f"{len(found['servers'])} servers on {host}"
    if dry_run:
        return Outcome(summary=f"{words} would be built anew on other hosts", result=found["servers"])
    if not fenced:
        raise ActionError(
            f"host={host}: that nobody hears of it does not mean that its servers have stopped, and two that write to one disk destroy it. "
            "Switch the machine off, or have Ceph refuse it (on a unit of ceph: ceph osd blocklist add ADDRESS), then say fenced=true"
        )
    record = charm.service.jobs.start(jobs.EVACUATE, host=host, service=found["service"])
    return Outcome(
        summary=f"{words} are being built anew on other hosts: show-job job-id={record.id}", result=record.id
    )
