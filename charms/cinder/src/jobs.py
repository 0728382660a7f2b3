"""Work on what Cinder has on record, which takes longer than a hook may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.daemon.job import NotNowError
from openinfra_charm.machine import CommandError
from openinfra_charm.openstack.programs import last_line
from services import Client

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def remove_services(job: Job, host: str, heir: str) -> str:
    """Remove the services of a host that is gone, when others have taken over what it had begun.

    Args:
        job: The job.
        host: What Cinder calls the host.
        heir: The host that its backups go to.

    Raises:
        NotNowError: They still count as running, or the API does not answer.
    """
    client = Client(job.machine, job.application)
    try:
        found = [one for one in client.services() if one["host"].partition("@")[0] == host]
        if up := [one["binary"] for one in found if one["state"] == "up"]:
            # A service that has stopped counts as one that runs for a minute.
            raise NotNowError(f"{', '.join(up)} of {host} count as running still")
        job.report(f"others take over what {host} has begun")
        client.clean(host)
        for one in found:
            client.remove(one["host"], one["binary"])
        client.bequeath(host, heir)
    except (CommandError, TimeoutError) as error:
        raise NotNowError(last_line(error)) from error
    return f"{len(found)} services of {host} are removed"
