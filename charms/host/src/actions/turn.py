"""What the actions that need the machine's turn have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, Outcome, require_leader

if TYPE_CHECKING:
    from charm import HostCharm
    from roll import Kind


def require_owner(charm: HostCharm) -> None:
    """Refuse on a unit that only stands by.

    Raises:
        ActionError: Another unit manages the machine.
    """
    if charm.owner != charm.unit.name:
        raise ActionError(f"{charm.owner or 'no unit yet'} manages this machine: run the action there")


def require_no_request(charm: HostCharm, *units: str) -> None:
    """Refuse while one of the units wants or has its turn already.

    Raises:
        ActionError: One does, or this unit does not know its peers yet.
    """
    if not charm.cluster.formed:
        raise ActionError(f"{charm.unit.name} does not know its peers yet: try again when it is active")
    requests = {unit: request for unit in units if (request := charm.roll.request_of(unit))}
    if requests:
        busy = ", ".join(f"{unit} ({request.kind}, {request.state})" for unit, request in requests.items())
        raise ActionError(
            f"there is a request already: {busy}. Let it end (maintenance: mode=leave), or drop what waits or has "
            f"failed: juju run {charm.app.name}/leader cancel-roll"
        )


def ask(charm: HostCharm, kind: Kind, action: str, *, all_units: bool, reboot: bool = False) -> Outcome:
    """Queue this machine, or all of them by an order of the leader.

    Raises:
        ActionError: One of them has a request already, or this is not the leader.
    """
    if all_units:
        require_leader(charm, f"{action} all-units=true")
        require_no_request(charm, *charm.roll.members)
        charm.roll.order_all(kind, reboot=reboot)
        return Outcome(
            summary=f"{kind} of all machines is queued, one after another: juju status shows the progress",
            result={"units": charm.roll.members, "job": None},
        )
    unit = charm.unit.name
    require_owner(charm)
    require_no_request(charm, unit)
    charm.roll.make_request(kind, reboot=reboot)
    request = charm.roll.request
    job = request.job if request else ""
    return Outcome(
        summary=f"{kind} of {unit} is {'under way' if job else 'queued'}: its status shows the progress",
        result={"units": [unit], "job": job or None},
    )
