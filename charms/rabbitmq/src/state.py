"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.cluster import Published, unit_number
from openinfra_charm.model.options import shared, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openinfra_charm.model.addresses import Place
    from openinfra_charm.model.cluster import Cluster


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The charm's options, checked. Memory and disk space are in bytes.

    `shared` maps an application to the virtual hosts of others that it may use.
    """

    memory_limit: int
    disk_free_limit: int
    allow_plain_credentials: bool
    shared: Mapping[str, frozenset[str]]

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        return cls(
            memory_limit=size(options, "memory-limit", least="128M", example="4G"),
            disk_free_limit=size(options, "disk-free-limit", least="64M", example="1G"),
            allow_plain_credentials=options["allow-plain-credentials"],
            shared=shared(options, "shared-vhosts", "application:vhost for each, such as nova-compute:nova"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """What a broker that waits for others reports: the members that it last saw run beside itself.

    `after` is the number of the last recovery that the unit knew: the answer to the report has a higher number.
    """

    saw: tuple[str, ...]
    after: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """The leader's answer to brokers that wait for members that never come back: `unit` starts without them."""

    unit: str = ""
    number: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A unit as its peers know it.

    `incarnation` names the data on its disk: another one says that the data are gone. `joined` tells whether these data have been in the
    cluster, `version` which RabbitMQ serves there, `leaving` that it is to be removed. `forgot` are the incarnations that it has made the
    cluster forget.
    """

    unit: str
    client_address: str
    ingress_address: str
    cluster_address: str
    incarnation: str = ""
    joined: bool = False
    version: str = ""
    stopped: Stopped | None = None
    leaving: bool = False
    forgot: tuple[str, ...] = ()

    @classmethod
    def parse(cls, unit: str, facts: Mapping[str, Any]) -> Member:
        """Read what a unit has published of itself."""
        stopped = facts.get("stopped")
        return cls(
            unit=unit,
            client_address=facts["client_address"],
            ingress_address=facts["ingress_address"],
            cluster_address=facts["cluster_address"],
            incarnation=facts.get("incarnation", ""),
            joined=facts.get("joined", False),
            version=facts.get("version", ""),
            stopped=Stopped(saw=tuple(stopped["saw"]), after=stopped["after"]) if stopped else None,
            leaving=facts.get("leaving", False),
            forgot=tuple(facts.get("forgot", ())),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A member as the leader has recorded it."""

    unit: str
    address: str
    incarnation: str


class Members(Published[Member]):
    """The units that have published where they are, and what the leader has recorded of the cluster.

    Args:
        cluster: The peer relation.
        unit: The name of this unit.
    """

    def __init__(self, cluster: Cluster, unit: str) -> None:
        super().__init__(cluster, Member.parse, mark="cluster_address")
        self.unit = unit

    @property
    def me(self) -> Member:
        """This unit, once it has published where it is."""
        return self[self.unit]

    @property
    def recorded(self) -> dict[str, Recorded]:
        """The cluster's members, in the order in which they came."""
        rows = self._cluster.shared.get("members", [])
        return {unit: Recorded(unit=unit, address=address, incarnation=one) for unit, address, one in rows}

    @property
    def left_behind(self) -> list[str]:
        """The units in the model that an operator has given up."""
        return self._cluster.shared.get("left-behind", [])

    @property
    def lost(self) -> list[str]:
        """The recorded members that never come back: gone from the model, or given up."""
        recorded = self.recorded
        gone = self._cluster.gone(recorded)
        return [unit for unit in recorded if unit in gone or unit in self.left_behind]

    @property
    def kept(self) -> list[Recorded]:
        """The recorded members that are not lost."""
        lost = self.lost
        return [one for one in self.recorded.values() if one.unit not in lost]

    @property
    def recovery(self) -> Recovery:
        """The leader's last answer to brokers that wait for members that never come back."""
        return Recovery(**self._cluster.shared.get("recovery", {}))

    def is_empty(self, recorded: Recorded) -> bool:
        """Return whether a recorded member has come back without the data that it was recorded with."""
        member = self.get(recorded.unit)
        return bool(member and member.incarnation and member.incarnation != recorded.incarnation)

    @property
    def hosts(self) -> dict[str, str]:
        """The names that brokers call each other's machines by, with their addresses: of members, and of those that may become one."""
        known = {one.unit: one.address for one in self.recorded.values()}
        known |= {unit: member.cluster_address for unit, member in self.items()}
        return {host_name(unit): known[unit] for unit in sorted(known, key=unit_number)}


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine. `joins` says that it is a member, or is to become one now."""

    settings: Settings
    member: Member
    hosts: Mapping[str, str]
    cookie: str
    joins: bool
    founds: bool


def addresses(public: Place, internal: Place) -> dict[str, str]:
    """Return what a unit publishes to its peers of where it is, for `Member.parse`."""
    return {
        "client_address": public.address,
        "ingress_address": public.ingress,
        "cluster_address": internal.address,
    }


def host_name(unit: str) -> str:
    """Return what brokers call a unit's machine. A unit's name is never given to another one, as those of machines are."""
    return unit.replace("/", "-")


def node_name(unit: str) -> str:
    """Return the name of a unit's broker among the others."""
    return f"rabbit@{host_name(unit)}"


def unit_of(node: str) -> str:
    """Return the unit whose broker has this name; the name itself where it is none of ours."""
    found = re.fullmatch(r"rabbit@(.+)-(\d+)", node)
    return f"{found[1]}/{found[2]}" if found else node


def may_join(unit: str, kept: Iterable[Recorded], members: Mapping[str, Member]) -> bool:
    """Return whether a unit is a member, or is to join now: with the data it is recorded with, and all before it have joined."""
    for one in kept:
        member = members.get(one.unit)
        if one.unit == unit:
            return bool(member and member.incarnation == one.incarnation)
        me = members.get(unit)
        if not (member and member.joined) and not (me and me.joined):
            return False
    return False


def next_member(
    kept: list[Recorded], members: Mapping[str, Member], left_behind: Iterable[str]
) -> Recorded | None:
    """Return who becomes a member next: one more, when all of them have joined."""
    if not all((member := members.get(one.unit)) and member.joined for one in kept):
        return None
    names = {one.unit for one in kept}
    for unit, member in members.items():
        if unit not in names and unit not in left_behind and member.incarnation and not member.leaving:
            return Recorded(unit=unit, address=member.cluster_address, incarnation=member.incarnation)
    return None


def decide(kept: list[Recorded], members: Mapping[str, Member], recovery: Recovery) -> Recovery | None:
    """Return who starts without the members that never come back; None while that is to be waited for.

    All that are to be in the cluster have to wait for them: one that serves, or that has not reported, may have what the others lack. The one
    that saw the fewest of the others run stopped last, and has the newest metadata.
    """
    reports: dict[str, Stopped] = {}
    for one in kept:
        member = members.get(one.unit)
        if not (member and member.stopped and member.stopped.after == recovery.number):
            return None
        reports[one.unit] = member.stopped
    if not reports:
        return None
    best = min(reports, key=lambda unit: (len(set(reports[unit].saw) & set(reports)), unit_number(unit)))
    return Recovery(unit=best, number=recovery.number + 1)
