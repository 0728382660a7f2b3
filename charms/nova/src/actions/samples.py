"""The action that makes a first network, flavors and image."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

import jobs
from openinfra_charm.model.actions import ActionError, Outcome, require_leader

if TYPE_CHECKING:
    from charm import NovaCharm


def create_samples(
    charm: NovaCharm,
    *,
    image: str = "",
    image_name: str = "sample",
    project: str = "admin",
    network_cidr: str = "192.168.100.0/24",
    dns: str = "",
    physical_network: str = "",
    external_cidr: str = "",
    external_gateway: str = "",
    external_range: str = "",
    dry_run: bool = False,
) -> Outcome:
    """Begin to make what is not there.

    Raises:
        ActionError: This is not the leader, or a parameter cannot be used.
    """
    require_leader(charm, "create-samples")
    wanted: dict[str, Any] = {
        "image": image, "image-name": image_name, "project": project, "dns": dns.replace(",", " ").split(),
        "cidr": _network("network-cidr", network_cidr), "physical-network": physical_network,
    }  # fmt: skip
    _check_image(charm, image)
    if physical_network:
        wanted["external"] = _external(external_cidr, external_gateway, external_range)
    elif external_cidr or external_range:
        raise ActionError(
            "physical-network: an external network needs one, as bridge-mappings of ovn-chassis call it"
        )
    text = json.dumps(wanted, sort_keys=True)
    if dry_run:
        missing = charm.nova.missing_samples(text)
        return Outcome(summary=f"would make: {', '.join(missing) or 'nothing, all is there'}", result=missing)
    record = charm.service.jobs.start(jobs.SAMPLES, wanted=text)
    return Outcome(summary=f"samples are being made: show-job job-id={record.id}", result=record.id)


def _check_image(charm: NovaCharm, image: str) -> None:
    if image and not image.startswith(("https://", "http://", "/")):
        raise ActionError(
            f"image={image}: expected the path of a file on {charm.unit.name}'s machine, or a URL (https://...)"
        )
    if image.startswith("/") and not charm.service.machine.exists(image):
        raise ActionError(f"image={image}: there is no such file on the machine of {charm.unit.name}")


def _network(option: str, text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ActionError(f"{option}={text}: expected a network such as 10.0.0.0/24 ({error})") from error


def _external(cidr: str, gateway: str, addresses: str) -> dict[str, str]:
    """Return the external network, checked."""
    network = ipaddress.ip_network(_network("external-cidr", cidr))
    first, _, last = addresses.replace(" ", "").partition("-")
    try:
        inside = [ipaddress.ip_address(one) for one in (first, last)]
        door = ipaddress.ip_address(gateway) if gateway else network[1]
    except ValueError as error:
        raise ActionError(
            f"external-range={addresses}: expected FIRST-LAST, and an address for external-gateway ({error})"
        ) from error
    for one in (*inside, door):
        if one not in network:
            raise ActionError(f"external-cidr={cidr}: {one} is not in it")
    if int(inside[0]) > int(inside[1]) or int(inside[0]) <= int(door) <= int(inside[1]):
        raise ActionError(f"external-range={addresses}: expected FIRST-LAST, without the gateway {door}")
    return {"cidr": str(network), "gateway": str(door), "first": first, "last": last}
