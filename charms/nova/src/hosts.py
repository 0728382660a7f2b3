"""The hosts that nova-compute runs on, as their units tell and as Nova has them; the leader brings the two together.

The leader's record, in the peer relation: `hosts`, those that Nova knows: each host's unit and zone. `zones` is what Nova was told of
availability zones last; `computes` are the first release that all of nova-compute ran, and the one that all run now.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import ops.hookcmds

from openinfra_charm.model.status import NotYetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.interfaces.nova import Host
    from openinfra_charm.model.cluster import Cluster


class Software(Protocol):
    """What is done in Nova. All of it can be repeated, and raises NotYetError where it cannot be done now."""

    def discover(self) -> None:
        """Have the scheduler know hosts that are new."""
        ...

    def ask(self, verb: str, **values: Any) -> Any:
        """Do something by the cloud's APIs."""
        ...


class Hosts:
    """What the leader does for hosts.

    Args:
        cluster: Where it records what it has done.
        nova: Nova.
    """

    def __init__(self, cluster: Cluster, nova: Software) -> None:
        self._cluster = cluster
        self._nova = nova

    @property
    def known(self) -> dict[str, dict[str, str]]:
        """The hosts that Nova knows, by name."""
        return self._cluster.shared.get("hosts", {})

    @property
    def newer_release(self) -> str:
        """The release that all of nova-compute run, if it is another one than they all ran first.

        Nova's processes remember what the oldest of them understands, and have to be restarted.
        """
        first, now = self._cluster.shared.get("computes", ("", ""))
        return now if now != first else ""

    @property
    def problems(self) -> list[str]:
        """What an operator has to put right."""
        return list(self._cluster.shared.get("host_problems", ()))

    def follow(self, hosts: Iterable[Host]) -> None:
        """Have Nova know what units tell of their hosts, and forget the hosts of units that are gone.

        Raises:
            NotYetError: Nova cannot do it now.
        """
        ready = {host.hostname: host for host in hosts if host.ready}
        known = self.known
        new = {name: {"unit": host.unit, "zone": host.zone} for name, host in ready.items()}
        if new.keys() - known.keys():
            self._nova.discover()
        if any(known.get(name) != facts for name, facts in new.items()):
            known = {**known, **new}
            self._cluster.publish_shared(hosts=known)
        self._note_release(ready.values())
        self._tell_zones(known)
        self._forget_gone({host.hostname for host in hosts}, known)

    def _note_release(self, hosts: Iterable[Host]) -> None:
        releases = sorted({host.release for host in hosts})
        if releases and releases[0]:
            first, _ = self._cluster.shared.get("computes", (releases[0], ""))
            self._cluster.publish_shared(computes=[first, releases[0]])

    def _tell_zones(self, known: dict[str, dict[str, str]]) -> None:
        """Have an aggregate for each zone, with its hosts."""
        zones = {name: facts["zone"] for name, facts in sorted(known.items()) if facts["zone"]}
        if zones == self._cluster.shared.get("zones", {}):
            return
        problems = self._nova.ask("zones", hosts=zones)
        self._cluster.publish_shared(host_problems=problems or None)
        if not problems:
            self._cluster.publish_shared(zones=zones)

    def _forget_gone(self, told: set[str], known: dict[str, dict[str, str]]) -> None:
        """Remove the hosts whose units are gone from the model; one that is alive, or has servers, stays."""
        missing = {name: facts["unit"] for name, facts in known.items() if name not in told}
        gone = [name for name, unit in missing.items() if unit not in self._planned] if missing else []
        for name in gone:
            if why := self._nova.ask("remove", host=name):
                raise NotYetError(f"to remove the host {name}, whose unit is gone: {why}")
            known = {host: facts for host, facts in known.items() if host != name}
            zones = {
                host: zone for host, zone in self._cluster.shared.get("zones", {}).items() if host != name
            }
            self._cluster.publish_shared(hosts=known, zones=zones)

    @cached_property
    def _planned(self) -> frozenset[str]:
        """The units of other applications that the model has, also those that are on their way out."""
        relations = ops.hookcmds.goal_state().relations
        return frozenset(unit for goals in relations.values() for unit in goals)
