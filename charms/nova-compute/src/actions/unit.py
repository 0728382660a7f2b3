"""What an operator asks of one host."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import jobs
from control import RefusedError
from openinfra_charm.model.actions import ActionError, Outcome, failing_on

if TYPE_CHECKING:
    from charm import NovaComputeCharm

_REFUSED = "Nova does not do it: {}"


def disable(charm: NovaComputeCharm, *, reason: str = "disabled by an operator") -> Outcome:
    """Have the scheduler put no more servers here.

    Raises:
        ActionError: Nova does not do it.
    """
    with failing_on(RefusedError, words=_REFUSED):
        charm.control.disable(reason)
    return Outcome(summary="the scheduler passes this host over; servers that are here run on")


def enable(charm: NovaComputeCharm) -> Outcome:
    """Have the scheduler use this host again.

    Raises:
        ActionError: Nova does not do it, or the host was taken out of it.
    """
    if charm.place.departed:
        raise ActionError(
            f"this host was taken out of Nova: juju run {charm.unit.name} prepare-removal cancel=true"
        )
    with failing_on(RefusedError, words=_REFUSED):
        charm.control.enable()
    return Outcome(summary="the scheduler uses this host")


def drain(charm: NovaComputeCharm, *, dry_run: bool = False) -> Outcome:
    """Start a job that moves all servers that run to other hosts.

    Raises:
        ActionError: Nova does not answer.
    """
    found = _servers(charm)
    running = [one for one in found if one["status"] in {"ACTIVE", "PAUSED"}]
    if dry_run:
        words = f"{len(running)} servers would move; {len(found) - len(running)} do not run and would stay"
        return Outcome(summary=words, result=found)
    record = charm.service.jobs.start(jobs.DRAIN)
    return Outcome(summary=_started(record.id, charm), result={"job": record.id})


def prepare_removal(charm: NovaComputeCharm, *, dry_run: bool = False, cancel: bool = False) -> Outcome:
    """Start a job that takes this host out of Nova, or take that back.

    Raises:
        ActionError: Nova does not answer.
    """
    if cancel:
        return _stay(charm)
    if charm.place.departed:
        return Outcome(summary="this host is taken out of Nova already: its unit can be removed")
    found = _servers(charm)
    if dry_run:
        return Outcome(summary=f"{len(found)} servers would go to other hosts", result=found)
    record = charm.service.jobs.start(jobs.DEPART)
    return Outcome(summary=_started(record.id, charm), result={"job": record.id})


def _stay(charm: NovaComputeCharm) -> Outcome:
    service = charm.service
    for record in service.jobs.unfinished():
        if record.module == jobs.DEPART:
            service.jobs.cancel(record, "taken back by an operator")
    charm.place.come_back()
    service.workload.api.undrain()
    service.workload.apply()
    try:
        charm.control.enable()
    except RefusedError as error:
        words = f"nova-compute starts; Nova does not enable the host yet ({error}): run enable when it is up"
        return Outcome(summary=words)
    return Outcome(summary="this host stays, and the scheduler uses it")


def _servers(charm: NovaComputeCharm) -> list[dict[str, object]]:
    with failing_on(RefusedError, words="Nova does not answer: {}"):
        return [asdict(one) for one in charm.control.servers()]


def _started(job: str, charm: NovaComputeCharm) -> str:
    return f"the job {job} has begun: juju run {charm.unit.name} show-job job-id={job}"
