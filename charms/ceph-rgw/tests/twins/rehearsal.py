"""The object gateway's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """The gateways of one application, and the zone that they serve."""

    def __init__(self) -> None:
        self.zone = programs.Zone()
        self.gateways: list[programs.RgwSoftware] = []

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine the gateway's programs."""
        gateway = programs.RgwSoftware(self.zone, machine, address)
        self.gateways.append(gateway)
        machine.bring(testing.Cryptography())
        machine.bring(gateway)

    def violations(self) -> Iterator[str]:
        """Yield what no charm may ever do to a zone."""
        for kind, names in (("realm", self.zone.realms), ("zone", self.zone.zones)):
            if len(names) > 1:
                yield f"one {kind}: there are {', '.join(sorted(names))}"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what gateways of so many units lack."""
        serving = [gateway for gateway in self.gateways if gateway.serves]
        if len(serving) < len(units):
            yield f"{len(serving)} gateways answer, there are {len(units)} units"
        for gateway in serving:
            if gateway.outdated:
                yield f"the gateway of {gateway.machine.name} runs with an older configuration or certificate"
        for user in self.zone.users.values():
            if user.name == "openinfra-health" and user.keys:
                yield "somebody has a key of the owner of what health checks read"

    def served(self) -> Iterator[tuple[str, str]]:
        """Yield what the gateways present."""
        for gateway in self.gateways:
            if gateway.serves:
                chain = gateway.certificate.partition("-----BEGIN PRIVATE KEY")[0]
                yield f"the gateway of {gateway.machine.name}", chain

    def users(self) -> Iterator[tuple[str, str]]:
        """Yield the users that have keys, and why they do not get in."""
        serves = any(gateway.serves for gateway in self.gateways)
        for user in self.zone.users.values():
            if user.keys:
                why = "" if serves else "no gateway answers"
                yield f"the user {user.name}", "it is suspended" if user.suspended else why

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how an operator makes users, and deletes one."""
        yield from super().usual(units)
        yield f"run {units[0]} create-user name=backup max-size=10G"
        yield f"run {units[0]} list-users"

    def equip(self, unit: str) -> Iterator[str]:
        """Yield how an operator looks at a new gateway."""
        yield f"run {unit} get-endpoints"

    def settings(self) -> Sequence[str]:
        """Return what restarts gateways, and what does not."""
        return ("public-hostname=s3.example.org", "region=RegionTwo", "keystone-roles=member")

    def fill(self) -> None:
        """Have users leave objects."""
        for user in list(self.zone.users.values()):
            self.zone.buckets.setdefault(f"{user.name}-data", user.name)
            self.zone.objects[f"{user.name}-data"] = 10
