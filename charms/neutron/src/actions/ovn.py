"""What OVN's databases have beside what they should have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jobs
from openinfra_charm.model.actions import ActionError, Outcome
from openinfra_charm.openstack import actions
from openinfra_charm.openstack.api import HEALTH
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from charm import NeutronCharm

WAIT_SECONDS = 40
"""How long an action waits for its job, which takes longer where there are many networks."""
REPAIR_SECONDS = 10
"""And one that has stopped the API first, which may take the rest of a minute."""


def check_ovn(charm: NeutronCharm) -> Outcome:
    """Compare, and say what differs.

    Raises:
        ActionError: Neutron is not set up here, or the databases cannot be compared.
    """
    _require_service(charm)
    return _follow(charm, jobs.CHECK)


def repair_ovn(charm: NeutronCharm, *, dry_run: bool = True) -> Outcome:
    """Put right what differs, while no API changes what is compared.

    Raises:
        ActionError: Another unit serves; nothing was changed. Or the databases cannot be compared.
    """
    _require_service(charm)
    if dry_run:
        return _follow(charm, jobs.CHECK)
    if serving := _serving_elsewhere(charm):
        first = serving[0]
        raise ActionError(
            f"{', '.join(serving)} would change what is compared: juju run {first} pause, and resume afterwards"
        )
    was_paused = charm.service.workload.api.paused
    actions.pause(charm.service)
    return _follow(charm, jobs.REPAIR, REPAIR_SECONDS, paused="" if was_paused else "meanwhile")


def _serving_elsewhere(charm: NeutronCharm) -> list[str]:
    """Return the other units that are not paused: nobody listens where one is."""
    service = charm.service
    others = [unit for unit in service.cluster.units if unit != charm.unit.name]
    return [unit for unit in others if _listens(charm, service.cluster.facts(unit).get("address", ""))]


def _listens(charm: NeutronCharm, address: str) -> bool:
    place = f"https://{bracketed(address)}:{charm.ports.backend}{HEALTH}"
    try:
        charm.service.machine.fetch(place, ca_path=charm.service.workload.tls.ca_path, timeout=5)
    except OSError:
        return False
    return True


def _require_service(charm: NeutronCharm) -> None:
    if not charm.service.workload.version() or not charm.service.workload.tls.ready:
        raise ActionError("Neutron is not set up here yet; see its status")


def _follow(charm: NeutronCharm, function: str, seconds: float = WAIT_SECONDS, **arguments: str) -> Outcome:
    """Start a job, and tell how it stands when it has ended or taken too long to wait for."""
    service = charm.service
    record = service.jobs.start(function, asked=str(service.machine.now()), **arguments)
    service.jobs.wait(record.id, seconds)
    stands = service.jobs.find(record.id) or record
    if stands.state == "failed":
        raise ActionError(stands.progress)
    if stands.ended is None:
        words = f"{record.id} goes on: juju run {charm.unit.name} show-job job-id={record.id}"
        return Outcome(summary=words, result={"job-id": record.id})
    return Outcome(summary=stands.progress, result={"job-id": record.id})
