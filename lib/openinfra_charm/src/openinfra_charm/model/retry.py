"""The status of a unit that waits for its machine's software: it looks again soon, since no event of the model tells when to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import ops

from openinfra_charm.daemon import next_hook
from openinfra_charm.model import hook
from openinfra_charm.model.status import RetriedStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.machine import Machine

FIRST_PAUSE, LONGEST_PAUSE = 5, 60
"""Seconds from a hook that waits for software to the next one: as long as it has waited so far, within these."""
GIVE_UP = 300
"""Seconds after which it is left to `update-status`."""


class Retry:
    """The hooks of a unit that waits for its machine's software, which come at growing intervals until it waits no more.

    Args:
        machine: The unit's.
        unit: Such as `ceph/0`.
    """

    def __init__(self, machine: Machine, unit: str) -> None:
        self._machine = machine
        self._unit = unit
        self._name = f"openinfra-retry-{unit.replace('/', '-')}"
        # A machine that was started anew has waited for nothing yet.
        self._path = f"/run/openinfra/{self._name}.json"

    def add_all(self, event: ops.CollectStatusEvent, statuses: Iterable[ops.StatusBase]) -> None:
        """Give Juju every reason there is, of which it shows the worst; ask for a hook soon if one is `RetriedStatus`."""
        found = [*statuses, ops.ActiveStatus()]
        for one in found:
            event.add_status(one)
        if hook.is_action():
            # It changes nothing but what it was asked for; the last hook has asked.
            return
        record: dict[str, float] = json.loads(self._machine.read(self._path) or "{}")
        if any(isinstance(one, RetriedStatus) for one in found):
            self._ask(record)
        elif record:
            self._stop(record)

    def _ask(self, record: dict[str, float]) -> None:
        now = self._machine.now()
        since = record.get("since", now)
        if now < record.get("next", 0) or now > since + GIVE_UP:
            return
        pause = min(max(now - since, FIRST_PAUSE), LONGEST_PAUSE)
        self._machine.write(self._path, json.dumps({"since": since, "next": now + pause}))
        next_hook.ask(self._machine, self._unit, self._timer(now + pause), after=pause)

    def _stop(self, record: dict[str, float]) -> None:
        """Ask for no more hooks."""
        if self._machine.now() < record["next"]:
            self._machine.run("systemctl", "stop", f"{self._timer(record['next'])}.timer", check=False)
        self._machine.remove(self._path)

    def _timer(self, due: float) -> str:
        """Return the systemd unit's name. The one before may be what runs this hook: it has not ended yet."""
        return f"{self._name}-{due:.0f}"
