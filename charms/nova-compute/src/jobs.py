"""Jobs of a unit. They begin again wherever they were interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import Control, RefusedError
from drain import Drain
from openinfra_charm.daemon.job import JobError, NotNowError
from openinfra_charm.daemon.services import Services
from openinfra_charm.openstack.api import Api
from place import Place

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job

DRAIN, DEPART = f"{__name__}.drain", f"{__name__}.depart"


def drain(job: Job) -> str:
    """Move all servers that run to other hosts."""
    control = Control(job.machine, job.application)
    return Drain(control, job.report, job.machine.sleep).move_running()


def depart(job: Job) -> str:
    """Drain the host, give away what does not run, and take the host out of Nova and Placement.

    Raises:
        JobError: Something keeps the host.
        NotNowError: Nova does not answer.
    """
    control, place = Control(job.machine, job.application), Place(job.machine, job.application)
    leaving = Drain(control, job.report, job.machine.sleep)
    if not place.departed:
        moved = leaving.move_running()
        job.report(moved)
        # From here on nothing of a hook starts it again.
        Api(job.machine, job.application, user="root").drain()
        services = Services(job.machine, job.application)
        services.stop(*services.units)
        try:
            if control.servers():
                control.give_up()
                leaving.give_away()
            held = control.delete(place.identity)
        except RefusedError as error:
            raise NotNowError(f"the host cannot be taken out of Nova: {error}") from error
        if held:
            raise JobError(
                f"Placement has allocations of {', '.join(held)} on this host: nova-manage placement audit --delete"
            )
        place.depart()
    return "the host is taken out of Nova and Placement: juju remove-unit can follow"
