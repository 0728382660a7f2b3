"""A unit that goes: its OSDs and its monitor leave the cluster as soon as nothing is lost with them.

A charm cannot refuse its removal. A hook waits for a while, then fails with the reason, and Juju tries it again.
"""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING

import crush
import drain
from admin import UnreachableError
from safety import why_data_would_be_lost

if TYPE_CHECKING:
    from collections.abc import Callable

    import ops

    from ceph import Ceph
    from quorum import Quorum

STOP_SECONDS = 45
"""How long a hook waits for data to be safe before it fails."""


class UnsafeToRemoveError(Exception):
    """Data or quorum would be lost; Juju retries the hook until it is safe, or an operator forces it."""


class Departure:
    """What a unit gives up before it goes."""

    def __init__(self, unit: ops.Unit, *, ceph: Ceph, quorum: Quorum) -> None:
        """Take what it works with: this unit, Ceph on its machine, and its part in the quorum."""
        self._unit = unit
        self._ceph = ceph
        self._quorum = quorum

    def leave(self) -> ops.StatusBase | None:
        """Leave the cluster with all that is here; return what the monitor has to wait for.

        Raises:
            UnsafeToRemoveError: Data or quorum would be lost.
        """
        self._wait_while(self._quorum.why_not_to_go)
        self._give_up([osd.number for osd in self._ceph.osds.all()])
        waits = self._quorum.leave() if self._quorum.has_others else None
        self._ceph.stop()
        return waits

    def release(self, device: str) -> None:
        """Have a device hold no OSD any more; one that is half made is left to `Osds.clean_up`.

        Raises:
            UnsafeToRemoveError: Data would be lost.
        """
        osd = self._ceph.osds.holder(device)
        if osd and osd.phase != "making":
            self._give_up([osd.number])

    def _give_up(self, numbers: list[int]) -> None:
        """Remove OSDs as soon as nothing is lost with them; let their data move if nobody has prepared it."""
        self._wait_while(lambda: self._why_not_to_give_up(numbers))
        for number in numbers:
            if osd := self._ceph.osds.find(number):
                self._ceph.osds.remove(osd, self._ceph.services, zap=False)

    def _why_not_to_give_up(self, numbers: list[int]) -> str | None:
        why = why_data_would_be_lost(self._ceph.admin, numbers)
        if why:
            with contextlib.suppress(UnreachableError, crush.CrushError):
                crush.check_spare(self._ceph.admin, numbers)
                drain.begin(self._ceph.admin, numbers)
        return why

    def _wait_while(self, why_not: Callable[[], str | None]) -> None:
        while why := why_not():
            if self._ceph.machine.now() > self._limit:
                raise UnsafeToRemoveError(
                    f"{why}. Juju tries the hook again; to give up what is here: juju remove-unit --force {self._unit.name}"
                )
            self._ceph.machine.sleep(drain.PAUSE)

    @cached_property
    def _limit(self) -> float:
        """Until when this hook may wait."""
        return self._ceph.machine.now() + STOP_SECONDS
