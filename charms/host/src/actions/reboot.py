"""Restart machines when it is their turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import turn

if TYPE_CHECKING:
    from charm import HostCharm
    from openinfra_charm.model.actions import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Which machines."""

    all_units: bool


def run(charm: HostCharm, params: Params) -> Outcome:
    """Queue this machine, or as the leader all of them."""
    return turn.ask(charm, "reboot", "reboot", all_units=params.all_units)
