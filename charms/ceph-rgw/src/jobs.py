"""Work on what users keep, which takes longer than a hook may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admin import RefusedError, UnreachableError
from ceph_rgw import Rgw
from openinfra_charm.daemon.job import JobError, NotNowError
from openinfra_charm.daemon.tls import Certificate

if TYPE_CHECKING:
    from admin import Admin
    from openinfra_charm.daemon.job import Job


def delete_user(job: Job, user: str) -> str:
    """Delete a suspended user's buckets, one after the other, and then the user.

    Raises:
        JobError: The user is suspended no longer: it was enabled again, or is another one of the name.
        NotNowError: Ceph does not answer.
    """
    admin = Rgw(job.machine, job.application, Certificate(job.machine, job.application)).admin
    try:
        return _delete(job, admin, user)
    except UnreachableError as error:
        raise NotNowError(str(error)) from error
    except RefusedError as error:
        raise JobError(f"{error}; what is left is in list-buckets user={user}") from error


def _delete(job: Job, admin: Admin, user: str) -> str:
    known = admin.user(user)
    if known is None:
        return f"user {user} is gone"
    if not known.get("suspended"):
        raise JobError(f"user {user} is not suspended: nothing more is deleted; delete-user begins anew")
    names = admin.bucket_names(user)
    for number, name in enumerate(names, 1):
        if bucket := admin.bucket(name):
            job.report(f"{name}: {bucket['objects']} objects to delete ({number} of {len(names)} buckets)")
            admin.purge_bucket(name)
    admin.run("user", "rm", f"--uid={user}")
    return f"user {user} is gone, and all that it had"
