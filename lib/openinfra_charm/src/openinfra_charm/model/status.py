"""Errors that an operator or another application can mend: they become a status, never a traceback."""

from __future__ import annotations

import ops

LEAVING = ops.MaintenanceStatus("leaving")
"""What a unit says that is on its way out."""


class NeedsOperatorError(Exception):
    """Something that only an operator can put right; the message says what, and how."""


class NotYetError(Exception):
    """Something that cannot be done now and is tried again by later hooks; the message says what is waited for, or why."""


class ConfigError(NeedsOperatorError):
    """A configuration option whose value cannot be used."""

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(f"config {option}={value!r} cannot be used: expected {expected}")


class RetriedStatus(ops.WaitingStatus):
    """What a unit waits for in its machine's software, of which no event of the model tells: it looks again soon.

    See `openinfra_charm.model.retry`.
    """


def paused(unit: str) -> ops.StatusBase:
    """Return what a unit says whose daemon an operator has paused."""
    return ops.MaintenanceStatus(f"paused; start it again: juju run {unit} resume")
