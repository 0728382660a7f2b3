"""The charm's actions; `openinfra_charm.model.actions` runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from control import RefusedError, UnreachableError
from openinfra_charm.model.actions import ActionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from charm import RabbitMqCharm

T = TypeVar("T")


def ask(charm: RabbitMqCharm, question: Callable[[], T]) -> T:
    """Return what the broker answers.

    Raises:
        ActionError: It does not answer, or refuses.
    """
    try:
        return question()
    except (RefusedError, UnreachableError) as error:
        raise ActionError(f"{error}; see the status of {charm.unit.name}") from error
