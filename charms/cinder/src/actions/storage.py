"""What operators need of Cinder besides its API: services of units that are gone, and volume types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import CommandError
from openinfra_charm.model.actions import ActionError, Outcome, require_leader, size
from openinfra_charm.openstack.programs import last_line
from services import REMOVE, Client, host_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from charm import CinderCharm

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,254}")


def list_services(charm: CinderCharm) -> Outcome:
    """Show the services that are on record.

    Raises:
        ActionError: The API does not answer.
    """
    found = _services(charm)
    down = [one for one in found if one["state"] != "up"]
    words = f"{len(found)} services, {len(down)} of them down" if down else f"{len(found)} services, all up"
    return Outcome(summary=words, result=found)


def remove_services(charm: CinderCharm, *, host: str = "", dry_run: bool = True) -> Outcome:
    """Remove the services of hosts that are of no unit.

    Raises:
        ActionError: This is not the leader, or the host is of a unit that there is, or is not known; nothing has changed. Or the API does
            not answer.
    """
    require_leader(charm, f"remove-services host={host} dry-run={str(dry_run).lower()}")
    of_units = {host_of(unit): unit for unit in charm.service.cluster.planned}
    if host in of_units:
        raise ActionError(
            f"{host} is {of_units[host]}, which is in the model: juju remove-unit {of_units[host]}"
        )
    services: dict[str, list[dict[str, Any]]] = {}
    for one in _services(charm):
        services.setdefault(one["host"].partition("@")[0], []).append(one)
    if host and host not in services:
        raise ActionError(
            f"no service of {host} is on record: there are {', '.join(sorted(services)) or 'none'}"
        )
    left = {name: all_of for name, all_of in services.items() if name not in of_units and host in {"", name}}
    if up := [name for name, all_of in left.items() if any(one["state"] == "up" for one in all_of)]:
        raise ActionError(f"services of {', '.join(up)} still run: stop them first")
    shown = [one for name in sorted(left) for one in left[name]]
    if dry_run or not left:
        return Outcome(
            summary=f"{len(shown)} services are of no unit"
            + ("; set dry-run=false to remove them" if left else ""),
            result=shown,
        )
    heir = host_of(charm.unit.name)
    jobs = [charm.service.jobs.start(REMOVE, host=name, heir=heir).id for name in sorted(left)]
    return Outcome(summary=f"{', '.join(jobs)} started; see show-job", result={"job-ids": ",".join(jobs)})


def create_volume_type(
    charm: CinderCharm, *, name: str, description: str = "", multiattach: bool = False, public: bool = True,
    total_iops: int = 0, total_bytes: str = "",
) -> Outcome:  # fmt: skip
    """Make a volume type.

    Raises:
        ActionError: A parameter cannot be used, or there is one of that name (nothing has changed). Or the API does not answer.
    """
    if not _NAME.fullmatch(name):
        raise ActionError(f"name={name}: expected letters, digits, blanks, . _ and -, at most 255")
    limits = {"total_iops_sec": total_iops, "total_bytes_sec": size("total-bytes", total_bytes)}
    made = _asked(
        charm,
        lambda client: client.make_type(
            name=name, description=description, public=public,
            properties={"volume_backend_name": "ceph", **({"multiattach": "<is> True"} if multiattach else {})},
            limits={key: str(value) for key, value in limits.items() if value},
        ),
    )  # fmt: skip
    return Outcome(
        summary=f"volume type {name} is made: openstack volume create --type '{name}'", result=made
    )


def _services(charm: CinderCharm) -> list[dict[str, Any]]:
    return _asked(charm, Client.services)


def _asked(charm: CinderCharm, ask: Callable[[Client], Any]) -> Any:
    """Ask Cinder's API of this unit.

    Raises:
        ActionError: It does not answer, or refuses.
    """
    if why := charm.service.workload.problem():
        raise ActionError(f"{charm.unit.name} does not serve: {why}")
    try:
        return ask(Client(charm.service.machine, charm.app.name))
    except (CommandError, TimeoutError) as error:
        raise ActionError(last_line(error)) from error
