"""This unit's chassis: how it is, whether others are reached, stopped and started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openinfra_charm.model.actions import ActionError, Outcome, failing_on
from ovn_chassis import tenant_mtu
from vswitch import VSwitchError

if TYPE_CHECKING:
    from charm import OvnChassisCharm
    from state import Chassis


def show_chassis(charm: OvnChassisCharm) -> Outcome:
    """Show the chassis as Open vSwitch is configured.

    Raises:
        ActionError: Open vSwitch does not answer.
    """
    with failing_on(VSwitchError):
        present = charm.chassis.vswitch.read()
    me = charm.all_chassis.get(charm.unit.name)
    result: dict[str, Any] = {
        "name": present.external_ids.get("system-id", ""),
        "datapath": {"system": "kernel", "netdev": "userspace"}.get(
            present.external_ids.get("ovn-bridge-datapath-type", ""), "unknown"
        ),
        "tunnel-address": present.external_ids.get("ovn-encap-ip", ""),
        "mtu": me.mtu if me else 0,
        "tenant-mtu": tenant_mtu(me.mtu, me.address) if me else 0,
        "smallest-mtu": min((one.mtu for one in charm.all_chassis.values()), default=0),
        "bridges": {bridge.name: sorted(bridge.ports) for bridge in present.bridges.values()},
        "mappings": present.external_ids.get("ovn-bridge-mappings", ""),
        "connection": charm.chassis.why_not_ready() or "connected",
    }
    summary = f"chassis {result['name']}: {result['datapath']} datapath, tunnels end at {result['tunnel-address']}, {result['connection']}"
    return Outcome(summary=summary, result=result)


def check_mtu(charm: OvnChassisCharm) -> Outcome:
    """Send packets of full size to all other chassis.

    Raises:
        ActionError: This unit's network is not known yet, or some are not reached.
    """
    me = charm.all_chassis.get(charm.unit.name)
    if me is None:
        raise ActionError(f"{charm.unit.name} is no chassis yet; see its status")
    others = [one for one in charm.all_chassis.values() if one.unit != me.unit]
    # Both ends have to take a packet.
    sizes = {one: min(one.mtu, me.mtu) for one in others}
    missed = [one for one, size in sizes.items() if not charm.chassis.is_reached(one.address, size)]
    result = {
        one.unit: {"address": one.address, "mtu": sizes[one], "reached": one not in missed} for one in others
    }
    if missed:
        raise ActionError(
            f"packets of full size do not reach {_named(missed, sizes)}: is their network's MTU the same on all switches?"
        )
    smallest = min(one.mtu for one in charm.all_chassis.values())
    fits = f"; {tenant_mtu(smallest, me.address)} are left for virtual machines on all of them"
    return Outcome(
        summary=f"packets of {me.mtu} bytes reach {len(others)} other chassis{fits}", result=result
    )


def _named(chassis: list[Chassis], sizes: dict[Chassis, int]) -> str:
    return ", ".join(f"{one.unit} ({one.address}, {sizes[one]} bytes)" for one in chassis)


def pause(charm: OvnChassisCharm) -> Outcome:
    """Stop ovn-controller until `resume`.

    Raises:
        ActionError: Another unit owns it.
    """
    charm.owned.require("pause")
    return charm.paused.begin()


def resume(charm: OvnChassisCharm) -> Outcome:
    """Start ovn-controller again.

    Raises:
        ActionError: Another unit owns it.
    """
    charm.owned.require("resume")
    return charm.paused.end()
