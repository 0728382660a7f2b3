"""Horizon's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import twin

from openinfra_charm.testing import openstack

if TYPE_CHECKING:
    from collections.abc import Sequence


class Twin(openstack.Twin):
    """One portal on the machines of one application."""

    def __init__(self) -> None:
        super().__init__(twin.Horizon, first=twin.MIGRATE)

    def settings(self) -> Sequence[str]:
        """Return what restarts the process."""
        return ("workers=3", "session-lifetime=2h")
