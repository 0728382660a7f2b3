"""Units of systemd."""

from __future__ import annotations

import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from openinfra_charm.machine.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Mapping

_OFTEN = 3
"""How often systemd has started a unit again that counts as one which ends again and again,"""
_YOUNG_SECONDS = 120
"""if it has not run for longer than this since."""
_REEXEC_SECONDS = 3
"""How long systemd takes to start anew (systemctl daemon-reexec), and more."""


class Units(Processes):
    """The machine's services."""

    _processes: Mapping[str, str] = MappingProxyType({})
    """The number of each unit's main process as it was seen last."""
    _restarts: Mapping[str, tuple[int, float]] = MappingProxyType({})
    """How often systemd had started each unit again by itself, and when it did so last, in seconds of the machine's life."""

    def reload_systemd(self) -> None:
        """Make systemd read its unit files again."""
        self.run("systemctl", "daemon-reload")

    def service_states(self, *units: str) -> dict[str, str]:
        """Return each unit's ActiveState (active, activating, inactive, failed, ...)."""
        return {unit: shown["ActiveState"] for unit, shown in self._show(*units).items()}

    def _show(self, *units: str) -> dict[str, dict[str, str]]:
        """Return how units are. systemd answers nobody for a moment when it starts anew, as for a newer libc."""
        if not units:
            return {}
        argv = (
            "systemctl",
            "show",
            "--property=ActiveState,MainPID,NRestarts,ExecMainStartTimestampMonotonic",
            *units,
        )
        asked = self.run(*argv, check=False)
        if asked.code:
            self.sleep(_REEXEC_SECONDS)
            asked = self.run(*argv)
        # A socket has no main process.
        blocks = [
            dict(line.split("=", 1) for line in block.splitlines())
            for block in asked.stdout.strip().split("\n\n")
        ]
        shown = dict(zip(units, blocks, strict=True))
        self._processes = {
            **self._processes,
            **{unit: one.get("MainPID", "0") for unit, one in shown.items()},
        }
        self._restarts = {
            **self._restarts,
            **{
                unit: (int(one["NRestarts"]), int(one["ExecMainStartTimestampMonotonic"]) / 1e6)
                for unit, one in shown.items()
                if "NRestarts" in one
            },
        }
        return shown

    def restarting_services(self, *units: str) -> dict[str, int]:
        """Return those units that end and are started again and again, and how often; as their states were found last."""
        now = time.monotonic()
        return {
            unit: number
            for unit in units
            for number, since in [self._restarts.get(unit, (0, 0.0))]
            if number >= _OFTEN and now - since < _YOUNG_SECONDS
        }

    def outdated_programs(self, *units: str) -> set[str]:
        """Return those units that run a program whose file a newer package has replaced since they started.

        A process that was found with the unit's state is not asked for again: where another has its place, that runs the newer file.
        """
        if not set(units) <= self._processes.keys():
            self._show(*units)
        return {unit for unit in units if self._is_replaced(self._processes[unit])}

    @staticmethod
    def _is_replaced(process: str) -> bool:
        """Return whether the file that a process runs is there no more; a process that has ended runs none."""
        try:
            return str(Path(f"/proc/{process}/exe").readlink()).endswith(" (deleted)")
        except (FileNotFoundError, ProcessLookupError):
            return False

    def enabled_services(self, *units: str) -> set[str]:
        """Return those units that start with the machine."""
        if not units:
            return set()
        shown = self.run("systemctl", "is-enabled", *units, check=False)
        return {unit for unit, word in zip(units, shown.stdout.split(), strict=False) if word == "enabled"}

    def enable_services(self, *units: str) -> None:
        """Let units start with the machine."""
        self.run("systemctl", "enable", "--quiet", *units)

    def start_services(self, *units: str) -> None:
        """Start units; those that run already are left alone. One that cannot start shows it by its state."""
        self.run("systemctl", "reset-failed", *units, check=False)
        self.run("systemctl", "start", *units, check=False)

    def restart_services(self, *units: str) -> None:
        """Stop and start units. One that cannot start again shows it by its state."""
        self.run("systemctl", "reset-failed", *units, check=False)
        self.run("systemctl", "restart", *units, check=False)

    def reload_services(self, *units: str) -> None:
        """Let units read their configuration again without a stop."""
        self.run("systemctl", "reload", *units)

    def stop_services(self, *units: str) -> None:
        """Stop units and keep them from starting with the machine."""
        self.run("systemctl", "disable", "--quiet", "--now", *units)
        self.run("systemctl", "reset-failed", *units, check=False)

    def end_leftovers(self, *units: str) -> None:
        """End the processes that stopped units have left behind (KillMode=process)."""
        self.run("systemctl", "kill", "--signal=SIGKILL", *units, check=False)

    def mask_services(self, *units: str) -> None:
        """Keep units from being started by anybody."""
        self.run("systemctl", "mask", "--quiet", *units)

    def unmask_services(self, *units: str) -> None:
        """Take `mask_services` back."""
        self.run("systemctl", "unmask", "--quiet", *units)
