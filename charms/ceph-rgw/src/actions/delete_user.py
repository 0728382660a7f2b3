"""Delete a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actions import cluster, existing
from admin import AT_ONCE
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephRgwCharm

SHOWN = 200
"""The most buckets that a dry run lists; a result has a limit."""


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
        buckets = charm.rgw.admin.bucket_names(params.name)
        held, shown = f"{len(buckets)} buckets", list[Any](buckets)
        if len(buckets) <= AT_ONCE:
            shown = charm.rgw.admin.buckets(params.name)
            held += f" with {sum(one['objects'] for one in shown)} objects"
        if buckets and not params.purge:
            raise ActionError(f"{params.name} has {held}: purge=true deletes them too")
        if params.dry_run:
            summary = f"{params.name} and {held} would be lost; set dry-run=false to do it"
            if len(shown) > SHOWN:
                summary += f"; the first {SHOWN} are shown, list-buckets user={params.name} has all"
            return Outcome(summary=summary, result=shown[:SHOWN])
        if not buckets:
            charm.rgw.admin.run("user", "rm", f"--uid={params.name}")
            return Outcome(summary=f"user {params.name} is gone; it had nothing")
        charm.rgw.admin.suspend(params.name)
    job = charm.jobs.start("jobs.delete_user", user=params.name)
    summary = f"{job.id} started; {held} to delete; {params.name} is suspended; see show-job"
    return Outcome(summary=summary, result={"job-id": job.id})
