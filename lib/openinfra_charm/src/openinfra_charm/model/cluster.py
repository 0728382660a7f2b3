"""What the units of an application tell each other, and which of them may interrupt its service.

Everything lives in the peer relation: a unit's own facts in its unit data, the application's in the
application data, which the leader writes. Values are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import ops
import ops.hookcmds

from openinfra_charm.model import databag
from openinfra_charm.model.status import RetriedStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MemberT = TypeVar("MemberT")

# Under these names an application of any version finds it.
_WANTED = "turn-wanted"
_NUMBER = "turn-number"
_HOLDER = "turn-holder"
_GRANTED = "turn-granted"
_RESTART = "restart"


class Restartable(Protocol):
    """Something that runs on this machine and is restarted in turn."""

    def outdated(self) -> bool:
        """Return whether it runs with something older than what is there."""
        ...

    def restart(self) -> None:
        """Restart it with what is there."""
        ...


class Cluster:
    """The units of one application, seen from one of them through its peer relation.

    Before Juju has made the relation there are no facts and nothing can be published: `formed` says so.
    """

    def __init__(self, charm: ops.CharmBase, relation_name: str) -> None:
        self._unit = charm.unit
        self._application = charm.app
        self._relation = charm.model.get_relation(relation_name)

    @property
    def formed(self) -> bool:
        """Whether the peer relation is there."""
        return self._relation is not None

    @cached_property
    def units(self) -> list[str]:
        """The names of all units that are there, this one included, by number."""
        return sorted(self._members, key=unit_number)

    @cached_property
    def _members(self) -> dict[str, ops.Unit]:
        """The units that are there, this one included, by name.

        Juju 4.0 tells peers of a unit's orderly removal neither by an event nor by leaving it out of the relation;
        what the model's goal state does not have is gone. (A subordinate's goal state has no units, not even its own.)
        """
        peers = self._relation.units if self._relation else ()
        if peers and self._unit.name in self.planned:
            peers = (unit for unit in peers if unit.name in self.planned)
        return {unit.name: unit for unit in (self._unit, *peers)}

    @cached_property
    def planned(self) -> frozenset[str]:
        """The application's units that the model has, also those that are on their way out."""
        return frozenset(self._goals)

    @cached_property
    def staying(self) -> list[str]:
        """The application's units that the model has and that are not on their way out, by number."""
        alive = [unit for unit, goal in self._goals.items() if goal.status != "dying"]
        return sorted(alive, key=unit_number)

    @cached_property
    def _goals(self) -> Mapping[str, ops.hookcmds.Goal]:
        return ops.hookcmds.goal_state().units

    def gone(self, units: Iterable[str]) -> list[str]:
        """Return those units that are no longer in the model.

        The relation shows a unit only after its peers have met it, so a unit that is missing there may just be
        unknown; the model's goal state decides.
        """
        unseen = sorted(set(units) - set(self.units), key=unit_number)
        return [unit for unit in unseen if unit not in self.planned]

    def facts(self, unit: str) -> dict[str, Any]:
        """Return what a unit has published; nothing for a unit that is not there."""
        member = self._members.get(unit)
        return _decode(self._relation.data[member]) if self._relation and member else {}

    def recall(self, unit: str) -> dict[str, Any]:
        """Return what a unit has published, also where the relation does not list it; nothing if it cannot be read.

        A unit that leaves is shown none of its peers any more when it stops, but may read what they have told.
        """
        if self._relation is None or unit in self._members:
            return self.facts(unit)
        try:
            return _decode(ops.hookcmds.relation_get(self._relation.id, unit=unit))
        except ops.hookcmds.Error:
            return {}

    @property
    def shared(self) -> dict[str, Any]:
        """What the leader has published for the application."""
        return _decode(self._relation.data[self._application]) if self._relation else dict[str, Any]()

    def publish(self, **facts: Any) -> None:
        """Tell the other units facts of this one; None takes a fact back. What is known is not written again."""
        if self._relation is not None:
            _encode(self._relation.data[self._unit], facts)

    def publish_shared(self, **facts: Any) -> None:
        """Tell all units facts of the application. Only the leader may."""
        if self._relation is not None:
            _encode(self._relation.data[self._application], facts)

    # The lock: at most one unit of the application interrupts its service at a time. A unit asks in its own data
    # with a reason and a number, new for each request; the leader names the holder and the request's number in the
    # application's data; the holder takes its request back when it is healthy again. The number keeps a unit that
    # asks anew from taking an old grant, which the leader may just be giving to another unit, for its answer. A holder
    # that is gone from the model loses the lock, one that is down keeps it: as long as nobody knows how it is, nobody
    # else may stop.

    @property
    def lock_holder(self) -> str | None:
        """The unit that has the lock, if any."""
        return self.shared.get(_HOLDER)

    @property
    def lock_reason(self) -> str | None:
        """Why this unit has asked for the lock, if it has."""
        return self.facts(self._unit.name).get(_WANTED)

    def acquire_lock(self, reason: str) -> bool:
        """Ask to interrupt this unit's service; return whether it may do so now."""
        if self.lock_reason is None:
            number = self.facts(self._unit.name).get(_NUMBER, 0) + 1
            self.publish(**{_WANTED: reason, _NUMBER: number})
        self.grant_lock()
        return self._holds_lock(self._unit.name)

    def rolling_restart(
        self,
        service: Restartable,
        wait_until_ready: Callable[[], bool],
        what: str,
        *,
        why_not: Callable[[], str] = str,
    ) -> list[ops.StatusBase]:
        """Restart what runs with an older configuration when no other unit is at it; return what is to be waited for.

        Args:
            service: What is restarted.
            wait_until_ready: What waits until it serves again, for as long as a hook may; the next one goes on from there.
            what: What is waited for, in words: `memcached to answer`.
            why_not: What says why it must not stop now, in words; empty if it may. It is asked with the lock in hand.
        """
        if service.outdated():
            if not self.acquire_lock(_RESTART):
                return [self.waits_for_lock("restart")]
            if why := why_not():
                return [RetriedStatus(f"to restart for a new configuration: {why}")]
            service.restart()
        # One that was taken for something else, such as another release, is given back by who has taken it.
        if self.lock_reason == _RESTART:
            if not wait_until_ready():
                return [RetriedStatus(f"for {what} after its restart")]
            self.release_lock()
        return []

    def waits_for_lock(self, to: str) -> ops.StatusBase:
        """Return what a unit says that has asked for the lock `to` do something, and does not have it yet."""
        return ops.MaintenanceStatus(
            f"waiting to {to}: one unit at a time, {self.lock_holder or 'the leader'} is first"
        )

    def release_lock(self) -> None:
        """Say that this unit serves again."""
        if self.lock_reason is not None:
            self.publish(**{_WANTED: None})
            self.grant_lock()

    def grant_lock(self) -> None:
        """As the leader, pass the lock on when it is free; call this in every reconcile."""
        if not self._unit.is_leader() or self._relation is None:
            return
        holder = self.lock_holder
        if holder and (self._holds_lock(holder) or (holder not in self.units and not self.gone([holder]))):
            return
        waiting = [unit for unit in self._who_may_ask(holder) if _WANTED in self.facts(unit)]
        successor = waiting[0] if waiting else None
        number = self.facts(successor)[_NUMBER] if successor else None
        self.publish_shared(**{_HOLDER: successor, _GRANTED: number})

    def _who_may_ask(self, holder: str | None) -> Iterable[str]:
        """Return the units whose requests may be new.

        While nobody has the lock, a hook that is about another unit brings that unit's request at most; as there are
        many such hooks when many units meet, they read no other unit's data.
        """
        other = ops.JujuContext.from_environ().remote_unit_name
        return self.units if holder or not other else [self._unit.name, other]

    def _holds_lock(self, unit: str) -> bool:
        """Return whether what the leader has granted is the request that the unit has now."""
        facts, shared = self.facts(unit), self.shared
        granted = (shared.get(_HOLDER), shared.get(_GRANTED))
        return _WANTED in facts and granted == (unit, facts[_NUMBER])


class Published(Mapping[str, MemberT]):
    """The units that have published what makes them members, by name and in the order of their numbers.

    A unit's facts are read when they are asked for: most hooks of a large application need few of them.

    Args:
        cluster: The peer relation.
        parse: Reads what a unit, which is named, has published.
        mark: The fact without which a unit is no member yet.
    """

    def __init__(
        self, cluster: Cluster, parse: Callable[[str, Mapping[str, Any]], MemberT], *, mark: str
    ) -> None:
        self._cluster = cluster
        self._parse = parse
        self._mark = mark

    def __getitem__(self, unit: str) -> MemberT:
        facts = self._cluster.facts(unit)
        if self._mark not in facts:
            raise KeyError(unit)
        return self._parse(unit, facts)

    def __iter__(self) -> Iterator[str]:
        return (unit for unit in self._cluster.units if unit in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def unit_number(unit: str) -> int:
    """Return the number in a unit's name: 3 for `ceph/3`."""
    return int(unit.rpartition("/")[2])


def _decode(data: Any) -> dict[str, Any]:
    # Juju itself writes addresses into each unit's data, as plain text; ours are the JSON values.
    decoded: dict[str, Any] = {}
    for key, value in data.items():
        try:
            decoded[key] = json.loads(value)
        except json.JSONDecodeError:
            continue
    return decoded


def _encode(data: Any, facts: dict[str, Any]) -> None:
    for key, value in facts.items():
        databag.put(data, key, "" if value is None else json.dumps(value, sort_keys=True))
