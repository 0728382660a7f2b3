"""Which of the addresses that Juju lists is a unit's own; what the kernel says is recorded from iproute2 6.1 and 6.15."""

import json

import ops
import pytest
from ops import testing

from openinfra_charm.machine import InterfaceAddress, Machine, Result
from openinfra_charm.model.addresses import Addresses
from openinfra_charm.testing import MemoryMachine

META = {"name": "probe", "extra-bindings": {"internal": None}, "requires": {"gateway": {"interface": "x"}}}


class Probe(ops.CharmBase):
    """A charm that only has a binding."""


def ask(listed, machine, question=None, *, ingress=(), **options):
    """Ask in a hook in which Juju lists these addresses; return the address that is found."""
    places = [testing.Address(address, cidr="10.0.0.0/8") for address in listed]
    network = testing.Network(
        "internal",
        bind_addresses=[testing.BindAddress(places, interface_name="eth7")] if places else [],
        ingress_addresses=list(ingress or listed),
    )
    context = testing.Context(Probe, meta=META)
    with context(context.on.update_status(), testing.State(networks={network})) as manager:
        asked = Addresses(manager.charm.model, machine, "probe")
        if question:
            return question(asked)
        place = asked.find("internal", **options)
        assert place is None or (place.interface, place.subnets) == ("eth7", ("10.0.0.0/8",))
        return place and place.address


def machine(*own, added=()):
    here = MemoryMachine()
    here.hold(*own, added=added)
    return here


def test_a_single_address_is_the_one_and_the_kernel_is_not_asked():
    here = machine("10.0.0.33/24")
    assert ask(["10.0.0.33"], here) == "10.0.0.33"
    assert here.argv == []


def test_none_is_none():
    assert ask([], machine()) is None
    assert ask([], machine(), published="10.0.0.33") is None


@pytest.mark.parametrize("vip", ["10.0.0.250", "10.0.0.4"])
def test_a_virtual_address_is_not_the_machines_however_juju_sorts(vip):
    here = machine("10.0.0.33/24", f"{vip}/32")
    assert ask(sorted(["10.0.0.33", vip]), here) == "10.0.0.33"


def test_a_virtual_address_with_the_networks_prefix_is_marked():
    here = machine("10.0.0.33/24", added=["10.0.0.250/24"])
    assert ask(["10.0.0.250", "10.0.0.33"], here) == "10.0.0.33"


def test_what_has_been_told_stays_as_long_as_the_machine_has_it():
    here = machine("10.0.0.33/24", "10.0.0.44/24")
    assert ask(["10.0.0.33", "10.0.0.44"], here, published="10.0.0.44") == "10.0.0.44"
    assert ask(["10.0.0.33", "10.0.0.44"], here) == "10.0.0.44"
    assert here.argv == []
    assert ask(["10.0.0.33", "10.0.0.55"], here, published="10.0.0.44") == "10.0.0.33"


def test_the_second_look_changes_nothing():
    here = machine("10.0.0.33/24", "10.0.0.4/32")
    assert ask(["10.0.0.33"], here) == "10.0.0.33"
    here.log.clear()
    assert ask(["10.0.0.33", "10.0.0.4"], here) == ask(["10.0.0.4", "10.0.0.33"], here) == "10.0.0.33"
    assert (here.log, here.argv) == ([], [])


def test_of_addresses_that_are_all_single_the_leased_one_counts():
    here = MemoryMachine()
    here.held = [
        InterfaceAddress(address="10.0.0.1", prefix=32),
        InterfaceAddress(address="10.0.0.9", prefix=32, is_leased=True),
    ]
    assert ask(["10.0.0.1", "10.0.0.9"], here) == "10.0.0.9"


def test_of_addresses_that_are_all_single_the_first_counts():
    here = machine("10.0.0.33/32", "10.0.0.250/32")
    assert ask(["10.0.0.250", "10.0.0.33"], here) == "10.0.0.33"


def test_ipv6():
    here = machine("fd00::33/64", "fd00::1/128", added=["fd00::2/64"])
    assert ask(["fd00::1", "fd00::2", "fd00::33"], here) == "fd00::33"


def test_an_address_that_the_kernel_does_not_know_is_better_than_none():
    assert ask(["10.0.0.33", "10.0.0.34"], machine()) == "10.0.0.33"


def test_a_relation_that_is_gone_already_takes_no_address_away(monkeypatch):
    """In its last hook Juju says of every binding: relation not found."""
    here = machine("10.0.0.33/24")
    assert ask(["10.0.0.33"], here) == "10.0.0.33"

    def gone(*_args, **_keywords):
        raise ops.RelationNotFoundError

    monkeypatch.setattr(ops.Binding, "_network_get", gone)
    assert ask(["10.0.0.33"], here) == "10.0.0.33"
    assert ask(["10.0.0.33"], machine()) is None


# What others are told


def ingress(listed, ingress, *own):
    return ask(listed, machine(*own), lambda asked: asked.find("internal").ingress, ingress=ingress)


def test_others_reach_the_own_address_however_juju_sorts():
    both = ["10.0.0.250", "10.0.0.33"]
    assert ingress(both, both, "10.0.0.33/24", "10.0.0.250/32") == "10.0.0.33"


def test_others_reach_the_address_outside_of_a_translation():
    assert ingress(["10.0.0.33"], ["203.0.113.7"]) == "203.0.113.7"


def test_others_do_not_reach_a_unit_at_what_is_somebody_elses():
    listed = ["10.0.0.250", "10.0.0.33"]
    assert ingress(listed, ["10.0.0.250"], "10.0.0.33/24", "10.0.0.250/32") == "10.0.0.33"


@pytest.mark.parametrize(
    ("told", "seen"),
    [("10.0.0.33", "10.0.0.33"), ("10.0.0.250", "10.0.0.33"), ("198.51.100.9", "198.51.100.9")],
)
def test_a_relation_may_see_the_unit_elsewhere(told, seen):
    """As one with another model does: Juju says where in the unit's data of the relation."""
    listed = [testing.Address(one) for one in ("10.0.0.250", "10.0.0.33")]
    faces = [testing.BindAddress(listed, interface_name="eth7")]
    networks = {
        testing.Network("internal", bind_addresses=faces, ingress_addresses=["10.0.0.250", "10.0.0.33"]),
        testing.Network("gateway", bind_addresses=faces, ingress_addresses=[told]),
    }
    gateway = testing.Relation("gateway", local_unit_data={"ingress-address": told})
    context = testing.Context(Probe, meta=META)
    state = testing.State(networks=networks, relations={gateway})
    with context(context.on.update_status(), state) as manager:
        model = manager.charm.model
        asked = Addresses(model, machine("10.0.0.33/24", "10.0.0.250/32"), "probe")
        place = asked.find("internal", relation=model.get_relation("gateway"))
        assert place
        assert (place.address, place.ingress) == ("10.0.0.33", seen)
        again = asked.find("internal")
        assert again
        assert again.ingress == "10.0.0.33"


def test_a_relation_that_is_about_to_end_sees_nothing_special():
    gateway = testing.Relation("gateway", local_unit_data={"ingress-address": "198.51.100.9"})
    context = testing.Context(Probe, meta=META)
    faces = [testing.BindAddress([testing.Address("10.0.0.33")], interface_name="eth7")]
    networks = {testing.Network("internal", bind_addresses=faces, ingress_addresses=["10.0.0.33"])}
    state = testing.State(networks=networks, relations={gateway})
    with context(context.on.relation_broken(gateway), state) as manager:
        model = manager.charm.model
        place = Addresses(model, machine(), "probe").find("internal", relation=model.get_relation("gateway"))
        assert place
        assert place.ingress == "10.0.0.33"


def test_what_an_earlier_version_recorded_is_read(monkeypatch):
    here = machine("10.0.0.33/24")
    record = {"internal": {"address": "10.0.0.33", "interface": "eth7", "subnets": []}}
    here.write("/var/lib/openinfra/probe/addresses.json", json.dumps(record))

    def gone(*_args, **_keywords):
        raise ops.RelationNotFoundError

    monkeypatch.setattr(ops.Binding, "_network_get", gone)
    assert ask(["10.0.0.33"], here, lambda asked: asked.find("internal").ingress) == "10.0.0.33"


# The kernel

IP = [
    {"ifindex": 1, "ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
    {
        "ifname": "eth0",
        "addr_info": [
            {"family": "inet", "local": "10.0.0.33", "prefixlen": 24, "scope": "global", "dynamic": True},
            {"family": "inet", "local": "10.0.0.250", "prefixlen": 32, "scope": "global"},
            {"family": "inet", "local": "10.0.0.7", "prefixlen": 24, "scope": "global", "secondary": True},
            {"family": "inet6", "local": "fd00::2", "prefixlen": 128, "nodad": True, "deprecated": True},
        ],
    },
    {"ifname": "sit0"},
    {},
]


def test_the_kernels_answer(monkeypatch):
    asked = []

    def run(_self, *argv, **_keywords):
        asked.append(argv)
        return Result(code=0, stdout=json.dumps(IP), stderr="")

    monkeypatch.setattr(Machine, "run", run)
    assert Machine().addresses()[1:] == (
        InterfaceAddress(address="10.0.0.33", prefix=24, is_leased=True),
        InterfaceAddress(address="10.0.0.250", prefix=32),
        InterfaceAddress(address="10.0.0.7", prefix=24, is_added=True),
        InterfaceAddress(address="fd00::2", prefix=128, is_added=True),
    )
    assert asked == [("ip", "-json", "address", "show")]


def test_this_machine_has_its_loopback():
    assert InterfaceAddress(address="127.0.0.1", prefix=8) in Machine().addresses()
