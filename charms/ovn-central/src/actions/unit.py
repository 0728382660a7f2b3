"""This unit's daemons and data: stopped and started, backed up, compacted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.daemon.show_job import show
from openinfra_charm.model.actions import ActionError, Outcome, failing_on
from openinfra_charm.model.status import NeedsOperatorError
from raft import DatabaseError

if TYPE_CHECKING:
    from charm import OvnCentralCharm


def backup(charm: OvnCentralCharm) -> Outcome:
    """Start the job.

    Raises:
        ActionError: There is no database here, or an option cannot be used.
    """
    _require_member(charm, "backup")
    with failing_on(NeedsOperatorError):
        settings = charm.settings
    record = charm.jobs.start(
        "jobs.create_backup", folder=settings.backup_directory, retention=str(settings.backup_retention)
    )
    return Outcome(summary=f"{record.id} makes a backup; see show-job", result={"job-id": record.id})


def compact(charm: OvnCentralCharm) -> Outcome:
    """Have both servers write their files anew.

    Raises:
        ActionError: There is no database here, or a server does not answer.
    """
    _require_member(charm, "compact")
    with failing_on(DatabaseError):
        for raft in charm.ovn.rafts:
            raft.compact()
    return Outcome(summary="both databases are compacted")


def pause(charm: OvnCentralCharm) -> Outcome:
    """Stop the daemons until `resume`.

    Raises:
        ActionError: Another unit owns them, or a database would lose its quorum.
    """
    charm.owned.require("pause")
    if charm.ovn.was_started and (why := charm.ovn.why_not_to_stop()):
        raise ActionError(why)
    return charm.paused.begin()


def resume(charm: OvnCentralCharm) -> Outcome:
    """Start the daemons again.

    Raises:
        ActionError: Another unit owns them.
    """
    charm.owned.require("resume")
    if not charm.paused or charm.ovn.has_servers:
        return charm.paused.end()
    charm.ovn.services.mark_paused(paused=False)
    return Outcome(summary="resumed; a spare has nothing to start")


def show_job(charm: OvnCentralCharm, *, job_id: str = "") -> Outcome:
    """Show how one job of this unit stands, or all."""
    return show(charm.jobs, job_id)


def _require_member(charm: OvnCentralCharm, action: str) -> None:
    if not charm.ovn.was_started:
        members = [unit for unit in charm.members.recorded if unit != charm.unit.name]
        use = f": juju run {members[0]} {action}" if members else ": see its status"
        raise ActionError(f"{charm.unit.name} runs no database{use}")
