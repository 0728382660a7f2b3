"""Work that may take longer than a hook: a function each, which can begin again at any point."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from openinfra_charm.daemon.job import JobError
from openinfra_charm.machine import CommandError
from openinfra_charm.openstack.api import Api
from openinfra_charm.openstack.programs import Programs, last_line

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job

CHECK, REPAIR = f"{__name__}.check_ovn", f"{__name__}.repair_ovn"
_SECONDS = 3600
_SHOWN = 20
"""How many differences a job tells one by one; all are in the journal."""


def check_ovn(job: Job, asked: str) -> str:
    """Compare Neutron's database with OVN's, and change nothing.

    Args:
        job: The job.
        asked: When somebody asked for it: what was found at another time is no answer.

    Raises:
        JobError: They cannot be compared.
    """
    del asked
    found = _run(job, "check")
    return f"{len(found)} differences: {_told(found)}" if found else "OVN's databases are as Neutron's"


def repair_ovn(job: Job, asked: str, paused: str) -> str:
    """Put right what differs, while the API is stopped; the hook that follows starts it again.

    Args:
        job: The job.
        asked: As above.
        paused: Whether the unit was paused for that only.

    Raises:
        JobError: It could not be done.
    """
    del asked
    try:
        found = _run(job, "repair")
    finally:
        if paused:
            Api(job.machine, job.application).undrain()
    return (
        f"{len(found)} differences were put right: {_told(found)}" if found else "there was nothing to repair"
    )


def _run(job: Job, verb: str) -> list[str]:
    job.report(f"{verb}: comparing the databases")
    words = (
        f"/usr/lib/openinfra/{job.application}/openinfra_ovn.py",
        f"/etc/{job.application}/neutron.conf",
        verb,
    )
    try:
        said = Programs(job.machine, job.application).run("python", *words, seconds=_SECONDS)
    except (CommandError, TimeoutError) as error:
        raise JobError(f"{verb}: {last_line(error)}") from error
    found: list[str] = json.loads(said)
    return found


def _told(found: list[str]) -> str:
    words = "; ".join(found[:_SHOWN])
    return f"{words}; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else words
