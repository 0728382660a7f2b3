"""Errors that an operator or another application can mend: they become a status, never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def paused(unit: str) -> ops.StatusBase:
    """Return what a unit says whose daemon an operator has paused."""
    return ops.MaintenanceStatus(f"paused; start it again: juju run {unit} resume")


def add_all(event: ops.CollectStatusEvent, statuses: Iterable[ops.StatusBase]) -> None:
    """Give Juju every reason there is; it shows the worst."""
    for status in statuses:
        event.add_status(status)
    event.add_status(ops.ActiveStatus())
