"""The actions `pause` and `resume`: a unit's daemons stay stopped, over its hooks and restarts of its machine, until resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from openinfra_charm.model import status
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    import ops

    from openinfra_charm.daemon.services import Services


class Pausable(Protocol):
    """What can be paused."""

    services: Services

    def apply(self) -> None:
        """Have its services run."""
        ...

    def stop(self) -> None:
        """Stop its services, and keep them stopped."""
        ...


class Pause:
    """Whether an operator has paused the daemons of a unit, and what begins and ends that."""

    def __init__(self, unit: str, workload: Pausable) -> None:
        self._unit = unit
        self._workload = workload

    def __bool__(self) -> bool:
        return self._workload.services.paused

    def begin(self) -> Outcome:
        """Stop the daemons until `end`."""
        self._workload.services.mark_paused(paused=True)
        self._workload.stop()
        return Outcome(summary=f"paused; start it again with: juju run {self._unit} resume")

    def end(self) -> Outcome:
        """Start the daemons again."""
        if not self:
            return Outcome(summary="not paused; nothing to do")
        self._workload.services.mark_paused(paused=False)
        self._workload.apply()
        return Outcome(summary="started")

    @property
    def status(self) -> ops.StatusBase:
        """What a paused unit says."""
        return status.paused(self._unit)
