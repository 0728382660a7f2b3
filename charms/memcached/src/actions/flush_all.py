"""Forget all items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcached import NoAnswerError
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import MemcachedCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    confirm: bool = False


def run(charm: MemcachedCharm, params: Params) -> Outcome:
    """Have this unit's cache forget all items.

    Raises:
        ActionError: It was not confirmed, or another unit has the machine's daemon (nothing was forgotten); or the
            daemon does not answer.
    """
    charm.owned.require("flush-all")
    if not params.confirm:
        raise ActionError(f"all items of {charm.unit.name} would be lost; confirm with confirm=true")
    try:
        charm.memcached.flush()
    except NoAnswerError as error:
        raise ActionError(f"{error}; see the status of {charm.unit.name}") from error
    return Outcome(summary=f"{charm.unit.name} has forgotten all items")
