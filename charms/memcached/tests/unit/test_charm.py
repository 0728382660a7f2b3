"""The charm between Juju and the machine: the ring, who has the lock, the status, the actions."""

import json

import asked
import ops
import pytest
from cryptography import x509
from ops.testing import ActionFailed

from openinfra_charm.machine import Result, use

SERVER = {"host": "10.0.0.10", "port": "11211", "udp-port": "0"}


def restarts(model):
    return [machine.log.count("restart memcached.service") for machine in model.machines.values()]


def test_every_unit_tells_clients_where_it_is(deploy):
    model = deploy(3)
    assert model.told == {number: {**SERVER, "host": f"10.0.0.{number + 10}"} for number in range(3)}
    assert all(isinstance(status, ops.ActiveStatus) for status in model.statuses.values())
    assert set(model.versions.values()) == {"1.6.38"}


def test_clients_are_told_where_a_translation_leads_here(deploy):
    model = deploy(1)
    model.translated = {0: "203.0.113.10"}
    model.secure()
    model.answer()
    assert model.told[0]["host"] == "203.0.113.10"
    (asked,) = json.loads(model.asked[0]["certificate_signing_requests"])
    request = x509.load_pem_x509_csr(asked["certificate_signing_request"].encode())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"10.0.0.10", "203.0.113.10"}


def test_a_second_reconcile_changes_nothing(deploy):
    model = deploy(3)
    before = (dict(model.unit_data[1]), dict(model.app_data), dict(model.told[1]))
    model.machines[1].log.clear()
    model.run(1, model.on.config_changed())
    model.run(1, model.on.update_status())
    assert model.machines[1].log == []
    assert (model.unit_data[1], model.app_data, model.told[1]) == before


def test_a_hook_with_nothing_new_runs_few_programs(deploy):
    model = deploy(2)
    model.secure()
    model.answer()
    with asked.programs(model.machines[1]) as ran:
        model.run(1, model.on.config_changed())
    assert sorted(ran) == ["dpkg-query", "systemctl"]


def test_another_option_restarts_every_unit_once_in_its_turn(deploy):
    model = deploy(3)
    serving = []
    for machine in model.machines.values():
        restart = machine.restart_services

        def watch(*units, restart=restart):
            restart(*units)
            serving.append(sum(machine.cache.serves for machine in model.machines.values()))

        machine.restart_services = watch
        machine.start_seconds = 2
    model.configure(memory_limit=64)
    assert restarts(model) == [1, 1, 1]
    assert serving == [2, 2, 2]
    assert [machine.cache.options["-m"] for machine in model.machines.values()] == ["64"] * 3
    assert all(isinstance(status, ops.ActiveStatus) for status in model.statuses.values())
    assert json.loads(model.app_data.get("turn-holder", "null")) is None


def test_a_unit_waits_while_another_one_does_not_answer(deploy):
    model = deploy(2)
    model.machines[0].start_seconds = 100
    model.configure(threads=2)
    assert restarts(model) == [1, 0]
    assert model.statuses[0] == ops.WaitingStatus("for memcached to answer after its restart")
    assert model.statuses[1] == ops.MaintenanceStatus(
        "waiting to restart: one unit at a time, memcached/0 is first"
    )
    model.machines[0].sleep(100)
    model.run(0, model.on.update_status())
    assert restarts(model) == [1, 1]
    assert model.statuses[1] == ops.ActiveStatus()


def test_a_wrong_option_blocks_and_changes_nothing(deploy):
    model = deploy(1)
    model.machines[0].log.clear()
    model.configure(threads=0)
    assert model.statuses[0] == ops.BlockedStatus(
        "config threads=0 cannot be used: expected a whole number, 1 to 64"
    )
    assert model.machines[0].log == []


def test_another_application_on_the_machine_blocks(deploy):
    first = deploy(1)
    machine = first.machines[0]
    machine.log.clear()
    second = deploy(0, application="sessions")
    second.machines, second.unit_data = {0: machine}, {0: {}}
    second.run(0, second.on.config_changed())
    assert second.statuses[0] == ops.BlockedStatus(
        "memcached/0 runs memcached on this machine already: remove one of the two"
    )
    with pytest.raises(
        ActionFailed, match="memcached/0 runs memcached on this machine: juju run memcached/0 flush-all"
    ):
        second.action(0, "flush-all", confirm=True)
    second.run(0, second.on.stop())
    second.run(0, second.on.remove(), formed=False)
    assert machine.log == []
    assert second.told == {0: {}}
    first.run(0, first.on.remove(), formed=False)
    second.run(0, second.on.config_changed())
    assert second.statuses[0] == ops.ActiveStatus()


def test_another_address_is_told_and_listened_on(deploy):
    model = deploy(1)
    machine = model.machines[0]
    machine.address = machine.cache.address = "10.0.0.99"
    model.run(0, model.on.config_changed())
    assert model.told[0] == {**SERVER, "host": "10.0.0.99"}
    assert machine.cache.options["-l"] == "10.0.0.99"


def test_a_daemon_that_died_is_started_by_the_next_hook(deploy):
    model = deploy(1)
    model.machines[0].services["memcached.service"] = "failed"
    model.run(0, model.on.update_status())
    assert model.machines[0].services["memcached.service"] == "active"


def test_a_daemon_that_cannot_run_is_said(deploy):
    model = deploy(1)
    machine = model.machines[0]
    machine.cache.address = "10.9.9.9"
    machine.services["memcached.service"] = "failed"
    model.run(0, model.on.update_status())
    assert model.statuses[0] == ops.BlockedStatus(
        "memcached does not run; see juju ssh memcached/0 journalctl -u memcached.service"
    )


def test_a_hook_that_is_about_nothing_leaves_what_is_waited_for(deploy):
    model = deploy(0)
    model.secure()
    model.add_unit()
    model.add_unit()
    model.run(0, lambda peers: model.on.relation_joined(peers, remote_unit=1))
    assert model.statuses[0] == ops.WaitingStatus("for a certificate from ca")


def test_a_daemon_that_died_is_told_by_every_hook(deploy):
    model = deploy(2)
    model.machines[0].services["memcached.service"] = "failed"
    model.run(0, lambda peers: model.on.relation_joined(peers, remote_unit=1))
    assert model.statuses[0] == ops.BlockedStatus(
        "memcached does not run; see juju ssh memcached/0 journalctl -u memcached.service"
    )


def serial(model, number):
    return [line for line in model.machines[number].cache.certificate.splitlines() if line][1]


def test_with_a_ca_units_take_tls_one_after_another(deploy):
    model = deploy(2)
    model.secure()
    assert all(status.message == "for a certificate from ca" for status in model.statuses.values())
    assert restarts(model) == [0, 0]
    assert model.told[0] == {**SERVER, "host": "10.0.0.10"}
    model.answer()
    assert restarts(model) == [1, 1]
    assert all(machine.cache.serves and machine.cache.certificate for machine in model.machines.values())
    ca = f"{model.ca.pem}\n"
    assert model.told == {
        number: {**SERVER, "host": f"10.0.0.{number + 10}", "tls-ca": ca} for number in (0, 1)
    }
    assert all(status == ops.ActiveStatus() for status in model.statuses.values())
    assert all(json.loads(said["acknowledged"])["serves"] for said in model.asked.values())


def test_a_client_is_not_told_of_tls_before_it_is_there(deploy):
    model = deploy(2)
    model.machines[0].start_seconds = 100
    model.secure()
    model.answer()
    assert restarts(model) == [1, 0]
    assert "tls-ca" in model.told[0]
    assert "tls-ca" not in model.told[1]


def test_a_second_reconcile_with_tls_changes_nothing(deploy):
    model = deploy(1)
    model.secure()
    model.answer()
    model.machines[0].log.clear()
    before = (dict(model.told[0]), model.asked)
    model.run(0, model.on.config_changed())
    model.run(0, model.on.update_status())
    assert model.machines[0].log == []
    assert (model.told[0], model.asked) == before


def test_a_renewed_certificate_is_served_and_no_item_is_lost(deploy):
    model = deploy(1)
    model.secure()
    model.answer()
    cache = model.machines[0].cache
    cache.items, before = 7, serial(model, 0)
    model.machines[0].clock += 21 * 86400
    model.run(0, model.on.update_status())
    model.answer()
    assert serial(model, 0) != before
    assert cache.items == 7
    assert restarts(model) == [1]


def test_a_certificate_that_has_expired_in_the_meantime_is_replaced(deploy):
    model = deploy(1)
    model.secure()
    model.answer()
    before = serial(model, 0)
    model.machines[0].clock += 40 * 86400
    model.run(0, model.on.update_status())
    assert model.statuses[0].message.startswith("for ca to renew the certificate, which ends ")
    model.answer()
    assert serial(model, 0) != before
    assert model.statuses[0] == ops.ActiveStatus()


def test_a_daemon_that_does_not_take_its_certificate_is_told(deploy):
    model = deploy(1)
    model.secure()
    model.answer()
    machine = model.machines[0]
    machine.clock += 21 * 86400
    model.run(0, model.on.update_status())
    machine.handlers["/usr/lib/openinfra/memcached-ask"] = lambda argv, _: Result(
        code=1, stdout="Error loading the certificate chain\n", stderr=""
    )
    said = model.asked[0]["acknowledged"]
    model.answer()
    assert model.statuses[0] == ops.WaitingStatus(
        "for memcached to take its new certificate: Error loading the certificate chain"
    )
    assert model.asked[0]["acknowledged"] == said
    machine.bring(machine.cache)
    model.run(0, model.on.update_status())
    assert model.statuses[0] == ops.ActiveStatus()


def test_a_new_unit_with_a_ca_never_speaks_plain_text(deploy):
    model = deploy(0)
    model.secure()
    model.add_unit()
    assert model.machines[0].services == {}
    assert model.told == {0: {}}
    model.answer()
    assert model.machines[0].cache.certificate
    assert restarts(model) == [0]


def test_without_its_ca_it_is_as_before(deploy):
    model = deploy(2)
    model.secure()
    model.answer()
    model.release()
    assert restarts(model) == [2, 2]
    assert not any(machine.cache.certificate for machine in model.machines.values())
    assert model.told[0] == {**SERVER, "host": "10.0.0.10"}
    assert not [path for path in model.machines[0].nodes if path.endswith(".pem")]
    assert all(status == ops.ActiveStatus() for status in model.statuses.values())


def test_stats(deploy):
    model = deploy(1)
    model.machines[0].cache.items = 7
    results = model.action(0, "stats")
    assert results["summary"] == "7 items in 0 of 512 MiB, 2 connections, 75 % of 4 reads found theirs"
    assert results["result"]["curr_items"] == "7"


def test_stats_of_a_daemon_that_does_not_answer(deploy):
    model = deploy(1)
    model.machines[0].services["memcached.service"] = "failed"
    with pytest.raises(ActionFailed, match=r"memcached does not answer: .*; see the status of memcached/0"):
        model.action(0, "stats")


def test_flush_all_asks_first(deploy):
    model = deploy(1)
    model.machines[0].cache.items = 7
    model.machines[0].log.clear()
    with pytest.raises(ActionFailed, match="would be lost; confirm with confirm=true"):
        model.action(0, "flush-all", confirm=False)
    assert model.machines[0].cache.items == 7
    assert model.machines[0].log == []
    assert model.action(0, "flush-all", confirm=True) == {"summary": "all items of memcached/0 are deleted"}
    assert model.machines[0].cache.items == 0


def test_removal_leaves_nothing(deploy):
    model = deploy(1)
    model.run(0, model.on.stop())
    assert model.statuses[0] == ops.MaintenanceStatus("leaving")
    model.run(0, model.on.remove(), formed=False)
    machine = model.machines[0]
    assert machine.packages == {}
    assert [path for path in machine.nodes if "openinfra" in path or "memcached" in path] == []


def test_the_daemon_is_back_after_a_power_loss_without_a_hook(deploy):
    model = deploy(1)
    machine = model.machines[0]
    with use(machine):
        machine.power_off()
        machine.power_on()
    assert machine.cache.serves
    assert machine.cache.options["-l"] == "10.0.0.10"
    assert machine.torn == []
