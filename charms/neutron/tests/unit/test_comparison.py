"""What is compared of OVN's databases beside what Neutron compares itself, with stand-ins for Neutron's code."""

import importlib
import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FILES = Path(__file__).parents[2] / "src/files"
FLOATING = {"neutron:fip_id": "f", "neutron:fip_external_mac": "fa:16:3e:00:00:01"}


class Command:
    """One that gives rows, or is remembered when it is run."""

    def __init__(self, run):
        self._run = run

    def execute(self, *, check_error):
        assert check_error
        return self._run()


class Database:
    """A database of OVN's, its rows by table. `changed` is what was done to it."""

    def __init__(self, **tables):
        self.tables = tables
        self.changed = []

    def db_list_rows(self, table):
        return Command(lambda: self.tables.get(table, []))

    def db_find_rows(self, table, condition):
        column, _, value = condition
        return Command(lambda: [row for row in self.tables.get(table, []) if getattr(row, column) == value])

    def __getattr__(self, name):
        return lambda *words, **options: Command(lambda: self.changed.append((name, words, options)))


@pytest.fixture
def compared(monkeypatch):
    """Return a function that compares such databases, and what Neutron was asked."""
    asked = []

    def load(northbound, southbound, *, distributed=False, says=(), repair=False):
        module = "neutron.plugins.ml2.drivers.ovn.mech_driver.ovsdb"

        def main():
            asked.append(list(sys.argv))
            for words in says:
                logging.getLogger(f"{module}.ovn_db_sync").warning("%s", words)

        driver = SimpleNamespace(obj=SimpleNamespace(nb_ovn=northbound, sb_ovn=southbound))
        plugin = SimpleNamespace(mechanism_manager=SimpleNamespace(mech_drivers={"ovn": driver}))
        constants = SimpleNamespace(
            OVN_FIP_EXT_MAC_KEY="neutron:fip_external_mac", OVN_FIP_EXT_ID_KEY="neutron:fip_id"
        )
        parts = {
            "neutron.cmd.ovn": SimpleNamespace(neutron_ovn_db_sync_util=SimpleNamespace(main=main)),
            "neutron.common.ovn": SimpleNamespace(constants=constants),
            "neutron.conf.plugins.ml2.drivers.ovn": SimpleNamespace(
                ovn_conf=SimpleNamespace(is_ovn_distributed_floating_ip=lambda: distributed)
            ),
            module: SimpleNamespace(ovn_db_sync=SimpleNamespace(__name__=f"{module}.ovn_db_sync")),
            "neutron_lib.plugins": SimpleNamespace(directory=SimpleNamespace(get_plugin=lambda: plugin)),
        }
        for name in {
            ".".join(one.split(".")[:n]) for one in parts for n in range(1, one.count(".") + 1)
        } - parts.keys():
            monkeypatch.setitem(sys.modules, name, SimpleNamespace())
        for name, part in parts.items():
            monkeypatch.setitem(sys.modules, name, part)
        monkeypatch.setattr(sys, "argv", [])
        monkeypatch.syspath_prepend(str(FILES))
        monkeypatch.delitem(sys.modules, "openinfra_ovn", raising=False)
        return importlib.import_module("openinfra_ovn").check("/etc/neutron/neutron.conf", repair=repair)

    return load, asked


def nat(**columns):
    usual = {
        "uuid": "n1",
        "external_ip": "10.0.0.9",
        "external_ids": FLOATING,
        "logical_port": ["p1"],
        "external_mac": [],
    }
    return SimpleNamespace(**{**usual, **columns})


def port(*, up):
    return SimpleNamespace(name="p1", up=[up])


def test_what_neutron_says_is_what_differs(compared):
    load, asked = compared
    assert load(
        Database(), Database(), says=["Router found in Neutron but not in OVN NB DB, router id=1"]
    ) == ["Router found in Neutron but not in OVN NB DB, router id=1"]
    assert asked[0][1:] == ["--config-file", "/etc/neutron/neutron.conf", "--ovn-neutron_sync_mode", "log"]
    load(Database(), Database(), repair=True)
    assert asked[1][-1] == "repair"


@pytest.mark.parametrize(
    ("distributed", "up", "mac", "words"),
    [
        (True, True, [], "translated at the gateway and not at its guest"),
        (True, False, [], ""),
        (True, True, ["fa:16:3e:00:00:01"], ""),
        (False, True, ["fa:16:3e:00:00:01"], "translated at its guest and not at the gateway"),
        (False, True, [], ""),
    ],
)
def test_a_floating_ip_is_translated_where_the_option_says(compared, distributed, up, mac, words):
    load, _ = compared
    northbound = Database(NAT=[nat(external_mac=mac)], Logical_Switch_Port=[port(up=up)])
    found = load(northbound, Database(), distributed=distributed)
    assert [words in one for one in found] == ([True] if words else [])
    assert northbound.changed == []
    load(northbound, Database(), distributed=distributed, repair=True)
    assert len(northbound.changed) == len(found)


def test_addresses_of_routers_are_no_floating_ips(compared):
    load, _ = compared
    rows = [nat(external_ids={}, logical_port=[]), nat(logical_port=[])]
    assert load(Database(NAT=rows, Logical_Switch_Port=[port(up=True)]), Database(), distributed=True) == []


def test_what_is_left_of_a_chassis_that_is_gone_is_removed_by_a_repair_only(compared):
    load, _ = compared
    group = SimpleNamespace(
        name="g1", ha_chassis=[SimpleNamespace(chassis_name=one) for one in ("there", "gone")]
    )
    northbound = Database(HA_Chassis_Group=[group])
    southbound = Database(
        Chassis=[SimpleNamespace(name="there")],
        Chassis_Private=[SimpleNamespace(name=one, uuid=f"u-{one}") for one in ("there", "gone")],
    )
    assert load(northbound, southbound) == [
        "chassis gone is gone, but counts as alive", "chassis gone is gone, but has its place in g1",
    ]  # fmt: skip
    assert northbound.changed == southbound.changed == []
    load(northbound, southbound, repair=True)
    assert southbound.changed == [("db_destroy", ("Chassis_Private", "u-gone"), {})]
    assert northbound.changed == [("ha_chassis_group_del_chassis", ("g1", "gone"), {"if_exists": True})]
    assert json.dumps(load(northbound, southbound))
