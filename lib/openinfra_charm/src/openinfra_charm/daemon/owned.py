"""Daemons of which a machine runs one instance only, such as memcached: they belong to the unit that has claimed them.

In a charm:

    self.owned = Owned(self.machine, self.unit.name, self.memcached)

    self.owned.claim()                    # in _reconcile, before anything is installed
    self.owned.stop()                     # on stop
    self.owned.remove()                   # on remove
    self.owned.problems()                 # in the status, once there is nothing else to say
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import ops

from openinfra_charm.daemon import leftovers, registry
from openinfra_charm.model.actions import ActionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.daemon.registry import Footprint
    from openinfra_charm.daemon.services import Services
    from openinfra_charm.machine import Machine


class Workload(Protocol):
    """The software of one application on a machine, whose daemon may run there once."""

    services: Services

    @property
    def footprint(self) -> Footprint:
        """What it leaves on the machine where it is not removed."""
        ...

    @property
    def programs(self) -> Mapping[str, str]:
        """The programs of its services, by systemd unit, as people call them."""
        ...

    def stop(self) -> None:
        """Stop its services, and keep them stopped."""
        ...


class Owned:
    """The machine's only instance of a workload, as one unit owns it. What another unit has claimed is left alone."""

    def __init__(self, machine: Machine, unit: str, workload: Workload) -> None:
        self._machine = machine
        self._unit = unit
        self._application = unit.partition("/")[0]
        self._workload = workload

    def claim(self) -> None:
        """Claim it for this unit, unless it is claimed already.

        Raises:
            NeedsOperatorError: Another unit owns it, or one that is gone has left data.
        """
        leftovers.occupy(self._machine, self._unit, self._workload.footprint)

    @property
    def is_mine(self) -> bool:
        """Whether this unit owns it."""
        return registry.owner(self._machine, self._workload.footprint.daemon) == self._unit

    def require(self, action: str) -> None:
        """Refuse an action on a unit that does not own it.

        Raises:
            ActionError: Another unit owns it, or none.
        """
        if self.is_mine:
            return
        footprint = self._workload.footprint
        if owner := registry.owner(self._machine, footprint.daemon):
            raise ActionError(f"{owner} {footprint.does}: juju run {owner} {action}")
        raise ActionError(f"no unit {footprint.does} yet: see the status of {self._unit}")

    def stop(self) -> None:
        """Stop it, and keep it stopped."""
        if self.is_mine:
            self._workload.stop()

    def remove(self) -> None:
        """Stop it, take all of it off the machine but users' data, and release it; packages that others need stay."""
        if not self.is_mine:
            return
        self._workload.stop()
        footprint = self._workload.footprint
        for path in footprint.paths:
            self._machine.remove(path)
        self._machine.reload_systemd()
        registry.remove_checks(self._machine, self._application)
        registry.uninstall(self._machine, self._application)
        self._machine.remove(f"/var/lib/openinfra/{self._application}")
        registry.disclaim(self._machine, footprint.daemon, self._unit)

    @property
    def was_started(self) -> bool:
        """Whether any of its services has been started, be it well or not, and not stopped since."""
        return bool(self._workload.services.units)

    def problems(self) -> list[ops.StatusBase]:
        """Return what a status says of services that were started and do not run; nothing where all run."""
        down = self._workload.services.failed()
        if not down:
            return []
        programs = " and ".join(self._workload.programs.get(unit, unit) for unit in down)
        look = " ".join(f"-u {unit}" for unit in down)
        verb = "does" if len(down) == 1 else "do"
        return [ops.BlockedStatus(f"{programs} {verb} not run; see juju ssh {self._unit} journalctl {look}")]
