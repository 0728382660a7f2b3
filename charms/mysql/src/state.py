"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.cluster import Published
from openinfra_charm.model.options import check, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.model.addresses import Place
    from openinfra_charm.model.cluster import Cluster


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The charm's options, checked. Memory is in bytes."""

    buffer_pool_size: int
    max_connections: int
    allow_plain_credentials: bool
    backup_directory: str
    backup_schedule: str
    backup_retention: int

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        most, folder = options["max-connections"], options["backup-directory"]
        schedule = options["backup-schedule"].strip()
        pool = size(options, "buffer-pool-size", "64M", "8G")
        check(options, "max-connections", 10 <= most <= 100_000, "10 to 100000")  # noqa: PLR2004  as the option says
        is_path = re.fullmatch(r"(/[\w.-]+)+", folder) and "/../" not in folder
        check(options, "backup-directory", is_path, "an absolute path, such as /var/backups/mysql")
        is_calendar = re.fullmatch(r"[\w*.,:/~ +-]*", schedule)
        check(options, "backup-schedule", is_calendar, "a calendar event, such as daily")
        check(options, "backup-retention", options["backup-retention"] >= 1, "1 or more")
        return cls(
            buffer_pool_size=pool,
            max_connections=most,
            allow_plain_credentials=options["allow-plain-credentials"],
            backup_directory=folder,
            backup_schedule=schedule,
            backup_retention=options["backup-retention"],
        )


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Position:
    """How far a stopped member's data go: `seqno` of the history `uuid`.

    `safe` says that Galera itself recorded it as the last one to leave. `after` is the number of the last recovery
    that the unit knew when it reported: the answer to the report has a higher number.
    """

    seqno: int
    uuid: str
    safe: bool
    after: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """The leader's answer to reported positions: `unit` serves, or begins the cluster again if `begin` is set."""

    unit: str = ""
    number: int = 0
    begin: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A unit as its peers know it.

    Its server listens for clients on `client_address`; they, or the gateway, reach it at `ingress_address`.
    `joined` tells whether it has been in the cluster; `serves` is the number of the recovery after which it saw
    others ask while it served itself; `survived` are units that were gone from the model while it served. `certified`
    tells whether it has a certificate, `encrypted` whether its server speaks TLS with it; `leaving` that it is to be removed.
    """

    unit: str
    client_address: str
    cluster_address: str
    ingress_address: str
    joined: bool = False
    position: Position | None = None
    serves: int | None = None
    survived: tuple[str, ...] = ()
    certified: bool = False
    encrypted: bool = False
    leaving: bool = False

    @classmethod
    def parse(cls, unit: str, facts: Mapping[str, Any]) -> Member:
        """Read what a unit has published of itself."""
        position = facts.get("position")
        return cls(
            unit=unit,
            client_address=facts["client_address"],
            cluster_address=facts["cluster_address"],
            ingress_address=facts.get("ingress_address", facts["client_address"]),
            joined=facts.get("joined", False),
            position=Position(**position) if position else None,
            serves=facts.get("serves"),
            survived=tuple(facts.get("outlived", ())),
            certified=facts.get("certified", False),
            encrypted=facts.get("encrypted", False),
            leaving=facts.get("leaving", False),
        )


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
    def recorded(self) -> dict[str, str]:
        """The cluster's members with their addresses in it, in the order in which they came."""
        return dict(self._cluster.shared.get("members", []))

    @property
    def present(self) -> list[Member]:
        """Those of the recorded members that have published where they are."""
        return [member for unit in self.recorded if (member := self.get(unit))]

    @property
    def writer(self) -> str | None:
        """The unit that takes the writes."""
        return self._cluster.shared.get("writer")

    @property
    def left_behind(self) -> list[str]:
        """The units whose data an operator has given up."""
        return self._cluster.shared.get("left-behind", [])

    @property
    def recovery(self) -> Recovery:
        """The leader's last answer to members that could not form the cluster themselves."""
        return Recovery(**self._cluster.shared.get("recovery", {}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """The certificate's files, and how far the cluster has come with TLS.

    `mixed`: some member's server does not speak it yet, so that members take each other in clear, too. `copies`: all
    members have a certificate, so that whole copies of the data go from one to the other by TLS. `required`: nobody
    is let in in clear.
    """

    key: str
    chain: str
    ca: str
    mixed: bool
    copies: bool
    required: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine.

    `members` are the units of the cluster with their addresses in it, as the leader has recorded them, in the order in
    which they came; `joins` says that this one is a member, or is to become one now. Without `tls` all is in clear.
    """

    settings: Settings
    cluster_id: str
    member: Member
    members: Mapping[str, str]
    joins: bool
    recovery: Recovery
    tls: Tls | None = None


def addresses(public: Place, internal: Place) -> dict[str, str]:
    """Return what a unit publishes to its peers of where it is, for `Member.parse`."""
    return {
        "client_address": public.address,
        "ingress_address": public.ingress,
        "cluster_address": internal.address,
    }


def may_join(unit: str, chosen: list[str], members: Mapping[str, Member]) -> bool:
    """Return whether a unit is a member or is to join now: all chosen before it have joined."""
    if unit not in chosen:
        return False
    before = chosen[: chosen.index(unit)]
    me = members.get(unit)
    return bool(me and me.joined) or all((m := members.get(other)) and m.joined for other in before)


def successors(
    chosen: list[str], staying: list[str], members: Mapping[str, Member], left_behind: list[str]
) -> list[str]:
    """Return the units that join, one after the other, though no leader has named them: empty while a member stays.

    Where all members are on their way out, the leader may be one of them. Its hook fails as long as nobody else has the
    data, and what a hook that fails has named is not kept: so the others go by their numbers.
    """
    if any(unit in staying for unit in chosen):
        return []
    return [unit for unit in staying if unit in members and unit not in left_behind]


def next_members(chosen: list[str], members: Mapping[str, Member], left_behind: list[str]) -> list[str]:
    """Return which units are members, given those that are: one more, when all of them have joined."""
    if not all((member := members.get(unit)) and member.joined for unit in chosen):
        return chosen
    spare = [unit for unit in members if unit not in chosen and unit not in left_behind]
    return [*chosen, *spare[:1]]


def decide(
    chosen: list[str], members: Mapping[str, Member], recovery: Recovery, *, trusts_mark: bool
) -> Recovery | None:
    """Return the answer to the positions that stopped members have reported; None while it must wait.

    A member that serves calls the others back. Else the one with the highest position begins, when all members have
    reported: each of them stays stopped until it is answered, so nobody else can have begun. A member that Galera
    itself recorded as the last to leave (`safe`) needs no comparison, unless an operator has ever forced a beginning
    elsewhere (`trusts_mark` is False then).
    """
    asking = {
        unit: position
        for unit in chosen
        if (member := members.get(unit))
        and (position := member.position)
        and position.after == recovery.number
    }
    if not asking:
        return None
    number = recovery.number + 1
    for unit in chosen:
        if (member := members.get(unit)) and member.serves == recovery.number and unit not in asking:
            return Recovery(unit=unit, number=number)
    marked = [unit for unit, position in asking.items() if position.safe]
    if trusts_mark and len(marked) == 1:
        return Recovery(unit=marked[0], number=number, begin=True)
    if set(asking) != set(chosen):
        return None
    best = max(asking, key=lambda unit: (asking[unit].seqno, -chosen.index(unit)))
    return Recovery(unit=best, number=number, begin=True)
