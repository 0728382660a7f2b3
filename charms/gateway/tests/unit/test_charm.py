"""The charm between Juju and the machine: routes, the virtual address, what requirers are told, the actions."""

import json

import asked
import ops
import pytest
from ops.testing import ActionFailed

from openinfra_charm.machine import use
from requirers import ours, units

VIP = "10.0.0.100"
PUBLISHED = {"port": "4000", "tls_terminate": "false"}


def is_active(model):
    return all(isinstance(status, ops.ActiveStatus) for status in model.statuses.values())


def test_a_route_is_served_by_every_unit_and_told_by_the_leader(deploy):
    model = deploy(2)
    relation = model.relate_client("keystone", ours(5000), units(50))
    assert [gateway.ports for gateway in model.gateways] == [{5000}, {5000}]
    assert model.gateways[1].reached("keystone-5000") == ["keystone-0", "keystone-1", "keystone-2"]
    assert model.endpoints(relation) == ["10.0.0.10:5000", "10.0.0.11:5000"]
    assert {port.port for port in model.ports[1]} == {5000}
    assert is_active(model)


def test_clients_are_sent_to_where_a_translation_leads_here(deploy):
    model = deploy(2)
    model.translated = {1: "203.0.113.11"}
    model.run(1, model.on.config_changed())
    relation = model.relate_client("keystone", ours(5000), units(50))
    assert model.endpoints(relation) == ["10.0.0.10:5000", "203.0.113.11:5000"]
    assert model.gateways[1].reached("keystone-5000") == ["keystone-0", "keystone-1", "keystone-2"]


def test_the_version_is_told(deploy):
    model = deploy(1)
    model.run(0, model.on.update_status())
    assert model.versions[0] == "3.0.11"


def test_with_a_virtual_address_it_is_told_and_one_unit_has_it(deploy):
    model = deploy(3, vip=VIP)
    relation = model.relate_client("keystone", ours(5000), units(50))
    assert model.endpoints(relation) == [f"{VIP}:5000"]
    assert [sorted(gateway.vips) for gateway in model.gateways] == [[f"{VIP}/32"], [], []]
    assert model.gateways[2].peers == {"10.0.0.10", "10.0.0.11"}
    assert is_active(model)


def test_the_virtual_address_moves_when_haproxy_does_not_answer_and_stays(deploy):
    model = deploy(3, vip=VIP)
    first = model.machines[0]
    first.services["haproxy.service"] = "failed"
    first.sleep(3)
    assert [bool(gateway.vips) for gateway in model.gateways] == [False, True, False]
    model.run(0, model.on.update_status())
    first.sleep(3)
    assert [bool(gateway.vips) for gateway in model.gateways] == [False, True, False]


def test_a_unit_shares_the_virtual_address_only_when_the_others_listen_to_it(deploy):
    model = deploy(1, vip=VIP)
    model.held = {0}
    model.add_unit()
    assert model.statuses[1] == ops.WaitingStatus(
        "for the units that share the virtual address to listen to this one"
    )
    assert [bool(gateway.vips) for gateway in model.gateways] == [True, False]
    model.held = set()
    model.run(0, lambda peers: model.on.relation_changed(peers, remote_unit=1))
    assert is_active(model)
    assert [bool(gateway.vips) for gateway in model.gateways] == [True, False]
    assert model.gateways[0].hears(model.gateways[1])


def test_a_public_host_name_is_told(deploy):
    model = deploy(1, vip=VIP, public_hostname="cloud.example.com")
    assert model.endpoints(model.relate_client("keystone", ours(5000), units(50))) == [
        "cloud.example.com:5000"
    ]


def test_routes_with_a_server_name_share_a_port(deploy):
    model = deploy(1)
    one = model.relate_client("a", {**PUBLISHED, "sni": '"a.example.com"'}, units(50))
    two = model.relate_client("b", {**PUBLISHED, "sni": '"b.example.com"'}, units(60))
    assert model.endpoints(one) == ["a.example.com:4000"]
    assert model.endpoints(two) == ["b.example.com:4000"]
    assert is_active(model)


def test_two_that_want_the_same_port_are_named_and_the_first_keeps_it(deploy):
    model = deploy(1)
    one = model.relate_client("keystone", ours(5000), units(50))
    two = model.relate_client("web", ours(5000), units(60))
    assert model.statuses[0] == ops.BlockedStatus(
        "keystone and web want port 5000, which keystone keeps: give one another port or an sni, "
        "or remove one of the relations"
    )
    assert (model.endpoints(one), model.endpoints(two)) == (["10.0.0.10:5000"], [])
    assert [name for name, _ in model.gateways[0].servers("keystone-5000")] == [
        "keystone-0", "keystone-1", "keystone-2",
    ]  # fmt: skip
    model.unrelate(one)
    assert model.endpoints(two) == ["10.0.0.10:5000"]
    assert is_active(model)


def test_who_wants_tls_ended_is_told_that_it_is_not(deploy):
    model = deploy(1)
    relation = model.relate_client("web", {"port": "4000"}, units(50))
    assert isinstance(model.statuses[0], ops.BlockedStatus)
    assert "tls_terminate=false" in model.statuses[0].message
    assert model.endpoints(relation) == []
    assert model.gateways[0].ports == set()


def test_what_is_not_done_of_a_published_route_is_said(deploy):
    model = deploy(1)
    model.relate_client("web", {**PUBLISHED, "bandwidth_limit": '{"upload": 5}'}, units(50))
    assert model.statuses[0] == ops.ActiveStatus(
        "web asks for bandwidth_limit, not done; no metrics: integrate gateway:certificates"
    )


def test_a_route_without_a_healthy_backend_is_said(deploy):
    model = deploy(1)
    model.relate_client("keystone", ours(5000), units(50))
    model.network.silent = {"10.0.0.50", "10.0.0.51"}
    model.update_status()
    assert is_active(model)
    model.network.silent.add("10.0.0.52")
    model.update_status()
    assert model.statuses[0] == ops.WaitingStatus(
        "for a healthy backend of keystone-5000: keystone-0: L4TOUT; see show-backends"
    )
    model.network.silent.clear()
    model.update_status()
    assert is_active(model)


def test_a_backend_that_has_just_begun_is_waited_for_in_silence(deploy):
    model = deploy(1)
    model.network.since = 20
    model.relate_client("keystone", ours(5000), units(50))
    model.network.silent = {"10.0.0.50", "10.0.0.51", "10.0.0.52"}
    model.update_status()
    assert is_active(model)


def test_the_machine_that_holds_the_virtual_address_is_itself_still(deploy):
    """Juju lists it first where it sorts first as text."""
    model = deploy(3, vip="10.0.0.1")
    relation = model.relate_client("keystone", ours(5000), units(50))
    for _ in range(2):
        model.every()
    assert [json.loads(model.unit_data[number]["public_address"]) for number in range(3)] == [
        "10.0.0.10", "10.0.0.11", "10.0.0.12",
    ]  # fmt: skip
    assert model.endpoints(relation) == ["10.0.0.1:5000"]
    assert is_active(model)


def test_a_route_that_cannot_be_holds_up_no_other(deploy):
    model = deploy(1)
    model.relate_client("keystone", ours(5000), units(50))
    model.relate_client("web", {"port": '"many"'}, units(60))
    assert model.statuses[0].message.startswith("web asks for a route that cannot be: port='many'")
    assert model.gateways[0].ports == {5000}


def test_a_second_reconcile_changes_nothing(deploy):
    model = deploy(3, vip=VIP)
    model.relate_client("keystone", ours(5000), units(50))
    model.log()
    before = (dict(model.unit_data[1]), dict(model.app_data), dict(model.local))
    for number in range(3):
        model.run(number, model.on.config_changed())
        model.run(number, model.on.update_status())
    assert model.log() == []
    assert (model.unit_data[1], model.app_data, model.local) == before


def test_a_hook_with_nothing_new_runs_few_programs(deploy):
    model = deploy(2, vip=VIP)
    model.relate_client("keystone", ours(5000), units(50))
    with asked.programs(model.machines[1]) as ran:
        model.run(1, model.on.config_changed())
    assert sorted(ran) == ["dpkg-query", "systemctl"]


def test_a_new_route_is_a_reload_and_no_restart(deploy):
    model = deploy(1, vip=VIP)
    model.relate_client("keystone", ours(5000), units(50))
    model.log()
    model.relate_client("rgw", ours(7480), units(60))
    changes = model.log()
    assert "machine-0: reload haproxy.service" in changes
    assert [change for change in changes if "restart" in change or "keepalived" in change] == []
    assert model.gateways[0].ports == {5000, 7480}


def test_an_invalid_configuration_never_replaces_a_valid_one(deploy):
    model = deploy(1)
    model.relate_client("keystone", ours(5000), units(50))
    machine = model.machines[0]
    before = machine.read("/etc/haproxy/haproxy.cfg")
    lines = before.splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "balance" in line)
    machine.broken["haproxy"] = (
        f"[NOTICE]   (9) : haproxy version is 3.0.11\n[ALERT]    (9) : config : parsing [/x.cfg:{number}] : no such thing\n"
        "[ALERT]    (9) : config : Fatal errors found in configuration.\n"
    )
    model.configure(session_timeout=70)
    assert isinstance(model.statuses[0], ops.BlockedStatus)
    assert "backend keystone-5000: " in model.statuses[0].message
    assert "no such thing" in model.statuses[0].message
    assert machine.read("/etc/haproxy/haproxy.cfg") == before
    assert model.gateways[0].ports == {5000}
    del machine.broken["haproxy"]
    model.every()
    assert is_active(model)


def test_a_port_that_is_taken_is_said_and_the_others_are_served_on(deploy):
    model = deploy(1)
    model.relate_client("keystone", ours(5000), units(50))
    model.machines[0].taken = {7480, 22}
    rgw = model.relate_client("rgw", ours(7480), units(60))
    ssh = model.relate_client("jump", ours(22), units(70))
    said = "{} asks for port {}, which another program on machine-0 has: have {} ask for another port, or stop that program"
    assert model.statuses[0] == ops.BlockedStatus(said.format("rgw", 7480, "rgw"))
    assert model.gateways[0].ports == {5000}
    assert (model.endpoints(rgw), model.endpoints(ssh)) == ([], [])
    assert {port.port for port in model.ports[0]} == {5000}
    assert model.action(0, "list-routes")["result"]["refused"] == [
        said.format("rgw", 7480, "rgw"), said.format("jump", 22, "jump"),
    ]  # fmt: skip
    web = model.relate_client("web", ours(4000), units(80))
    assert model.endpoints(web) == ["10.0.0.10:4000"]
    assert model.gateways[0].ports == {4000, 5000}
    model.unrelate(ssh)
    model.machines[0].taken = set()
    model.every()
    assert model.gateways[0].ports == {4000, 5000, 7480}
    assert model.endpoints(rgw) == ["10.0.0.10:7480"]
    assert is_active(model)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"vip": "10.9.9.9"},
            "expected an address in a network of the bindings public and internal (10.0.0.0/24) that nobody else has",
        ),
        ({"vip": "10.0.0.10"}, "expected an address of no machine; it is that of this unit"),
        ({"vip": "cloud.example"}, "expected addresses, separated by commas, such as 10.0.0.100"),
        ({"session_timeout": 1}, "expected a whole number, at least 10"),
    ],
)
def test_a_wrong_option_blocks_and_changes_nothing(deploy, options, said):
    model = deploy(1)
    model.relate_client("keystone", ours(5000), units(50))
    model.log()
    model.configure(**options)
    assert isinstance(model.statuses[0], ops.BlockedStatus)
    assert said in model.statuses[0].message
    assert model.log() == []
    assert model.gateways[0].ports == {5000}


def test_another_gateway_on_the_machine_blocks(deploy):
    first = deploy(1)
    second = deploy(0, application="edge")
    second.machines, second.network, second.unit_data = first.machines, first.network, {0: {}}
    first.log()
    second.run(0, second.on.config_changed())
    assert second.statuses[0] == ops.BlockedStatus(
        "gateway/0 is the gateway of this machine already: remove one of the two"
    )
    second.run(0, second.on.stop())
    second.run(0, second.on.remove(), formed=False)
    assert first.log() == []


# Actions


def test_list_routes(deploy):
    model = deploy(2)
    model.relate_client("keystone", ours(5000), units(50, 1))
    model.relate_client("web", {"port": "4000"}, units(60))
    results = model.action(1, "list-routes")
    assert results["summary"] == "1 routes, 1 refused"
    assert results["result"]["holds-vip"] is False
    assert results["result"]["routes"] == [
        {
            "route": "keystone-5000",
            "application": "keystone",
            "endpoints": ["10.0.0.10:5000", "10.0.0.11:5000"],
            "internal-endpoints": ["10.0.0.10:5000", "10.0.0.11:5000"],
            "backends": ["keystone/0 10.0.0.50:15000"],
            "single": False,
            "drained": [],
        }
    ]
    assert "tls_terminate=false" in results["result"]["refused"][0]


def test_show_backends_tells_health_and_why(deploy):
    model = deploy(1)
    model.relate_client("keystone", ours(5000), units(50, 2))
    model.network.silent.add("10.0.0.51")
    results = model.action(0, "show-backends")
    assert results["summary"] == "1 of 2 backends are up; down: keystone-5000/keystone-1"
    assert results["result"][1] == {
        "route": "keystone-5000",
        "server": "keystone-1",
        "status": "DOWN",
        "why": "L4TOUT",
        "seconds": 42,
        "sessions": 0,
        "total": 7,
    }


def test_show_backends_of_a_haproxy_that_does_not_answer(deploy):
    model = deploy(1)
    model.machines[0].services["haproxy.service"] = "failed"
    with pytest.raises(ActionFailed, match=r"HAProxy does not answer: .*; see the status of gateway/0"):
        model.action(0, "show-backends")


def test_a_drained_backend_gets_nothing_at_any_gateway_until_it_is_undone(deploy):
    model = deploy(2)
    model.relate_client("keystone", ours(5000), units(50))
    model.gateways[0].sessions["keystone-5000", "keystone-1"] = 4
    results = model.action(0, "drain-backend", backend="keystone/1")
    assert results["summary"].startswith("keystone/1 gets no new connections")
    for gateway in model.gateways:
        assert gateway.reached("keystone-5000") == ["keystone-0", "keystone-2"]
    assert model.gateways[0].sessions == {("keystone-5000", "keystone-1"): 4}
    assert model.action(1, "list-routes")["result"]["routes"][0]["drained"] == ["keystone/1"]
    model.action(0, "drain-backend", backend="keystone/1", undo=True)
    for gateway in model.gateways:
        assert gateway.reached("keystone-5000") == ["keystone-0", "keystone-1", "keystone-2"]


def test_a_drain_outlasts_a_reload_and_a_power_loss(deploy):
    model = deploy(1)
    model.relate_client("keystone", ours(5000), units(50))
    model.action(0, "drain-backend", backend="keystone/1")
    model.relate_client("rgw", ours(7480), units(60))
    gateway, machine = model.gateways[0], model.machines[0]
    assert gateway.reached("keystone-5000") == ["keystone-0", "keystone-2"]
    with use(machine):
        machine.power_off()
        machine.power_on()
    assert gateway.reached("keystone-5000") == ["keystone-0", "keystone-2"]


def test_sessions_of_a_single_route_move_together(deploy):
    model = deploy(1)
    model.relate_client("mysql", ours(13306, single=True, order=["10.0.0.52", "10.0.0.50"]), units(50))
    gateway = model.gateways[0]
    assert [name for name, _ in gateway.servers("mysql-13306")] == ["mysql-2", "mysql-0", "mysql-1"]
    assert gateway.reached("mysql-13306") == ["mysql-2"]
    gateway.sessions["mysql-13306", "mysql-2"] = 9
    model.action(0, "drain-backend", backend="mysql/2", route="mysql-13306")
    assert gateway.reached("mysql-13306") == ["mysql-0"]
    assert gateway.sessions == {}


@pytest.mark.parametrize(
    ("unit", "params", "said"),
    [
        (1, {"backend": "keystone/0"}, "only the leader can do this: juju run gateway/leader drain-backend"),
        (0, {"backend": "keystone/7"}, "there is no keystone/7; backends are keystone/0, keystone/1"),
        (0, {"backend": "keystone/0", "route": "x"}, "there is no keystone/0 of route x; backends are"),
        (0, {"backend": "keystone/0", "undo": True}, "keystone/0 is not drained; list-routes shows what is"),
    ],
)
def test_a_drain_that_cannot_be_is_refused_and_changes_nothing(deploy, unit, params, said):
    model = deploy(2)
    model.relate_client("keystone", ours(5000), units(50, 2))
    model.log()
    before = dict(model.app_data)
    with pytest.raises(ActionFailed, match=said):
        model.action(unit, "drain-backend", **params)
    assert (model.log(), model.app_data) == ([], before)


def test_the_last_healthy_backend_is_not_drained(deploy):
    model = deploy(1)
    model.relate_client("keystone", ours(5000), units(50, 3))
    model.network.silent.add("10.0.0.52")
    model.action(0, "drain-backend", backend="keystone/1")
    with pytest.raises(ActionFailed, match="keystone/0 is the last healthy backend of keystone-5000"):
        model.action(0, "drain-backend", backend="keystone/0")
    assert json.loads(model.app_data["drained"]) == [["keystone/1", ""]]


def test_list_routes_tells_who_has_the_virtual_address(deploy):
    model = deploy(2, vip=VIP)
    assert [model.action(number, "list-routes")["result"]["holds-vip"] for number in (0, 1)] == [True, False]
    assert model.action(0, "list-routes")["summary"] == "0 routes; gateway/0 has 10.0.0.100"


# Its life


def test_it_serves_again_after_a_power_loss_without_a_hook(deploy):
    model = deploy(3, vip=VIP)
    model.relate_client("keystone", ours(5000), units(50))
    for machine in model.machines.values():
        with use(machine):
            machine.power_off()
    for machine in model.machines.values():
        with use(machine):
            machine.power_on()
    assert [gateway.ports for gateway in model.gateways] == [{5000}] * 3
    assert [bool(gateway.vips) for gateway in model.gateways].count(True) == 1
    assert [machine.torn for machine in model.machines.values()] == [[], [], []]


def test_a_unit_that_goes_leaves_nothing_and_the_others_have_the_address(deploy):
    model = deploy(2, vip=VIP)
    model.relate_client("keystone", ours(5000), units(50))
    model.run(0, model.on.stop())
    assert [bool(gateway.vips) for gateway in model.gateways] == [False, True]
    model.run(0, model.on.remove(), formed=False)
    machine = model.machines[0]
    assert machine.packages == {}
    left = [
        path for path in machine.nodes if any(word in path for word in ("openinfra", "haproxy", "keepalived"))
    ]
    assert left == []


def test_a_unit_that_goes_gives_the_address_away_first_and_serves_until_it_stops(deploy):
    model = deploy(2, vip=VIP)
    relation = model.relate_client("keystone", ours(5000), units(50))
    model.held, model.leaves = {1}, 0
    model.run(0, lambda peers: model.on.relation_departed(peers, remote_unit=1))
    assert [bool(gateway.vips) for gateway in model.gateways] == [False, True]
    model.run(0, model.on.relation_broken, relation=relation)
    assert model.statuses[0] == ops.MaintenanceStatus("leaving")
    assert "vip_peers" not in model.unit_data[0]
    assert model.gateways[0].ports == {5000}
    assert not model.gateways[0].vips


def test_the_package_stays_for_another_application(deploy):
    model = deploy(1)
    machine = model.machines[0]
    machine.write("/etc/openinfra/packages.d/keystone", "haproxy\n")
    model.run(0, model.on.stop())
    model.run(0, model.on.remove(), formed=False)
    assert set(machine.packages) == {"haproxy"}
    assert machine.services["haproxy.service"] == "inactive"


def test_without_a_virtual_address_again_keepalived_stops(deploy):
    model = deploy(2, vip=VIP)
    model.configure(vip="")
    for machine in model.machines.values():
        assert machine.services["keepalived.service"] == "inactive"
        assert not machine.exists("/etc/keepalived/keepalived.conf")
    assert is_active(model)


def test_a_daemon_that_does_not_run_is_said(deploy):
    model = deploy(1)
    machine = model.machines[0]
    machine.taken = {8404}
    machine.services["haproxy.service"] = "failed"
    model.run(0, model.on.update_status())
    assert model.statuses[0] == ops.BlockedStatus(
        "haproxy does not run; see juju ssh gateway/0 journalctl -u haproxy.service"
    )
