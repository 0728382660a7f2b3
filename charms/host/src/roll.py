"""Reboots, upgrades and maintenance, one machine of the model at a time.

Each unit keeps at most one request in its peer data. It waits for the lock (`Cluster`), asks the applications on
its machine whether that may stop, does the work, waits until all are healthy, and gives the lock back. A request
that fails keeps the lock: nobody else stops until an operator has decided.

What concerns all units is an order of the leader, in the application's data: orders are numbered, and each unit
publishes the number of the newest that it has seen, which also wakes the leader for its own part.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import checks
from openinfra_charm.daemon import next_hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_charm.daemon.job import Jobs
    from openinfra_charm.machine import Machine
    from openinfra_charm.model.cluster import Cluster

Kind = Literal["reboot", "upgrade", "maintenance"]
State = Literal["waiting", "restarting", "upgrading", "entered", "verifying", "failed"]

_HEALTHY_WITHIN = 900
"""Seconds after a start in which all applications must have become healthy."""
_LOOK_FOR = 20
"""Seconds that one hook looks whether what it waits for has come: others want to run on this machine too."""
_PAUSE = 2
"""Seconds between two looks."""
_NEXT_HOOK = 10
"""Seconds until the next hook, which looks again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a unit wants the lock for, and how far that is.

    `order` is the newest order when it was made; `reboot` says that a reboot follows the upgrade; `boot` identifies
    the start of the machine that a reboot ends; `since` is when verifying began, in seconds of the machine's clock; a
    failed request has a `reason` and goes on with `resume` when it is resumed.
    """

    kind: Kind
    state: State = "waiting"
    order: int = 0
    reboot: bool = False
    boot: str = ""
    job: str = ""
    since: float = 0
    reason: str = ""
    resume: State = "waiting"

    def failed(self, reason: str, resume: State) -> Request:
        """Return the request as one that stops here."""
        return dataclasses.replace(self, state="failed", reason=reason, resume=resume)


@dataclass
class Roll:
    """This unit's part in what goes through the model one machine at a time."""

    machine: Machine
    cluster: Cluster
    jobs: Jobs
    unit: str
    reboot: Callable[[], None]
    """Has the machine restarted at the end of the running hook; not to be had in an action."""
    awaited: str = field(default="", init=False)
    """What this hook has found to be unhealthy still, in words."""

    def __post_init__(self) -> None:
        self._until = self.machine.now() + _LOOK_FOR

    # Requests

    @property
    def request(self) -> Request | None:
        """This unit's request."""
        return self.request_of(self.unit)

    def request_of(self, unit: str) -> Request | None:
        """Return a unit's request."""
        fact = self.cluster.facts(unit).get("request")
        return Request(**fact) if fact else None

    @property
    def members(self) -> list[str]:
        """The units that take part: one a machine, without those that stand by."""
        return [unit for unit in self.cluster.units if "seen" in self.cluster.facts(unit)]

    def units_in(self, *states: State) -> list[str]:
        """Return the units whose request is in one of these states."""
        requests = {unit: self.request_of(unit) for unit in self.members}
        return [unit for unit, request in requests.items() if request and request.state in states]

    def make_request(self, kind: Kind, *, reboot: bool = False) -> None:
        """Ask for the lock, in an action; all but a reboot begins at once where it is free."""
        self._keep(Request(kind=kind, reboot=reboot, order=self._newest_order))
        self.cluster.acquire_lock(kind)
        self._go_on(in_action=True)

    def leave_maintenance(self) -> None:
        """End maintenance, in an action; the lock passes on as soon as all applications are healthy."""
        if (request := self.request) and request.state == "waiting":
            self._finish()
        elif request:
            self._verify(request)
            self._go_on(in_action=True)

    # Orders, given by the leader

    def order_all(self, kind: Kind, *, reboot: bool = False) -> None:
        """Have every unit make a request, unless it has one."""
        self._order("roll", kind=kind, reboot=reboot)

    def order_resume(self) -> None:
        """Have every request that failed tried again."""
        self._order("resume")

    def order_cancel(self) -> None:
        """Have every request dropped that waits or has failed."""
        self._order("cancel")

    def _order(self, verb: str, **details: Any) -> None:
        orders = {**self._orders, verb: {"number": self._newest_order + 1, **details}}
        self.cluster.publish_shared(orders=orders)
        if self.unit in self.members:
            self._obey()
            self._wake()

    @property
    def _orders(self) -> dict[str, dict[str, Any]]:
        return self.cluster.shared.get("orders", {})

    @property
    def _newest_order(self) -> int:
        return max((self._number(verb) for verb in self._orders), default=0)

    def _number(self, verb: str) -> int:
        return self._orders.get(verb, {}).get("number", 0)

    # Steps

    def step(self) -> None:
        """Obey what is new and go as far as it goes now; call this in every hook of a unit that manages a machine."""
        self._obey()
        self._go_on()
        self.lead()

    def lead(self) -> None:
        """As the leader, give the lock to who is next; call this in every hook, also of a unit that stands by."""
        self.cluster.grant_lock()

    def _obey(self) -> None:
        seen = self.cluster.facts(self.unit).get("seen")
        newest = self._newest_order
        # A unit that comes after an order was not meant by it.
        if seen is not None and newest > seen:
            self._obey_since(seen)
        self.cluster.publish(seen=newest)

    def _obey_since(self, seen: int) -> None:
        request = self.request
        if request and request.state in {"waiting", "failed"} and request.order < self._number("cancel"):
            self._finish()
        elif request and request.state == "failed" and self._number("resume") > seen:
            self._keep(
                dataclasses.replace(request, state=request.resume, reason="", since=self.machine.now())
            )
        roll = self._orders.get("roll", {})
        if self.request is None and self._number("roll") > max(seen, self._number("cancel")):
            self._keep(Request(kind=roll["kind"], reboot=roll["reboot"], order=roll["number"]))
            self.cluster.acquire_lock(roll["kind"])

    def _go_on(self, *, in_action: bool = False) -> None:
        """Take the request through its states until it has to wait for something."""
        before = None
        while (request := self.request) and request != before:
            before = request
            match request.state:
                case "waiting" | "restarting" if in_action and request.kind == "reboot":
                    self._wake()  # Juju restarts a machine at the end of a hook only
                case "waiting":
                    self._begin(request)
                case "restarting":
                    self._restart(request)
                case "upgrading":
                    self._follow_upgrade(request)
                case "verifying":
                    self._look(request)
                case "entered" | "failed":
                    pass

    def _begin(self, request: Request) -> None:
        if not self.cluster.acquire_lock(request.kind):
            return
        # What the machine before has shaken, such as a quorum, may need a moment more.
        if reasons := self._lasting_failures("safe-to-stop"):
            self._keep(request.failed(f"not safe to stop: {checks.sentence(reasons)}", "waiting"))
        elif request.kind == "reboot":
            self._keep(dataclasses.replace(request, state="restarting", boot=self.machine.boot_id()))
        elif request.kind == "upgrade":
            job = self.jobs.start("upgrade.upgrade")
            self._keep(dataclasses.replace(request, state="upgrading", job=job.id))
        else:
            self._keep(dataclasses.replace(request, state="entered"))

    def _restart(self, request: Request) -> None:
        if request.boot != self.machine.boot_id():
            self._verify(request)
        elif reasons := checks.failures(self.machine, "before-stop"):
            self._keep(request.failed(f"cannot stop: {checks.sentence(reasons)}", "waiting"))
        else:
            self.reboot()

    def _follow_upgrade(self, request: Request) -> None:
        while (job := self.jobs.find(request.job)) and job.state == "running" and self._has_time():
            self.machine.sleep(_PAUSE)
        if job is None or job.state == "failed":
            reason = job.progress if job else f"the record of job {request.job} is gone"
            self._keep(request.failed(reason, "waiting"))
        elif job.state != "done":
            self._wake()
        else:
            self._verify(request)

    def _verify(self, request: Request) -> None:
        self._keep(dataclasses.replace(request, state="verifying", since=self.machine.now()))

    def _look(self, request: Request) -> None:
        reasons = self._lasting_failures("after-start")
        if not reasons and request.reboot:
            # The lock is still this unit's: what the upgrade began, a restart completes.
            self._keep(dataclasses.replace(request, kind="reboot", state="waiting", reboot=False))
        elif not reasons:
            self._finish()
        elif self.machine.now() - request.since > _HEALTHY_WITHIN:
            self._keep(
                request.failed(f"not healthy after its start: {checks.sentence(reasons)}", "verifying")
            )
        else:
            self.awaited = checks.sentence(reasons)
            self._wake()

    def _lasting_failures(self, kind: Literal["safe-to-stop", "after-start"]) -> dict[str, str]:
        """Return the reasons of the checks that fail for as long as this hook may look."""
        while (reasons := checks.failures(self.machine, kind)) and self._has_time():
            self.machine.sleep(_PAUSE)
        return reasons

    def _has_time(self) -> bool:
        return self.machine.now() < self._until

    def _finish(self) -> None:
        self.cluster.publish(request=None)
        self.cluster.release_lock()

    def _keep(self, request: Request) -> None:
        self.cluster.publish(request=dataclasses.asdict(request))

    def _wake(self) -> None:
        """Have Juju run a hook of this unit soon; where the machine cannot ask for one, update-status comes by."""
        # The one before may be what runs this hook: it has not ended yet.
        name = f"{self.unit.replace('/', '-')}-wake-{self.machine.now():.0f}"
        next_hook.ask(self.machine, self.unit, name, after=_NEXT_HOOK)
