"""Machines: asked for by the operator, made and watched by the caller."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import configuration, find, leadership, units
from openinfra_model.core import storage as storages
from openinfra_model.core.entities import Machine, Status
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from openinfra_model.core.entities import Network
    from openinfra_model.core.state import State


def add(state: State, base: str, *, now: float, constraints: str = "") -> str:
    """Add a machine and return its id."""
    machine_id = str(state.take("machine"))
    state.machines.put(
        Machine(
            id=machine_id,
            base=base,
            constraints=constraints,
            agent=Status(current="pending", since=now),
            instance=Status(current="pending", since=now),
        )
    )
    return machine_id


def remove(state: State, machine: str, *, now: float, force: bool = False) -> None:
    """Remove a machine; by force its units go without their hooks.

    Raises:
        ModelError: if it has units and force is not given.
    """
    found = find.machine(state, machine)
    hosted = find.units_on(state, machine)
    if hosted and not force:
        names = ", ".join(f'"{unit.name}"' for unit in hosted)
        raise ModelError(f"removing machine failed: machine {machine} has unit(s) {names} assigned")
    state.machines.put(replace(found, life="dead", agent=Status(current="stopped", since=now)))
    # Subordinates go first: the units they depend on are still there to be left.
    for unit in sorted(hosted, key=lambda unit: not unit.principal):
        if unit.name in state.units:
            units.gone(state, unit.name, now, forced=True)


def wanted(state: State) -> list[Machine]:
    """Return the machines to be made."""
    return [machine for machine in state.machines if machine.life == "alive" and not machine.instance_id]


def to_release(state: State) -> list[Machine]:
    """Return the machines to be destroyed."""
    return [machine for machine in state.machines if machine.life == "dead"]


def provisioned(
    state: State,
    machine_id: str,
    *,
    instance_id: str,
    hostname: str,
    network: Network,
    now: float,
    hardware: str = "",
) -> None:
    """Record what was made, or a new address: units publish it and their config changes."""
    machine = state.machines[machine_id]
    state.machines.put(
        replace(
            machine,
            instance_id=instance_id,
            hostname=hostname,
            network=network,
            hardware=hardware or machine.hardware,
            instance=Status(current="running", message="Running", since=now),
        )
    )
    if machine.network is not None and machine.network.address != network.address:
        _publish_address(state, machine_id, network)


def _publish_address(state: State, machine_id: str, network: Network) -> None:
    """Change the address in the relation data of a machine's units."""
    for unit in find.units_on(state, machine_id):
        for relation in find.relations_of(state, unit.application):
            if bag := relation.units.get(unit.name):
                content = {**bag.content, **configuration.address_settings(network)}
                changed = replace(bag, content=content, version=bag.version + 1)
                state.relations.put(replace(relation, units={**relation.units, unit.name: changed}))


def started(state: State, machine_id: str, boot_id: str, now: float) -> None:
    """Record that a machine runs, and start the agents of its units.

    A boot id that differs from the last makes its units run start again.
    """
    machine = state.machines[machine_id]
    agent = machine.agent
    if agent.current != "started":
        agent = Status(current="started", since=now)
    rebooted = bool(machine.boot_id) and machine.boot_id != boot_id
    state.machines.put(
        replace(
            machine,
            present=True,
            boot_id=boot_id,
            agent=agent,
            reboot_wanted=machine.reboot_wanted and not rebooted,
        )
    )
    for unit in find.units_on(state, machine_id):
        units.start_agent(state, unit.name, now)


def down(state: State, machine_id: str, now: float) -> None:
    """Record that a machine stopped answering: the agents of its units are lost. Abandon what runs there first."""
    machine = state.machines[machine_id]
    if not machine.present:
        return
    state.machines.put(replace(machine, present=False, agent=Status(current="down", since=now)))
    for unit in find.units_on(state, machine_id):
        state.agents.put(replace(state.agents[unit.name], running=False))
        leadership.stop_renewing(state, unit.name, now)


def failed(state: State, machine_id: str, message: str, now: float) -> None:
    """Record why a machine could not be made; it stays wanted."""
    machine = state.machines[machine_id]
    state.machines.put(
        replace(machine, instance=Status(current="provisioning error", message=message, since=now))
    )


def released(state: State, machine_id: str) -> None:
    """Drop a machine that is gone, with the storage that was on it."""
    for item in state.storage:
        if item.machine == machine_id:
            storages.released(state, item.id)
    state.machines.remove(machine_id)


def agent_lost(state: State, unit: str) -> bool:
    """Say whether a unit's agent ran once and runs no longer."""
    agent = state.agents[unit]
    return bool(agent.boot_id) and not agent.running


def visible_workload(state: State, unit: str) -> str:
    """Return the workload status that hook tools show of a unit: unknown while its agent is not there.

    A hook in error does not show there (recorded from Juju 4.0.15).
    """
    return state.units[unit].workload.current if state.agents[unit].running else "unknown"
