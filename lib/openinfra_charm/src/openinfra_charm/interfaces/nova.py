"""The `nova` interface (endpoint `nova-service`): what Nova's control plane and the services on its hosts tell each other.

Ours. The provider's leader, in its application data:

- `metadata-url`: where the metadata API is reached in the services' network, without a path: `https://10.1.0.100:8775`.
- `metadata-secret`: the id of a Juju secret with the one field `secret`, which is granted to the relation. Who asks the metadata API for a
  server signs the server's id with it.
- `console-url`: the page of the consoles, for browsers: `https://cloud.example:6080/vnc_lite.html`.
- `region`: the region that Nova is in.

Each unit of a requirer that runs nova-compute, in its unit data: `hostname`, the host's name in Nova; `availability-zone`, that of the
unit's machine, where its cloud has zones; `release`, which nova-compute runs (all of a later one: the control plane's processes learn
what is possible from then on); and `ready`, `true` when the service runs and its host can be made known to the scheduler.
A requirer that only passes metadata on publishes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model import databag, secrets
from openinfra_charm.model.cluster import unit_number
from openinfra_charm.model.databag import Form

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ops

_URLS = ("metadata-url", "console-url")
_REGION = Form(r"[A-Za-z0-9._-]{1,255}", "a region's name")
_SECRET = Form(r"[!-~]{16,}", "16 visible ASCII characters or more")
_HOSTNAME = Form(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", "a host's name")
_ZONE = Form(r"[^\x00-\x1f\x7f:]{0,255}", "a zone's name, one line without colons")


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a service on a host needs to know of Nova's control plane; `secret` signs what the metadata API is asked."""

    metadata_url: str
    secret: str
    console_url: str
    region: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """A host of nova-compute, as its unit tells; without a `zone` its cloud has none."""

    hostname: str
    zone: str = ""
    ready: bool = False
    release: str = ""
    """The release of OpenStack that nova-compute runs."""
    unit: str = ""
    """Which unit it is of, as the provider sees it."""


# The provider


def publish(
    relation: ops.Relation,
    application: ops.Application,
    *,
    metadata_url: str,
    console_url: str,
    region: str,
    secret: secrets.Own,
) -> None:
    """As the provider's leader, tell a requirer all that it needs.

    Args:
        relation: The relation.
        application: The provider.
        metadata_url: Where the metadata API is reached.
        console_url: Where the consoles' page is.
        region: The region.
        secret: The one for all relations; it exists, and is granted to this one before its id is told.
    """
    data = relation.data[application]
    if not data.get("metadata-secret"):
        databag.put(data, "metadata-secret", secret.grant(relation))
    said = {"metadata-url": metadata_url, "console-url": console_url, "region": region}
    for key, text in said.items():
        databag.put(data, key, text)


def read_hosts(relations: Iterable[ops.Relation]) -> tuple[list[Host], list[str]]:
    """As the provider, return the hosts that units have named, by their units' numbers, and what is wrong with others, for a status."""
    found, problems = databag.read_each(sorted(relations, key=lambda one: one.id), _read_hosts)
    return [host for hosts in found.values() for host in hosts], problems


def _read_hosts(relation: ops.Relation) -> list[Host]:
    found: list[Host] = []
    for unit in sorted(relation.units, key=lambda one: unit_number(one.name)):
        data = relation.data[unit]
        name, zone = data.get("hostname", ""), data.get("availability-zone", "")
        if not name:
            continue
        databag.check(relation, _HOSTNAME, {"hostname": name})
        databag.check(relation, _ZONE, {"availability-zone": zone})
        release = data.get("release", "")
        databag.check(relation, databag.NAME, {"release": release})
        found.append(
            Host(hostname=name, zone=zone, ready=data.get("ready") == "true", release=release, unit=unit.name)
        )
    return found


# The requirer


def publish_host(relation: ops.Relation, unit: ops.Unit, host: Host) -> None:
    """As a unit of a requirer, name its host, and say whether the service runs there."""
    said = {
        "hostname": host.hostname,
        "availability-zone": host.zone,
        "ready": "true" if host.ready else "",
        "release": host.release,
    }
    for key, text in said.items():
        databag.put(relation.data[unit], key, text)


def read_access(model: ops.Model, relation: ops.Relation, *, refresh: bool = True) -> Access | None:
    """As a requirer, return what it needs to know; None until the provider has told all of it.

    Args:
        model: The model.
        relation: The relation.
        refresh: Whether the newest secret is used from now on; without it, it is only looked at.

    Raises:
        RelationError: The provider has said something that cannot be used.
    """
    data = relation.data[relation.app]
    content = secrets.find(model, data.get("metadata-secret"), refresh=refresh)
    said = {key: data.get(key, "") for key in (*_URLS, "region")}
    if not (content and all(said.values())):
        return None
    secret = content.get("secret", "")
    for key in _URLS:
        databag.check(relation, databag.URL, {key: said[key]})
    databag.check(relation, _REGION, {"region": said["region"]})
    databag.check(relation, _SECRET, {"secret": secret}, secret=True)
    return Access(
        metadata_url=said["metadata-url"],
        secret=secret,
        console_url=said["console-url"],
        region=said["region"],
    )
