"""The model itself: made, and removed with everything that it has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import applications, find, machines
from openinfra_model.core.entities import Model
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from openinfra_model.core.state import State


def create(state: State, name: str, *, now: float) -> None:
    """Make a model in an empty state."""
    state.models.put(Model(name=name, uuid=state.ids.uuid(), created=now))


def destroy(state: State, *, now: float, force: bool = False, destroy_storage: bool = False) -> None:
    """Begin to remove everything; the model is gone when no machine and no application is left.

    Raises:
        ModelError: if storage would be lost and neither its destruction nor force is asked for.
    """
    if len(state.storage) and not (destroy_storage or force):
        raise ModelError(
            f'cannot destroy model "{state.model.name}": the model contains persistent storage: '
            "say --destroy-storage to destroy it with the model"
        )
    state.models.put(replace(state.model, life="dying"))
    for application in state.applications:
        if application.name in state.applications:
            applications.remove(state, application.name, destroy_storage=True, force=force, now=now)
    for machine in state.machines:
        if machine.life == "alive" and (force or not find.units_on(state, machine.id)):
            machines.remove(state, machine.id, force=force, now=now)
