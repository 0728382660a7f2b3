"""What this machine has: its baseline, its packages and its jobs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import updates
from audit import findings
from openinfra_charm.daemon.show_job import show
from openinfra_charm.machine import CommandError
from openinfra_charm.model.actions import ActionError, Outcome, failing_on
from state import Config

if TYPE_CHECKING:
    from charm import HostCharm

_FETCH_SECONDS = 45


def audit(charm: HostCharm) -> Outcome:
    """Compare the machine with its baseline, and report each finding.

    Raises:
        ActionError: The machine cannot be looked at.
        ConfigError: An option cannot be used.
    """
    with failing_on(CommandError, TimeoutError, words="the machine could not be looked at: {}"):
        found = findings(charm.host, Config.parse(charm.config))
    failed = [finding.id for finding in found if finding.state == "fail"]
    summary = (
        f"{len(failed)} of {len(found)} failed: {', '.join(failed)}"
        if failed
        else f"none of {len(found)} failed"
    )
    return Outcome(summary=summary, result=[dataclasses.asdict(finding) for finding in found])


def list_updates(charm: HostCharm, *, refresh: bool) -> Outcome:
    """List packages that have a newer version, and who needs them.

    Raises:
        ActionError: apt-get cannot work.
    """
    try:
        if refresh:
            charm.machine.run("apt-get", "--quiet", "update", timeout=_FETCH_SECONDS)
        found = updates.pending(charm.machine, charm.host.needed_packages())
    except (CommandError, TimeoutError) as error:
        words = " ".join(str(error).split())
        raise ActionError(f"{words} (on the machine, try apt-get update)") from error
    security = sum(update.security for update in found)
    return Outcome(
        summary=f"{len(found)} packages have a newer version, {security} of them for security",
        result=[dataclasses.asdict(update) for update in found],
    )


def show_job(charm: HostCharm, *, job_id: str = "") -> Outcome:
    """Show how one job of this unit stands, or all."""
    return show(charm.jobs, job_id)
