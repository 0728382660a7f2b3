"""Users, and the buckets that they keep."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from actions import cluster, existing
from admin import AT_ONCE
from ceph_rgw import KEEPER
from openinfra_charm.model.actions import ActionError, Outcome, size
from pages import page

if TYPE_CHECKING:
    from admin import Admin
    from charm import CephRgwCharm

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SHOWN = 200
"""The most buckets that a dry run lists; a result has a limit."""


def create_user(charm: CephRgwCharm, *, name: str, display_name: str = "", max_size: str = "") -> Outcome:
    """Make a user; its keys are in the result, and nowhere else outside Ceph.

    Raises:
        ActionError: The name or the size cannot be used, or is taken (nothing has changed); or Ceph refuses.
    """
    if not _NAME.fullmatch(name):
        raise ActionError(f"name={name}: expected letters, digits, . _ and -, at most 64")
    limit = size("max-size", max_size)
    with cluster(charm):
        if charm.rgw.admin.user(name):
            raise ActionError(f"there is a user {name} already; see list-users")
        keys = charm.rgw.admin.create_user(name, display_name or name)
        if limit:
            charm.rgw.admin.set_quota(name, limit)
    result = {"access-key": keys.access, "secret-key": keys.secret}
    return Outcome(summary=f"user {name} is made", result=result)


def set_quota(charm: CephRgwCharm, *, user: str, max_size: str = "") -> Outcome:
    """Set or lift the limit of what a user may keep.

    Raises:
        ActionError: There is no such user, or the size is none (nothing has changed); or Ceph does not answer.
    """
    limit = size("max-size", max_size)
    with cluster(charm):
        existing(charm, user)
        charm.rgw.admin.set_quota(user, limit)
    return Outcome(summary=f"{user} may keep {max_size or 'any amount'}")


def delete_user(charm: CephRgwCharm, *, name: str, purge: bool = False, dry_run: bool = True) -> Outcome:
    """Delete a user, with `purge` all that it keeps too.

    What it keeps is deleted by a job, since that takes as long as there are objects. The user is suspended first: nothing
    new comes in, and who is made anew under the name is another one.

    Raises:
        ActionError: There is no such user, or it keeps something and `purge` is not set (nothing has changed); or Ceph
            does not do it.
    """
    with cluster(charm):
        existing(charm, name)
        buckets = charm.rgw.admin.bucket_names(name)
        held, shown = f"{len(buckets)} buckets", list[Any](buckets)
        if len(buckets) <= AT_ONCE:
            shown = charm.rgw.admin.buckets(name)
            held += f" with {sum(one['objects'] for one in shown)} objects"
        if buckets and not purge:
            raise ActionError(f"{name} has {held}: purge=true deletes them too")
        if dry_run:
            summary = f"{name} and {held} would be lost; set dry-run=false to do it"
            if len(shown) > SHOWN:
                summary += f"; the first {SHOWN} are shown, list-buckets user={name} has all"
            return Outcome(summary=summary, result=shown[:SHOWN])
        if not buckets:
            charm.rgw.admin.run("user", "rm", f"--uid={name}")
            return Outcome(summary=f"user {name} is deleted; it had nothing")
        charm.rgw.admin.suspend(name)
    job = charm.jobs.start("jobs.delete_user", user=name)
    summary = f"{job.id} started; {held} to delete; {name} is suspended; see show-job"
    return Outcome(summary=summary, result={"job-id": job.id})


def list_users(charm: CephRgwCharm, *, limit: int = 100, marker: str = "") -> Outcome:
    """Return users, by name, each with what it keeps and may keep; as many as an action has time for.

    Raises:
        ActionError: Ceph does not answer.
    """
    admin = charm.rgw.admin
    with cluster(charm):
        names = [name for name in admin.users() if name != KEEPER]
        found = page(charm.machine, names, lambda name: _describe(admin, name), marker=marker, limit=limit)
    return found.outcome("user", "users", f"juju run {charm.unit.name} list-users")


def list_buckets(charm: CephRgwCharm, *, user: str = "", limit: int = 100, marker: str = "") -> Outcome:
    """Return buckets, by name, with their owners, sizes and numbers of objects; as many as an action has time for.

    Raises:
        ActionError: There is no such user, or Ceph does not answer.
    """
    admin = charm.rgw.admin
    with cluster(charm):
        if user:
            existing(charm, user)
        names = admin.bucket_names(user)
        if len(names) <= AT_ONCE:
            known = {one["name"]: one for one in admin.buckets(user) if one["owner"] != KEEPER}
            names, describe = sorted(known), known.get
        else:
            names, describe = [name for name in names if name != charm.rgw.health_bucket], admin.bucket
        found = page(charm.machine, names, describe, marker=marker, limit=limit)
    of_user = f" user={user}" if user else ""
    return found.outcome("bucket", "buckets", f"juju run {charm.unit.name} list-buckets{of_user}")


def _describe(admin: Admin, name: str) -> dict[str, Any] | None:
    user = admin.user(name)
    if user is None:
        return None
    quota = user["user_quota"]
    few = 0 < user["max_buckets"] <= AT_ONCE or len(admin.bucket_names(name)) <= AT_ONCE
    buckets = admin.buckets(name) if few else None
    tenant = f"{user['tenant']}$" if user.get("tenant") else ""
    return {
        "name": f"{tenant}{user['user_id'].removeprefix(tenant)}",
        "display-name": user["display_name"],
        "buckets": len(admin.bucket_names(name) if buckets is None else buckets),
        # Counting the bytes of so many buckets takes too long.
        "bytes": None if buckets is None else sum(one["bytes"] for one in buckets),
        "max-bytes": quota["max_size"] if quota["enabled"] else 0,
    }
