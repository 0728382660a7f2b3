"""A virtual address on a machine is listed by the core as a real Juju 4.0.14 did, which took it for the machine's.

`juju-trace/addresses`: 10.155.0.2/32 is added to the interface of the machine 0, whose address is 10.155.0.85.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from openinfra_model.charm import Base, Charm, Endpoint, Role
from openinfra_model.core import Core, Ids, State, applications, machines, models, relations, status
from openinfra_model.core.entities import Network

from . import recording

CAME, WENT = 1795978660, 1795978719
OWN = {"0": "10.155.0.85/24", "1": "10.155.0.102/24"}
VIP = "10.155.0.2/32"
STATUS = json.loads((recording.ROOT / "addresses/status-vip.json").read_text())
UNITS = ("own/0", "own/1", "rd/0", "rd/1")


def keeper() -> Charm:
    roles: dict[str, tuple[Role, str]] = {
        "ring": ("peers", "keeper-ring"), "db": ("provides", "keeper-db"), "use": ("requires", "keeper-db"),
    }  # fmt: skip
    endpoints = {
        name: Endpoint(name=name, role=role, interface=interface) for name, (role, interface) in roles.items()
    }
    nothing: dict[str, Any] = {key: {} for key in ("config", "actions", "storage", "resources")}
    bases = (Base(name="ubuntu", channel="24.04"),)
    return Charm(
        name="keeper", summary="", description="", subordinate=False, bases=bases, endpoints=endpoints,
        extra_bindings=("public",), **nothing,
    )  # fmt: skip


class Model:
    """Two units of the probe's charm on each of two machines, which do nothing in their hooks."""

    def __init__(self) -> None:
        self.now = 0.0
        self.state = State(Ids(random.Random(1)))
        models.create(self.state, "model", now=self.now)
        self.core = Core(self.state)
        for machine in OWN:
            machines.add(self.state, base="ubuntu@24.04", now=self.now)
            self.tell(machine)
            machines.started(self.state, machine, "boot", self.now)
        for name in ("own", "rd"):
            wanted = applications.Deployment(
                name=name, charm=keeper(), archive="keeper.charm", base="ubuntu@24.04", units=2, to=("0", "1")
            )
            applications.deploy(self.state, wanted, now=self.now)
        relations.integrate(self.state, "own:db", "rd:use", now=self.now)
        self.settle()

    def tell(self, machine: str, *added: str) -> None:
        mac = STATUS["machines"][machine]["network-interfaces"]["eth0"]["mac-address"]
        network = Network.of([OWN[machine], *added], gateway="10.155.0.1", mac=mac)
        machines.provisioned(
            self.state, machine, instance_id=machine, hostname=machine, network=network, now=self.now
        )

    def settle(self) -> list[tuple[str, str, str]]:
        """Run what is due; return the units, hooks and remote units."""
        ran: list[tuple[str, str, str]] = []
        while due := self.core.due(self.now):
            context = self.core.begin(due[0], self.now)
            hook = due[0].hook
            ran.append((due[0].unit, due[0].name, hook.remote_unit if hook else ""))
            self.core.finish(context.id, 0, self.now)
            self.now += 1
        return ran

    def ask(self, unit: str, command: str) -> Any:
        [run] = [run for run in self.core.due(self.now) if run.unit == unit]
        context = self.core.begin(run, self.now)
        result = self.core.tool(context.id, command.split(), "", self.now)
        self.core.abandon(context.id, self.now)
        return json.loads(result.stdout) if "json" in command else result.stdout.strip()


@pytest.fixture
def model() -> Model:
    return Model()


def recorded(unit: str, since: float, until: float) -> list[recording.Dispatch]:
    runs = recording.load("addresses")[unit]
    return [run for run in runs if since <= run.time < until and run.name.startswith("hooks/")]


def test_hook_tools_say_what_juju_said(model):
    model.tell("0", VIP)
    [changed, *_] = recorded("own/0", CAME, WENT)
    asked = [tool for tool in changed.tools if tool.command.startswith(("network-get", "unit-get"))]
    assert len(asked) > 3
    for tool in asked:
        assert (tool.command, model.ask("own/0", tool.command)) == (tool.command, tool.output)


def test_status_shows_what_juju_showed(model):
    model.tell("0", VIP)
    shown, there = status.full(model.state, now=model.now)["machines"]["0"], STATUS["machines"]["0"]
    for key in ("dns-name", "ip-addresses", "network-interfaces"):
        assert shown[key] == there[key]
    unit = status.full(model.state, now=model.now)["applications"]["own"]["units"]["own/0"]
    assert unit["public-address"] == STATUS["applications"]["own"]["units"]["own/0"]["public-address"]


@pytest.mark.parametrize(("since", "until"), [(CAME, WENT), (WENT, WENT + 20)])
def test_units_are_told_as_juju_told_them(model, since, until):
    if since == WENT:
        model.tell("0", VIP)
        model.settle()
    model.tell("0", *([VIP] if since == CAME else []))
    ran = model.settle()
    for unit in UNITS:
        told = sorted(
            (run.name.removeprefix("hooks/"), run.environment.get("JUJU_REMOTE_UNIT", ""))
            for run in recorded(unit, since, until)
        )
        assert sorted((hook, other) for name, hook, other in ran if name == unit) == told


def test_a_virtual_address_that_sorts_last_is_told_too(model):
    """Every address of the machine counts for config-changed; relation data stay as they are."""
    model.tell("0", "10.155.0.9/32")
    assert sorted(model.settle()) == [("own/0", "config-changed", ""), ("rd/0", "config-changed", "")]
