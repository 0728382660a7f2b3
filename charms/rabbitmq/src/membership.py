"""Bringing this machine's broker into the cluster, and the cluster back when its members cannot form it themselves.

The cluster has one founder, which the leader has recorded before it starts; all others join it one after the other. Each unit's data have a name,
its incarnation. A unit that comes back with another one has lost its data: the cluster has to forget it before it takes it in
anew, and so it has a unit that is gone from the model.

After a power loss brokers find each other by themselves, from their disks; hooks only look on. What they cannot do is go on without those
that never come back. Who that is, the model or an operator says. Then all that wait report whom they have last seen run (`Stopped`),
and the leader names the one that starts first, without them (`Recovery`).
"""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ops

from control import RefusedError, UnreachableError
from openinfra_charm.model.status import NotYetError, RetriedStatus
from rabbitmq import has_majority
from state import Recorded, State, decide, host_name, may_join, next_member, node_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.model.cluster import Cluster
    from openinfra_charm.model.secrets import Own
    from rabbitmq import Node, RabbitMq
    from state import Members, Settings

READY_SECONDS = 40
"""How long a hook waits for the broker; the next hook goes on where this one gives up."""
JOIN_SECONDS = 20
"""How much of that has to be left for a broker to join."""
FORM_SECONDS = 120
"""How long a broker waits for others before it reports, where some of them never come back."""
BEGUN = "begun"
"""What a unit notes that has started without others: whether it is the only one left is seen when it serves."""
GENERATION = "generation"
"""What names the cluster's metadata: users that were made in others are made anew."""


@dataclass(kw_only=True)
class Membership:
    """This unit's place in the cluster, and as the leader's unit who is a member."""

    cluster: Cluster
    members: Members
    rabbitmq: RabbitMq
    cookie: Own
    """What brokers know each other by, in a secret of the application."""
    node: Node | None = field(default=None, init=False)
    """What this unit's broker has said of itself last in this hook; None where it was not asked, or does not serve."""
    problems: list[str] = field(default_factory=list[str], init=False)
    """What keeps this unit from making the cluster forget others."""

    # Whether there is a cluster, and whether this unit is in it

    def found(self, *, is_leader: bool) -> None:
        """As the leader, name the cluster and who founds it.

        It is founded by a later hook, when Juju has this on record: a hook that dies leaves no second cluster.

        Raises:
            NotYetError: The cluster has no name yet that is on record.
        """
        if "cluster-id" in self.cluster.shared:
            return
        if not is_leader:
            raise NotYetError("for the leader to name the cluster")
        me = self.members.me
        secret = self.cookie.put({"cookie": uuid.uuid4().hex})
        self.cluster.publish_shared(
            **{
                "cluster-id": str(uuid.uuid4()),
                GENERATION: str(uuid.uuid4()),
                "founder": me.unit,
                "members": [[me.unit, me.cluster_address, me.incarnation]],
                "cookie": secret,
            }
        )
        raise NotYetError("for Juju to record the cluster's identity; the next hook founds it")

    def name_data(self) -> None:
        """Publish what the data here are called; those of a unit that has joined and has none any more get another name."""
        known = self.cluster.facts(self.members.unit)
        lost = self.rabbitmq.is_empty and known.get("joined", False)
        incarnation = self.rabbitmq.incarnation(lost=lost)
        if lost or incarnation != known.get("incarnation"):
            self.cluster.publish(incarnation=incarnation, joined=None, stopped=None)

    def gather(self, settings: Settings, cookie: str) -> State:
        """Return everything that decides what runs here, once the cluster has a name."""
        shared, members = self.cluster.shared, self.members
        me, kept = members.me, members.kept
        joins = may_join(me.unit, kept, members)
        founds = "founded" not in shared and shared["founder"] == me.unit
        if "founded" not in shared:
            joins = joins and founds
        self.rabbitmq.note("members", "".join(f"{one.unit}\n" for one in kept))
        return State(
            settings=settings,
            member=me,
            # Those to come are known to those that take them in.
            hosts=members.hosts | {host_name(me.unit): me.cluster_address},
            cookie=cookie,
            joins=joins,
            founds=founds,
        )

    def stay_out(self) -> ops.StatusBase:
        """Keep this unit's broker out of the cluster; say why: others join first, or it must never again."""
        me, application = self.members.unit, self.rabbitmq.application
        if me in self.members.left_behind:
            self.rabbitmq.stop()
            return ops.BlockedStatus(
                f"forget-node has given this unit up: juju remove-unit {me}, juju add-unit {application}"
            )
        return ops.WaitingStatus("to join the cluster: one unit at a time, after those before it")

    def run(self, state: State) -> ops.StatusBase | None:
        """Have the broker of a member run; return what is to be waited for: None where it serves."""
        rabbitmq, me = self.rabbitmq, state.member
        limit = rabbitmq.machine.now() + READY_SECONDS
        if rabbitmq.is_empty:
            rabbitmq.let_start_empty(allowed=True)
        rabbitmq.apply()
        if me.stopped is not None and self._is_named():
            rabbitmq.up()
            rabbitmq.note(BEGUN, "yes")
            try:
                rabbitmq.begin()
            except (RefusedError, UnreachableError) as error:
                return RetriedStatus(f"for RabbitMQ to start without the members that are gone: {error}")
        known_down = bool(rabbitmq.noted("down-since"))
        self.node = rabbitmq.wait_until_ready(0 if known_down else READY_SECONDS)
        if self.node is None or not self._has_majority(self.node):
            return self._wait()
        if not me.joined and not state.founds and (waits := self._join(limit)):
            return waits
        rabbitmq.up()
        rabbitmq.let_start_empty(allowed=False)
        rabbitmq.keep_guard(state)
        self.cluster.publish(joined=True, stopped=None, version=self.node.version)
        return None

    def _has_majority(self, node: Node) -> bool:
        """Return whether the broker can change what all have to know; one that has not joined is a cluster of its own."""
        if not self.rabbitmq.traits.khepri or not self.members.me.joined or self.rabbitmq.noted(BEGUN):
            return True
        return has_majority(node, self.members.unit, (one.unit for one in self.members.recorded.values()))

    def _join(self, limit: float) -> ops.StatusBase | None:
        """Have a broker that is a cluster of its own join; return what is to be waited for.

        Args:
            limit: Until when the hook may wait, in seconds since the epoch.
        """
        control, me, now = self.rabbitmq.control, self.members.unit, self.rabbitmq.machine.now
        if now() + JOIN_SECONDS > limit:
            return RetriedStatus("to join the cluster, with the next hook")
        joined = [one.unit for one in self.members.kept if one.unit != me and self._is_joined(one)]
        if not joined:
            return ops.WaitingStatus("for a member of the cluster to serve")
        try:
            if node_name(joined[0]) not in control.cluster_status().members:
                control.join(node_name(joined[0]))
        except (RefusedError, UnreachableError) as error:
            return RetriedStatus(f"to join the cluster at {joined[0]}: {error}")
        self.node = self.rabbitmq.wait_until_ready(max(limit - now(), 1))
        return None if self.node else RetriedStatus("for RabbitMQ to start as a member of the cluster")

    def _is_joined(self, recorded: Recorded) -> bool:
        member = self.members.get(recorded.unit)
        return bool(member and member.joined and not self.members.is_empty(recorded))

    # Members that never come back

    def _is_named(self) -> bool:
        """Return whether the leader has named this unit to start without others, once for each answer."""
        recovery = self.members.recovery
        if recovery.unit != self.members.unit:
            return False
        return self.rabbitmq.note("answered", f"{recovery.number}\n")

    def _wait(self) -> ops.StatusBase:
        """Return what a broker says that does not serve; one that waits for members that never come back reports that."""
        members, me = self.members, self.members.me
        down = self.rabbitmq.down_for()
        if not me.joined:
            return RetriedStatus("for RabbitMQ to start")
        lost, saw = members.lost, self.rabbitmq.saw
        if lost:
            number = members.recovery.number
            if down >= FORM_SECONDS and (me.stopped is None or me.stopped.after < number):
                self.rabbitmq.up()
                self.cluster.publish(stopped={"saw": list(saw), "after": number})
            return RetriedStatus(f"for the cluster to go on without {', '.join(lost)}")
        others = [one.unit for one in members.kept if one.unit != me.unit]
        if not others:
            return RetriedStatus("for RabbitMQ to start")
        return RetriedStatus(
            f"for RabbitMQ to form its cluster with {', '.join(others)}; a unit that never comes back: "
            f"juju remove-machine --force, or juju run {self.rabbitmq.application}/leader forget-node"
        )

    def forget(self, *, is_leader: bool) -> None:
        """As a member that serves, make the cluster forget those that are gone or have lost their data, and publish that.

        The leader does it alone where it serves, or else all others do.
        """
        wanted = self._to_forget() if is_leader else self.cluster.shared.get("forget", {})
        me, done = self.members.me, dict[str, str]()
        for incarnation, unit in wanted.items():
            if unit == me.unit or incarnation in me.forgot:
                continue
            try:
                self.rabbitmq.control.forget(node_name(unit))
            except (RefusedError, UnreachableError) as error:
                self.problems.append(f"the cluster cannot forget {unit}: {error}")
                continue
            done[incarnation] = unit
        kept = [one for one in me.forgot if one in wanted] + sorted(done)
        self.cluster.publish(forgot=kept or None)

    def _to_forget(self) -> dict[str, str]:
        """Return whom the cluster has to forget: units by the incarnation that they are recorded with."""
        lost, members = self.members.lost, self.members
        rows = [one for one in members.recorded.values() if one.unit in lost or members.is_empty(one)]
        return {one.incarnation: one.unit for one in rows}

    def settle(self) -> None:
        """As a member that serves and has started without others, have queues go on with what is here, if nobody else is left."""
        if not self.rabbitmq.noted(BEGUN):
            return
        if [one.unit for one in self.members.kept] == [self.members.unit]:
            self.rabbitmq.control.keep_own_copies()
        self.rabbitmq.note(BEGUN, None)

    # As the leader

    def lead(self, *, serves: bool) -> None:
        """Record who is a member, have those forgotten that are not, and answer brokers that wait for them."""
        members = self.members
        recorded = list(members.recorded.values())
        wanted = self._to_forget()
        forgotten = {one for member in members.values() for one in member.forgot}
        staying = [one for one in recorded if one.incarnation not in forgotten]
        alive = [one for one in members.kept if not members.is_empty(one)]
        if not self._has_founded(members.values()):
            self._found_anew(alive)
            return
        if not alive:
            self._begin_anew()
            return
        rows = [one for one in staying if one.incarnation not in wanted]
        if rows == staying and (one := next_member(rows, members, members.left_behind)):
            staying = [*staying, one]
        left = {incarnation: unit for incarnation, unit in wanted.items() if incarnation not in forgotten}
        self.cluster.publish_shared(
            members=_rows(staying), founded=True, forget=(left or None) if not serves else None,
            **{"left-behind": [unit for unit in members.left_behind if unit in self.cluster.planned] or None},
        )  # fmt: skip
        waiting = [one for one in alive if (member := members.get(one.unit)) and member.joined]
        if not serves and wanted and (answer := decide(waiting, members, members.recovery)):
            self.cluster.publish_shared(recovery=dataclasses.asdict(answer))

    def _has_founded(self, members: Iterable[object]) -> bool:
        """Return whether anybody has ever been in the cluster."""
        return bool(
            self.cluster.shared.get("founded") or any(getattr(member, "joined", False) for member in members)
        )

    def _found_anew(self, alive: list[Recorded]) -> None:
        """Where nobody has ever joined and the founder is gone, or has no data: no client was ever served, and this unit founds it."""
        if self.cluster.shared["founder"] not in {one.unit for one in alive}:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Have this unit found the cluster, as there are no data anywhere: users and virtual hosts are made again, messages are gone."""
        me = self.members.me
        self.cluster.publish_shared(
            **{
                "founder": me.unit, "founded": None, "forget": None, GENERATION: str(uuid.uuid4()),
                "members": _rows([Recorded(unit=me.unit, address=me.cluster_address, incarnation=me.incarnation)]),
            }
        )  # fmt: skip

    def enable_feature_flags(self) -> None:
        """As the leader, enable all feature flags once all members serve with the same version: there is no way back to an older one."""
        versions = {member.version for one in self.members.recorded if (member := self.members.get(one))}
        if len(versions) != 1 or "" in versions or len(self.members.recorded) != len(self.members.kept):
            return
        (version,) = versions
        if self.cluster.shared.get("feature-flags") != version:
            self.rabbitmq.control.enable_feature_flags()
            self.cluster.publish_shared(**{"feature-flags": version})


def _rows(members: Iterable[Recorded]) -> list[list[str]]:
    return [[one.unit, one.address, one.incarnation] for one in members]
