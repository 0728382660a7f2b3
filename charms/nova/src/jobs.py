"""Jobs of Nova. They begin again wherever they were interrupted: what is left to do, they ask Nova."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon.job import JobError, NotNowError
from openinfra_charm.machine import CommandError
from openinfra_charm.openstack.programs import Programs, last_line

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job

EVACUATE, ARCHIVE, SAMPLES = (
    f"{__name__}.{name}" for name in ("evacuate_host", "archive_data", "create_samples")
)
MOST_SECONDS = 4 * 3600
"""How long rows may take to be archived, or an image to be sent."""
_PAUSE = 10
_MOST_ROUNDS = 360
"""An hour without a server that has gone."""
_ARCHIVED = 1
"""`nova-manage db archive_deleted_rows` ends so when it has moved something."""


def evacuate_host(job: Job, *, host: str, service: str) -> str:
    """Have Nova take a host for dead, and build its servers anew elsewhere; end when none is left.

    Args:
        job: The job.
        host: The host.
        service: The id of its nova-compute, which a host that comes later under the same name does not have.

    Raises:
        JobError: Nova has another service there now, or servers stay.
    """
    if _ask(job, "servers", host=host)["service"] != service:
        raise JobError(f"{host} is another host now than the one that was to be evacuated")
    _ask(job, "force-down", service=service, reason=f"evacuated by {job.application}")
    total, rounds, left = 0, 0, -1
    while servers := _ask(job, "evacuate", host=host):
        total = max(total, len(servers))
        problems = [f"{one['name']}: {one['problem']}" for one in servers if one.get("problem")]
        job.report(
            f"{total - len(servers)} of {total} servers have gone; {'; '.join(problems) or 'no problems'}"
        )
        rounds = rounds + 1 if len(servers) == left else 0
        left = len(servers)
        if len(problems) == len(servers) or rounds > _MOST_ROUNDS:
            stay = "; ".join(problems) or ", ".join(one["name"] for one in servers)
            raise JobError(f"{left} of {total} servers stay on {host}: {stay}")
        job.machine.sleep(_PAUSE)
    return f"{host} has no servers any more ({total} were evacuated); it stays disabled: see enable of nova-compute"


def archive_data(job: Job, *, before: str, purge: str) -> str:
    """Move rows of what was deleted out of Nova's tables, and delete them for good where that was asked for.

    Raises:
        JobError: It cannot be done.
    """
    words = [
        "db",
        "archive_deleted_rows",
        "--until-complete",
        "--all-cells",
        "--task-log",
        "--before",
        before,
    ]
    words += ["--purge"] if purge else []
    try:
        Programs(job.machine, job.application).run(
            "nova-manage", f"--config-file=/etc/{job.application}/nova.conf", *words, seconds=MOST_SECONDS
        )
    except TimeoutError as error:
        raise NotNowError(str(error)) from error
    except CommandError as error:
        if error.code != _ARCHIVED:
            raise JobError(f"rows cannot be archived: {last_line(error)}") from error
    return f"rows of what was deleted before {before} are {'gone' if purge else 'archived'}"


def create_samples(job: Job, *, wanted: str) -> str:
    """Make what is to be there, as far as it is not.

    Raises:
        JobError: It cannot be made.
    """
    made = _run(job, "samples.py", "make", wanted, seconds=MOST_SECONDS)
    return f"made: {', '.join(json.loads(made)) or 'nothing, all was there'}"


def _ask(job: Job, verb: str, **values: Any) -> Any:
    return json.loads(_run(job, "ask_hosts.py", verb, json.dumps(values), seconds=120))


def _run(job: Job, program: str, *arguments: str, seconds: float) -> str:
    path = f"/usr/lib/openinfra/{job.application}/programs/{program}"
    programs, config = Programs(job.machine, job.application), f"/etc/{job.application}/nova.conf"
    try:
        return programs.run("python", path, config, *arguments, seconds=seconds)
    except (CommandError, TimeoutError) as error:
        raise JobError(last_line(error)) from error
