"""Storage: recorded here, made and deleted by the caller, attached and detached by the units' hooks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import configuration, find, history
from openinfra_model.core.entities import Status, Storage
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from openinfra_model.core.entities import StorageDirective
    from openinfra_model.core.state import State

ROOT = "/var/lib/juju/storage"


def create(state: State, unit: str, name: str, *, directive: StorageDirective, now: float) -> str:
    """Record a new storage instance of a unit and return its id."""
    owner = state.units[unit]
    spec = state.charm_of(state.applications[owner.application]).charm.storage[name]
    instance = f"{name}/{state.take('storage')}"
    location = ""
    if spec.type == "filesystem" and not spec.location:
        location = f"{ROOT}/{state.ids.uuid()}"
    elif spec.type == "filesystem":
        location = spec.location if spec.count_max == 1 else f"{spec.location}/{instance.replace('/', '-')}"
    state.storage.put(
        Storage(
            id=instance,
            kind=spec.type,
            pool=directive.pool,
            size=directive.size,
            number=state.take(spec.type),
            owner=unit,
            machine=owner.machine,
            location=location,
            status=Status(current="pending", since=now),
        )
    )
    return instance


def add(
    state: State, unit_name: str, name: str, *, now: float, directive: StorageDirective | None = None
) -> list[str]:
    """Add storage to a unit and return its ids; without a directive, one instance by the charm's minimum.

    Raises:
        ModelError: if the charm has no such store or allows no more of it.
    """
    unit = find.unit(state, unit_name)
    application = state.applications[unit.application]
    charm = state.charm_of(application).charm
    if name not in charm.storage:
        raise ModelError(f'charm storage "{name}" not found')
    wanted = directive or replace(configuration.storage_directives(state, application)[name], count=1)
    present = sum(1 for item in attached(state, unit.name) if item.name == name)
    configuration.check_storage(charm, name, wanted, present + wanted.count)
    return [create(state, unit.name, name, directive=wanted, now=now) for _ in range(wanted.count)]


def attached(state: State, unit: str) -> list[Storage]:
    """Return a unit's storage, by id."""
    return [item for item in state.storage if item.owner == unit]


def wanted(state: State) -> list[Storage]:
    """Return the storage to be made, on machines that run."""
    return [
        item
        for item in state.storage
        if not item.provisioned and item.life == "alive" and state.machines[item.machine].present
    ]


def provisioned(state: State, storage_id: str, *, now: float, device: str = "") -> None:
    """Record that storage was made: a filesystem at its `location`, a block device as `device`."""
    item = state.storage[storage_id]
    state.storage.put(
        replace(
            item,
            provisioned=True,
            device=device,
            location=item.location or device,
            status=Status(current="attached", since=now),
        )
    )
    _tell_owner(state, item, history.INITIALISING, now)


def failed(state: State, storage_id: str, message: str, now: float) -> None:
    """Record why storage could not be made, once (it stays wanted); a unit that waits for it before its first hook says so, too."""
    item = state.storage[storage_id]
    if (item.status.current, item.status.message) == ("error", message):
        return
    status = Status(current="error", message=message, since=now)
    state.storage.put(replace(item, status=status))
    _tell_owner(state, item, f"for storage {storage_id}: {message}", now)


def _tell_owner(state: State, item: Storage, message: str, now: float) -> None:
    """Have a unit that its storage keeps from its first hook say what it waits for."""
    unit = state.units.get(item.owner)
    waits = unit and unit.workload.message.startswith((history.INITIALISING, "for storage "))
    if unit and waits and not state.agents[unit.name].installed and unit.workload.message != message:
        history.set_workload(state, unit.name, "waiting", message, now)


def detach(state: State, storage_id: str, *, now: float, force: bool = False) -> None:
    """Begin to take storage from its unit, and keep it.

    Raises:
        ModelError: if it is not attached, or the charm needs it and force is not given.
    """
    item = find.storage(state, storage_id)
    if not item.owner:
        raise ModelError(f'storage instance "{storage_id}" is not attached to a unit')
    unit = state.units[item.owner]
    charm = state.charm_of(state.applications[unit.application]).charm
    rest = sum(
        1 for other in attached(state, unit.name) if other.name == item.name and other.attachment == "alive"
    )
    minimum = charm.storage[item.name].count_min
    if unit.life == "alive" and rest <= minimum and not force:
        raise ModelError(
            f'cannot detach storage "{storage_id}": charm "{charm.name}" store "{item.name}" needs at least {minimum}'
        )
    state.storage.put(
        replace(item, attachment="dying", status=replace(item.status, current="detaching", since=now))
    )
    if storage_id not in state.agents[unit.name].storage:
        detached(state, storage_id, now)


def detached(state: State, storage_id: str, now: float) -> None:
    """Record that storage has no unit any longer."""
    item = state.storage[storage_id]
    state.storage.put(
        replace(
            item,
            owner="",
            attachment="dead",
            life="dead" if item.destroy else item.life,
            status=Status(current="detached", since=now),
        )
    )


def remove(state: State, storage_id: str, *, now: float, force: bool = False) -> None:
    """Begin to remove storage.

    Raises:
        ModelError: if a unit has it and force is not given.
    """
    item = find.storage(state, storage_id)
    if item.owner and not force:
        raise ModelError(
            f'cannot remove storage "{storage_id}": storage is attached: detach it first, or use --force'
        )
    if not item.owner:
        state.storage.put(replace(item, life="dead", destroy=True))
        return
    state.storage.put(replace(item, life="dying", destroy=True))
    detach(state, storage_id, force=True, now=now)


def unit_leaves(state: State, unit: str, *, destroy: bool) -> None:
    """Begin to detach the storage of a unit that is to be removed."""
    for item in attached(state, unit):
        state.storage.put(replace(item, attachment="dying", destroy=item.destroy or destroy))


def unit_gone(state: State, unit: str) -> None:
    """Take what a unit that is gone did not detach."""
    for item in attached(state, unit):
        detached(state, item.id, item.status.since)


def to_release(state: State) -> list[Storage]:
    """Return the storage to be deleted."""
    return [item for item in state.storage if item.life == "dead"]


def released(state: State, storage_id: str) -> None:
    """Drop storage that was deleted."""
    state.storage.remove(storage_id)
