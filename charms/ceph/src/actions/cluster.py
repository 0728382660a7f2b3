"""The cluster as a whole: its health, its quorum, its flags, and which OSDs take data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actions import cluster_errors, existing, osd_numbers
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm


def get_health(charm: CephCharm) -> Outcome:
    """Show what Ceph's health checks say, in detail."""
    with cluster_errors():
        health = charm.ceph.admin.command("health", detail="detail")
    return Outcome(summary=health["status"], result=health)


def get_quorum_status(charm: CephCharm) -> Outcome:
    """Show which monitors there are, which are in quorum, and who leads."""
    with cluster_errors():
        status = charm.ceph.admin.command("quorum_status")
    names = [monitor["name"] for monitor in status["monmap"]["mons"]]
    result = {"monitors": names, "quorum": status["quorum_names"], "leader": status["quorum_leader_name"]}
    return Outcome(summary=f"{len(result['quorum'])} of {len(names)} monitors are in quorum", result=result)


def set_noout(charm: CephCharm) -> Outcome:
    """Keep the cluster from moving data when OSDs are down."""
    with cluster_errors():
        charm.ceph.admin.command("osd set", key="noout")
    return Outcome(summary="noout is set")


def unset_noout(charm: CephCharm) -> Outcome:
    """Let the cluster move data again when OSDs are down."""
    with cluster_errors():
        charm.ceph.admin.command("osd unset", key="noout")
    return Outcome(summary="noout is not set")


def osd_in(charm: CephCharm, *, osd_ids: str) -> Outcome:
    """Let OSDs take data again."""
    return _mark(charm, "in", osd_ids)


def osd_out(charm: CephCharm, *, osd_ids: str) -> Outcome:
    """Let data move off OSDs."""
    return _mark(charm, "out", osd_ids)


def _mark(charm: CephCharm, word: str, osd_ids: str) -> Outcome:
    """Mark OSDs `in` or `out`.

    Raises:
        ActionError: One is not in the cluster (nothing has changed), or the cluster does not answer.
    """
    numbers = osd_numbers(osd_ids)
    with cluster_errors():
        existing(charm.ceph.admin, numbers)
        charm.ceph.admin.command(f"osd {word}", ids=[str(number) for number in numbers])
    return Outcome(summary=f"marked {word}: {', '.join(f'osd.{number}' for number in numbers)}")
