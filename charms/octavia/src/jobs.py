"""Work that may take longer than a hook: a function each, which can begin again at any point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.daemon.job import JobError
from openinfra_charm.machine import CommandError
from openinfra_charm.openstack.programs import Programs, last_line

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job

SYNC = f"{__name__}.sync_ovn"
_SECONDS = 3600


def sync_ovn(job: Job, asked: str) -> str:
    """Write what Octavia's database has into OVN's.

    Args:
        job: The job.
        asked: When somebody asked for it: what was done at another time is no answer.

    Raises:
        JobError: It could not be done.
    """
    del asked
    job.report("writing load balancers into OVN's database")
    program, config = (
        f"/usr/lib/openinfra/{job.application}/octavia_sync.py",
        f"/etc/{job.application}/octavia.conf",
    )
    env = {"OPENINFRA_AGENT": f"/var/lib/{job.application}"}
    try:
        Programs(job.machine, job.application).run(
            "python", program, f"--config-file={config}", env=env, seconds=_SECONDS
        )
    except (CommandError, TimeoutError) as error:
        raise JobError(f"load balancers could not be written: {last_line(error)}") from error
    return "OVN's database has all load balancers"
