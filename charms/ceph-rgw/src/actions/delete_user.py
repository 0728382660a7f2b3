"""Delete a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster, existing
from openinfra_charm.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephRgwCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    name: str
    purge: bool = False
    dry_run: bool = True


def run(charm: CephRgwCharm, params: Params) -> Outcome:
    """Delete a user, with `purge` all that it keeps too.

    What it keeps is deleted by a job, since that takes as long as there are objects. The user is suspended first: nothing
    new comes in, and who is made anew under the name is another one.

    Raises:
        ActionError: There is no such user, or it keeps something and `purge` is not set (nothing has changed); or Ceph
            does not do it.
    """
    with cluster(charm):
        existing(charm, params.name)
        buckets = charm.rgw.admin.buckets(params.name)
        held = f"{len(buckets)} buckets with {sum(one['objects'] for one in buckets)} objects"
        if buckets and not params.purge:
            raise ActionError(f"{params.name} has {held}: purge=true deletes them too")
        if params.dry_run:
            return Outcome(
                summary=f"{params.name} and {held} would be lost; set dry-run=false to do it", result=buckets
            )
        if not buckets:
            charm.rgw.admin.run("user", "rm", f"--uid={params.name}")
            return Outcome(summary=f"user {params.name} is gone; it had nothing")
        charm.rgw.admin.suspend(params.name)
    job = charm.jobs.start("jobs.delete_user", user=params.name)
    summary = f"{job.id} started; {held} to delete; {params.name} is suspended; see show-job"
    return Outcome(summary=summary, result={"job-id": job.id})
