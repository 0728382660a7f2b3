"""What rolls through the model, one machine after another: reboots and upgrades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, Outcome, require_leader

if TYPE_CHECKING:
    from charm import HostCharm
    from roll import Kind


def reboot(charm: HostCharm, *, all_units: bool) -> Outcome:
    """Queue a restart of this machine, or as the leader of all of them.

    Raises:
        ActionError: One of them has a request already, or this is not the leader.
    """
    return _ask(charm, "reboot", "reboot", all_units=all_units)


def upgrade_packages(charm: HostCharm, *, all_units: bool, reboot: bool) -> Outcome:
    """Queue an upgrade of this machine, or as the leader of all of them; with `reboot` they restart afterwards.

    Raises:
        ActionError: One of them has a request already, or this is not the leader.
    """
    return _ask(charm, "upgrade", "upgrade-packages", all_units=all_units, reboot=reboot)


def resume_roll(charm: HostCharm) -> Outcome:
    """Have the machines whose request failed try again.

    Raises:
        ActionError: None has failed, or this is not the leader.
    """
    require_leader(charm, "resume-roll")
    units = charm.roll.units_in("failed")
    if not units:
        raise ActionError("nothing has failed: there is nothing to resume")
    charm.roll.order_resume()
    return Outcome(summary=f"{', '.join(units)} will try again", result={"units": units})


def cancel_roll(charm: HostCharm) -> Outcome:
    """Drop all requests that wait or have failed; those under way come to their end.

    Raises:
        ActionError: There are none, or this is not the leader.
    """
    require_leader(charm, "cancel-roll")
    units = charm.roll.units_in("waiting", "failed")
    if not units:
        raise ActionError("nothing waits and nothing has failed: there is nothing to cancel")
    charm.roll.order_cancel()
    return Outcome(summary=f"cancelled for {', '.join(units)}", result={"units": units})


def require_owner(charm: HostCharm) -> None:
    """Refuse on a unit that only stands by.

    Raises:
        ActionError: Another unit manages the machine.
    """
    if charm.owner != charm.unit.name:
        raise ActionError(f"{charm.owner or 'no unit yet'} manages this machine: run the action there")


def require_no_request(charm: HostCharm, *units: str) -> None:
    """Refuse while one of the units wants or has the lock already.

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


def _ask(charm: HostCharm, kind: Kind, action: str, *, all_units: bool, reboot: bool = False) -> Outcome:
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
