"""Releases of an application: which one its units run, how the next one comes, and how the last one comes back.

The leader keeps the plan in the peer relation, each unit publishes there how it stands. From the two follows what is due on
a unit, so that any hook on any unit goes on where the last one ended, whoever leads.

An upgrade has these phases; the service stays up, as units interrupt it one by one:

    build      every unit builds a tree of the new release beside the old one; nothing has changed yet
    expand     one unit adds to the database's schema what the new code needs; the old code works with it too
    switch     the units switch, one by one and with a health check; one that fails takes its old tree back, and
               then no other switches until the operator has spoken
    switched   all run the new release; `rollback-release` is the way back: the units switch back one by one
    contract   after `finish-upgrade`: one unit removes what only the old code needs; there is no way back but a backup
    back       after `rollback-release`

Another tree of the same release comes without the operator: a refreshed charm brings another lock, or the system another
Python. It is built and switched to in the same way, without the phases.

`openinfra_charm.openstack.service.Service` calls `prepare` before anything is rendered and `advance` when the service is started, also
where it does not serve: the way back is for that. While `switching`, nothing else restarts the service; the lock that is taken for
`release` is not the charm's to give back. The first schema is made by the charm itself, with the tree in `current`.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ops

from openinfra_charm.machine import CommandError
from openinfra_charm.model.actions import ActionError
from openinfra_charm.model.status import RetriedStatus
from openinfra_charm.openstack import jobs as openstack_jobs
from openinfra_charm.openstack import release as release_trees
from openinfra_charm.openstack.release import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from openinfra_charm.daemon.job import Jobs, Record
    from openinfra_charm.machine import Machine
    from openinfra_charm.model.cluster import Cluster
    from openinfra_charm.openstack.release import Releases, Wanted

BUILD = "build"
EXPAND = "expand"
SWITCH = "switch"
SWITCHED = "switched"
CONTRACT = "contract"
BACK = "back"

HOOK_SECONDS = 45
"""How long one hook begins new things; what is left is done by the next."""
SWITCH_SECONDS = 54
"""How long one hook waits for a service that it has restarted: better than to leave it to the next event."""
BACK_SECONDS = 58
"""How long it waits for one that takes its old tree back."""
JOB_SECONDS = 30
"""How long a hook waits for a job: most are through by then, and no event tells of a job's end."""
HEALTH_SECONDS = 35
"""How long a service may take until it serves with another tree."""
_LOCK = "release"
_FACT = "release"
_PAUSE = 1
_MAX_STEPS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Operations:
    """What an upgrade does to a service.

    `schema` names a job, `schema(job, step, tree, number)`, that changes the database's schema (empty where there is none): `step` is `expand` or `contract`,
    `tree` is the name of the new release's tree, whose programs know how. It can begin again at any point. Where `arguments` has
    something for the step, it is given that too. `restart` restarts the service with the tree that `current` leads to; `health`
    returns within a few seconds why this unit cannot work, and `answer` why a request with a token is not answered here, empty when it is.
    Keystone, which gives the token, may be away for a moment: it is asked for one before an upgrade begins and when a unit switches, and
    not when a unit has just come.
    """

    schema: str
    restart: Callable[[], None]
    health: Callable[[], str]
    answer: Callable[[], str] = str
    arguments: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, dict[str, str]])


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What the leader has decided for all units.

    `release` is what runs, during an upgrade what can come back, `to` what comes. `number` grows with each word of the
    operator, so that what has failed is tried again then. `executor` changes the schema. `backup` is what the operator has
    named before the upgrade. `left` and `left_backup` are these of the last upgrade that was finished.
    """

    release: str
    number: int = 0
    phase: str = ""
    to: str = ""
    executor: str = ""
    backup: str = ""
    left: str = ""
    left_backup: str = ""

    @property
    def target(self) -> str:
        """The release that units shall run now."""
        return self.to if self.phase in {SWITCH, SWITCHED, CONTRACT} else self.release


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How one unit stands.

    `runs` is the release with which it was healthy last, `built` names the releases whose trees it has, `schema` what it
    has done to the schema (`3 expand`). `failed` is the tree that it gave up and in which attempt, `reason` why that, or a
    job, failed.
    """

    runs: str = ""
    built: tuple[str, ...] = ()
    schema: str = ""
    failed: str = ""
    attempt: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Switch:
    """A switch under way, on the machine's own disk; `since` is when the service was restarted for it, None before.

    `old` is the tree to go back to. On the way back it is empty, and `failed` is what was given up, in which `attempt` and
    for what `reason`.
    """

    tree: str
    since: float | None = None
    old: str = ""
    failed: str = ""
    attempt: int = 0
    reason: str = ""


class Upgrade:
    """The releases of one application, seen from one of its units."""

    def __init__(
        self,
        model: ops.Model,
        *,
        machine: Machine,
        cluster: Cluster,
        jobs: Jobs,
        releases: Releases,
        locks: Path,
        first: str,
        operations: Operations,
        bindings: Iterable[str] = (),
        additions: Callable[[], Mapping[str, str]] = dict[str, str],
    ) -> None:
        self._model = model
        self._machine = machine
        self._cluster = cluster
        self._jobs = jobs
        self._releases = releases
        self._locks = locks
        self._first = first
        self._operations = operations
        self._bindings = tuple(bindings)
        self._additions = additions
        self._me = model.unit.name
        self._record = f"/var/lib/openinfra/{model.app.name}/switch.json"
        self._begun = machine.now()
        self._limit = self._begun + HOOK_SECONDS
        self._waits: list[ops.StatusBase] = []
        self._tried: set[str] = set()

    # What is known

    @property
    def plan(self) -> Plan | None:
        """The leader's plan; None before there is one."""
        fact = self._cluster.shared.get(_FACT)
        return Plan(**fact) if fact else None

    def standing(self, unit: str) -> Standing:
        """How a unit stands; nothing is known of one that has published nothing."""
        fact: dict[str, Any] = dict(self._cluster.facts(unit).get(_FACT, {}))
        fact["built"] = tuple(fact.get("built", ()))
        return Standing(**fact)

    @property
    def units(self) -> list[str]:
        """All units that the model has, also those that this one has not met yet."""
        return sorted({*self._cluster.units, *self._cluster.planned})

    @property
    def switching(self) -> bool:
        """Whether this unit is between two trees."""
        return self._machine.exists(self._record)

    def _decide(self, plan: Plan) -> None:
        self._cluster.publish_shared(**{_FACT: dataclasses.asdict(plan)})

    def _publish(self, **changes: Any) -> None:
        standing = dataclasses.replace(self.standing(self._me), **changes)
        self._cluster.publish(**{_FACT: dataclasses.asdict(standing)})

    # Trees

    def prepare(self) -> bool:
        """Build the trees that this unit needs; return whether there is one to run."""
        self._jobs.resume()
        if self.plan is None and self._model.unit.is_leader():
            self._decide(Plan(release=self._first))
        plan = self.plan
        if plan is None:
            # Most likely it will be this one, and there is time now.
            self._build(self._first)
            self._waits.append(ops.WaitingStatus("for the leader to say which release runs"))
            return False
        needed = dict.fromkeys(name for name in (plan.target, plan.release, plan.to) if name)
        built = tuple(sorted(name for name in needed if self._build(name)))
        if built != self.standing(self._me).built:
            self._publish(built=built)
        if self._releases.current is None and (tree := self._tree(plan.target)):
            self._releases.switch(tree)
        return self._releases.current is not None

    def _build(self, name: str) -> bool:
        """Return whether there is the tree of a release, and start to build it where not."""
        try:
            wanted = self._find(name)
        except ReleaseError as error:
            # Without its lock a tree can run but not be made.
            if self._tree(name):
                return True
            self._waits.append(ops.BlockedStatus(str(error)))
            return False
        if self._releases.is_built(wanted):
            return True
        record = self._run_job(openstack_jobs.BUILD, **wanted.arguments)
        return record.state == "done" and self._releases.is_built(wanted)

    def _find(self, name: str) -> Wanted:
        return release_trees.find(
            self._machine, self._locks, name, bindings=self._bindings, additions=self._additions()
        )

    def _tree(self, name: str) -> str | None:
        """Return the tree with which this unit shall run a release; None as long as it is not built."""
        try:
            wanted = self._find(name)
        except ReleaseError:
            return next((tree.name for tree in self._releases.all() if tree.release == name), None)
        return wanted.tree if self._releases.is_built(wanted) else None

    def _run_job(self, function: str, **arguments: str) -> Record:
        """Start a job unless this hook has already, and wait for its end for a while."""
        key = json.dumps([function, arguments], sort_keys=True)
        known = [one for one in self._jobs.all() if (one.module, one.arguments) == (function, arguments)]
        if key in self._tried and known:
            record = known[-1]
        else:
            # A step of the schema is done once in an attempt; whether a tree is there is not for a job to say.
            start = self._jobs.once if function == self._operations.schema else self._jobs.start
            record = start(function, **arguments)
        self._tried.add(key)
        self._jobs.wait(record.id, min(JOB_SECONDS, self._limit - self._machine.now()))
        record = self._jobs.find(record.id) or record
        standing = self.standing(self._me)
        if record.state == "failed":
            self._publish(reason=record.progress)
            self._waits.append(ops.BlockedStatus(f"{record.progress}; it is tried again soon"))
        elif record.state == "done" and standing.reason and not standing.failed:
            self._publish(reason="")
        elif record.ended is None:
            self._waits.append(ops.MaintenanceStatus(f"{record.id}: {record.progress or 'has begun'}"))
        return record

    # What is due

    def advance(self) -> None:
        """Do what is due on this unit, and as the leader for all; the service has been started."""
        for _ in range(_MAX_STEPS):
            before = (self.plan, self.standing(self._me))
            self._switch()
            self._change_schema()
            self._lead()
            if (self.plan, self.standing(self._me)) == before or self._machine.now() > self._limit:
                break
            # What was done may have made more due here: no event tells a unit of its own words.
            self._waits.clear()
            self.prepare()
        plan = self.plan
        if plan and not plan.phase and not self.switching and not self._jobs.unfinished():
            self._releases.prune()

    def go_on(self) -> None:
        """Do at once what an action has made due, if the service has been started here."""
        if self.prepare():
            self.advance()

    def _switch(self) -> None:
        """Have this unit run the tree that it shall run, when it has the lock."""
        if switch := self._read_switch():
            self._go_on(switch)
            return
        plan, current, standing = self.plan, self._releases.current, self.standing(self._me)
        tree = self._tree(plan.target) if plan else None
        if plan is None or current is None or tree is None:
            return
        if standing.failed and (standing.failed, standing.attempt) != (tree, plan.number):
            self._publish(failed="", attempt=0, reason="")
        if current.name == tree:
            self._confirm(current.release)
            return
        if self._why_no_switch(plan):
            return
        if not self._cluster.acquire_lock(_LOCK):
            self._waits.append(self._cluster.waits_for_lock(f"run {tree}"))
            return
        switch = _Switch(tree=tree, old=current.name)
        self._write_switch(switch)
        self._go_on(switch)

    def _why_no_switch(self, plan: Plan) -> str:
        """Return why no unit may switch: one has failed to, in this attempt and for this release."""
        for unit in self.units:
            standing = self.standing(unit)
            if standing.failed.startswith(f"{plan.target}-") and standing.attempt == plan.number:
                return f"{standing.failed} does not serve on {unit}: {standing.reason}"
        return ""

    def _go_on(self, switch: _Switch) -> None:
        """Go on with a switch, which may have been interrupted anywhere."""
        # The service is interrupted already, so this does not wait for the lock; but no other unit shall get it now.
        self._cluster.acquire_lock(_LOCK)
        if switch.failed:
            self._publish(failed=switch.failed, attempt=switch.attempt, reason=switch.reason)
        self._releases.switch(switch.tree)
        why, may_come = self._restart(switch)
        plan, current = self.plan, self._releases.current
        if not why and current:
            self._confirm(current.release)
            self._machine.remove(self._record)
        elif may_come:
            self._waits.append(RetriedStatus(f"for {switch.tree} to serve: {why}"))
        elif switch.old and plan:
            back = _Switch(
                tree=switch.old,
                failed=switch.tree,
                attempt=plan.number,
                reason=why,
            )
            self._write_switch(back)
            self._go_on(back)
        else:
            self._waits.append(
                ops.BlockedStatus(f"neither {switch.failed} nor {switch.tree} serves here: {why}; mend it")
            )

    def _restart(self, switch: _Switch) -> tuple[str, bool]:
        """Have the service run its new tree; return why it does not serve, and whether it still may."""
        since = switch.since
        if since is None:
            try:
                self._operations.restart()
            except CommandError as error:
                return str(error), False
            since = self._machine.now()
            self._write_switch(dataclasses.replace(switch, since=since))
        limit = self._begun + (BACK_SECONDS if switch.failed else SWITCH_SECONDS)
        while why := self._why_not_served():
            now = self._machine.now()
            if now >= since + HEALTH_SECONDS:
                return why, False
            if now + _PAUSE > limit:
                return why, True
            self._machine.sleep(_PAUSE)
        return "", False

    def _why_not_served(self) -> str:
        """Return why clients are not served here, empty if they are."""
        return self._operations.health() or self._operations.answer()

    def _confirm(self, name: str) -> None:
        """Say that this unit serves with the release."""
        if self._cluster.lock_reason == _LOCK:
            self._cluster.release_lock()
        if self.standing(self._me).runs == name:
            return
        if why := self._operations.health():
            self._waits.append(RetriedStatus(f"for the service to answer: {why}"))
            return
        self._publish(runs=name)

    def _read_switch(self) -> _Switch | None:
        text = self._machine.read(self._record)
        return _Switch(**json.loads(text)) if text else None

    def _write_switch(self, switch: _Switch) -> None:
        self._machine.write(self._record, json.dumps(dataclasses.asdict(switch), sort_keys=True) + "\n")

    def _change_schema(self) -> None:
        """As the executor, expand or contract the schema."""
        plan = self.plan
        if plan is None or plan.executor != self._me or plan.phase not in {EXPAND, CONTRACT}:
            return
        done, tree = f"{plan.number} {plan.phase}", self._tree(plan.to)
        if tree is None or self.standing(self._me).schema == done:
            return
        more = self._operations.arguments.get(plan.phase, {})
        arguments = {"step": plan.phase, "tree": tree, "number": str(plan.number), **more}
        record = self._run_job(self._operations.schema, **arguments)
        if record.state == "done":
            self._publish(schema=done)

    def _lead(self) -> None:
        """As the leader, begin the next phase when every unit is through with this one."""
        plan = self.plan
        if plan is None or not plan.phase or not self._model.unit.is_leader():
            return
        standings = [self.standing(unit) for unit in self.units]
        if plan.phase in {EXPAND, CONTRACT}:
            if self._cluster.gone([plan.executor]):
                self._decide(dataclasses.replace(plan, executor=self._me))
            elif self.standing(plan.executor).schema == f"{plan.number} {plan.phase}":
                self._decide(
                    dataclasses.replace(plan, phase=SWITCH, executor="")
                    if plan.phase == EXPAND
                    else _ended(plan)
                )
        elif plan.phase == BUILD and all(plan.to in standing.built for standing in standings):
            self._decide(
                dataclasses.replace(plan, phase=EXPAND, executor=self._me)
                if self._operations.schema
                else dataclasses.replace(plan, phase=SWITCH)
            )
        elif plan.phase == SWITCH and all(standing.runs == plan.to for standing in standings):
            self._decide(dataclasses.replace(plan, phase=SWITCHED))
        elif plan.phase == BACK and all(standing.runs == plan.release for standing in standings):
            self._decide(dataclasses.replace(plan, phase="", to="", backup="", executor=""))

    # The operator's words

    def begin(self, release: str, backup: str) -> None:
        """Begin an upgrade, or try again what has failed.

        Args:
            release: The new release; the present one: units switch again that could not to a tree of it.
            backup: How the operator calls the backup of the database that is made.

        Raises:
            ActionError: It cannot begin; nothing was changed.
        """
        plan = self._known_plan()
        if plan.phase and (release != plan.to or plan.phase in {SWITCHED, BACK}):
            raise ActionError(f"release={release}: an upgrade has begun. {self.progress()}")
        again = dataclasses.replace(plan, number=plan.number + 1)
        if plan.phase or release == plan.release:
            self._decide(again)
            return
        try:
            self._find(release)
        except ReleaseError as error:
            raise ActionError(f"release={release}: {error}") from error
        if _order(release) < _order(plan.release):
            raise ActionError(
                f"release={release}: {plan.release} runs, and an older one comes by rollback-release before finish-upgrade only"
            )
        if self._operations.schema and not backup:
            raise ActionError(
                "backup: back the database up and name the backup (with the charm mysql: create-backup, list-backups); "
                "after finish-upgrade it is the only way back"
            )
        self._require_all(plan.release)
        if why := self._why_not_served():
            raise ActionError(f"{self._me} does not serve, so the upgrade does not begin: {why}")
        self._decide(dataclasses.replace(again, phase=BUILD, to=release, backup=backup))

    def roll_back(self) -> None:
        """Begin to take all units back to the release before.

        Raises:
            ActionError: There is none to go back to; nothing was changed.
        """
        plan = self._known_plan()
        if not plan.phase and plan.left and not self._operations.schema:
            raise ActionError(f"the upgrade from {plan.left} was finished: {plan.release} stays")
        if not plan.phase and plan.left:
            raise ActionError(
                f"the upgrade from {plan.left} was finished, and {plan.left} cannot work with the present schema. "
                f"Its way back is the backup {plan.left_backup}: restore it to a new application of {plan.left}"
            )
        if not plan.phase:
            raise ActionError(f"no upgrade has begun: {plan.release} runs")
        if plan.phase == CONTRACT:
            raise ActionError(f"the upgrade is being finished; the way back is the backup {plan.backup}")
        if plan.phase == BACK:
            raise ActionError(f"units are going back already. {self.progress()}")
        self._decide(dataclasses.replace(plan, phase=BACK, executor="", number=plan.number + 1))

    def finish(self, *, dry_run: bool) -> None:
        """Begin to remove from the schema what only the old release needs.

        Raises:
            ActionError: Not all units run the new release; nothing was changed.
        """
        plan = self._known_plan()
        if not plan.phase:
            raise ActionError(f"no upgrade has begun: {plan.release} runs")
        if plan.phase != SWITCHED:
            raise ActionError(f"this can be done when all units run {plan.to}. {self.progress()}")
        self._require_all(plan.to)
        if not dry_run and not self._operations.schema:
            self._decide(_ended(plan))
        elif not dry_run:
            self._decide(dataclasses.replace(plan, phase=CONTRACT, executor=self._me, number=plan.number + 1))

    def _known_plan(self) -> Plan:
        plan = self.plan
        if plan is None:
            raise ActionError("no release runs yet: wait until the units are up")
        return plan

    def _require_all(self, release: str) -> None:
        others = [unit for unit in self.units if self.standing(unit).runs != release]
        if others:
            raise ActionError(
                f"{', '.join(others)} has not reported that it serves with {release}; see its status"
            )

    # Status

    def progress(self) -> str:
        """How far an upgrade is, in words for the operator; empty when there is none."""
        plan = self.plan
        if plan is None or not plan.phase:
            return ""
        standings = {unit: self.standing(unit) for unit in self.units}
        not_built = ", ".join(unit for unit, standing in standings.items() if plan.to not in standing.built)
        elsewhere = ", ".join(unit for unit, standing in standings.items() if standing.runs != plan.target)
        return {
            BUILD: f"upgrade to {plan.to}: its tree is being built on {not_built or 'all units'}",
            EXPAND: f"upgrade to {plan.to}: {plan.executor} expands the schema",
            SWITCH: f"upgrade to {plan.to}: units switch one by one; not yet: {elsewhere or 'none'}",
            SWITCHED: f"{plan.to} runs; to end the upgrade: finish-upgrade; to take it back: rollback-release",
            CONTRACT: f"upgrade to {plan.to}: {plan.executor} contracts the schema",
            BACK: f"back to {plan.release}: units switch one by one; not yet: {elsewhere or 'none'}",
        }[plan.phase]

    def report(self) -> dict[str, Any]:
        """Return the plan, and how each unit stands, as actions give it."""
        plan = self.plan
        return {
            "plan": dataclasses.asdict(plan) if plan else {},
            "units": {unit: dataclasses.asdict(self.standing(unit)) for unit in self.units},
        }

    def statuses(self) -> list[ops.StatusBase]:
        """Return what this unit waits for and what has failed here, and from the leader how far an upgrade is."""
        plan, standing = self.plan, self.standing(self._me)
        found = list(self._waits)
        if plan and standing.failed:
            again = f"juju run {self._model.app.name}/leader upgrade-release release={plan.target}"
            way = f"{again}, or rollback-release" if plan.phase else again
            found.append(
                ops.BlockedStatus(
                    f"{standing.failed} does not serve here ({standing.reason}), so the one before is back: mend it, "
                    f"then {way}"
                )
            )
        if plan and plan.phase and self._model.unit.is_leader():
            kind = ops.ActiveStatus if plan.phase == SWITCHED else ops.MaintenanceStatus
            found.append(kind(self.progress()))
        return found


def _ended(plan: Plan) -> Plan:
    """Return the plan after an upgrade that was finished."""
    return Plan(release=plan.to, number=plan.number, left=plan.release, left_backup=plan.backup)


def _order(release: str) -> tuple[int, ...]:
    """Return what sorts releases: (2026, 1) of `2026.1`."""
    return tuple(int(part) for part in release.split("."))
