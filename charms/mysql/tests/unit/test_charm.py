"""The charm's hooks, on one machine and on three that share a cluster."""

import json
from collections import Counter

import ops
import ops.hookcmds
import pytest
from cryptography import x509
from machines import CERTIFICATES, GATEWAY, MySqlMachine
from ops import testing
from programs import REQUEST, UNIT
from scenario import mocking

from mysql import CONFIG, START
from openinfra_charm import testing as testing_machine
from openinfra_charm.machine import Result
from sql import Sql, UnreachableError


def relation(database="glance", secrets='["username", "password"]', application="glance", **more):
    data = {"database": database, "requested-secrets": secrets} | more
    return testing.Relation(
        "database", remote_app_name=application, remote_app_data={k: v for k, v in data.items() if v}
    )


def cut_power(model, *numbers):
    for number in numbers:
        model.machines[number].power_off()
    for number in numbers:
        model.machines[number].power_on()


def stop_in_order(model, *numbers):
    for number in numbers:
        model.machines[number].run("systemctl", "stop", UNIT)
    for number in numbers:
        model.machines[number].start_services(UNIT)


def pass_time(model, rounds=3):
    for _ in range(rounds):
        for machine in model.machines.values():
            machine.sleep(60)
        model.update_status()


# The first deploy


def test_one_unit_founds_the_cluster(one):
    assert one.galera.primaries() == [["machine-0"]]
    assert one.statuses[0].name == "active"
    assert one.statuses[0].message.startswith("clients write here; all traffic is in clear")


def test_the_cluster_is_named_in_one_hook_and_founded_in_another(deploy):
    model = deploy(0)
    model.machines[0] = machine = MySqlMachine(model.galera, 0)
    model.unit_data[0] = {}
    model.run(0, model.on.leader_elected())
    assert model.statuses[0].message.startswith("for Juju to record the cluster's identity")
    assert set(model.shared) == {"cluster-id", "founder", "members"}
    assert machine.services == {}
    model.run(0, model.on.config_changed())
    assert model.galera.primaries() == [["machine-0"]]


def test_three_units_come_one_by_one_into_one_component(three):
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert three.galera.begun == ["machine-0"]
    assert [unit for unit, _ in three.shared["members"]] == ["mysql/0", "mysql/1", "mysql/2"]
    assert {status.name for status in three.statuses.values()} == {"active"}


def test_what_is_acknowledged_is_on_the_disk(one):
    config = one.machines[0].read(CONFIG)
    for line in ("innodb_flush_log_at_trx_commit = 1", "innodb_doublewrite = ON", "sync_binlog = 1", "bind_address = 10.0.0.10"):  # fmt: skip
        assert f"{line}\n" in config


def test_nothing_that_lasts_asks_for_a_new_cluster(three):
    for machine in three.machines.values():
        assert not machine.exists(REQUEST)
        assert "wsrep_cluster_address = gcomm://10.0.0.10,10.0.0.11,10.0.0.12\n" in machine.read(CONFIG)
        assert "wsrep-new-cluster" not in machine.read(CONFIG)
    lengths = {len(line.partition("name=")[2].split()[0]) for line in three.machines[0].read(START).splitlines() if "cluster-name=" in line}  # fmt: skip
    assert lengths == {32}


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.update_status()
    before = three.snapshot()[0]
    three.log()
    for number in range(3):
        three.run(number, three.on.config_changed())
        three.run(number, three.on.update_status())
    assert three.log() == []
    assert three.snapshot()[0] == before


@pytest.fixture
def asked(monkeypatch):
    """Return how often hooks ask the machine's package manager, systemd and Juju for what."""
    calls = Counter()

    def count(kind, name):
        original = getattr(kind, name)

        def counted(*args, **kwargs):
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(kind, name, counted)

    for kind, names in (
        (MySqlMachine, ("package_versions", "service_states")),
        (mocking._MockModelBackend, ("network_get", "secret_get", "relation_get")),
    ):
        for name in names:
            count(kind, name)
    return calls


@pytest.mark.parametrize("number", [0, 1])
def test_a_hook_about_peers_asks_for_nothing_that_peers_cannot_have_changed(three, number, asked):
    keys = testing.Secret({"access-key": "a", "secret-key": "b"})
    three.secrets |= {keys}
    said = {"bucket": "b", "endpoint": "https://s3.example", "secret-extra": keys.id}
    three.relate(testing.Relation("s3-parameters", remote_app_name="s3", remote_app_data=said))
    three.relate_gateway()
    pass_time(three)
    asked.clear()
    three.machines[number].argv.clear()
    three.run(number, lambda peers: three.on.relation_changed(peers, remote_unit=2))
    assert not asked.keys() & {"package_versions", "service_states", "network_get"}
    # The leader's status says of a bucket whether it can be used.
    assert bool(asked["secret_get"]) == (number == 0)
    assert [line.split()[0] for line in three.machines[number].argv] == ["mariadb"]


def test_the_whole_is_looked_at_regularly_and_each_thing_once(three, asked):
    three.relate(relation())
    three.relate(relation(application="nova", database="nova"))
    asked.clear()
    three.machines[0].argv.clear()
    three.run(0, three.on.config_changed())
    # What is installed, and the version that is published to clients; the health service, since the server answers.
    assert (asked["package_versions"], asked["service_states"], asked["network_get"]) == (2, 1, 2)
    assert [line.split()[0] for line in three.machines[0].argv] == ["mariadb"]


def test_an_option_restarts_servers_one_at_a_time(three):
    before = [machine.starts[UNIT] for machine in three.machines.values()]
    three.configure(max_connections=77)
    pass_time(three)
    assert [machine.starts[UNIT] - count for machine, count in zip(three.machines.values(), before, strict=True)] == [1, 1, 1]  # fmt: skip
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert three.galera.lost() == []


# TLS


def servers(model):
    return [server for name, server in sorted(model.galera.servers.items())]


def test_a_cluster_in_clear_takes_tls_up_with_one_restart_of_each_member(three):
    before = [machine.starts[UNIT] for machine in three.machines.values()]
    client = relation()
    three.relate(client)
    three.relate_certificates()
    pass_time(three, 5)
    assert [m.starts[UNIT] - count for m, count in zip(three.machines.values(), before, strict=True)] == [
        1,
        1,
        1,
    ]
    assert all(server.requires_tls and server.presented for server in servers(three))
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert three.galera.lost() == []
    for machine in three.machines.values():
        config = machine.read(CONFIG)
        assert "socket.dynamic" not in config
        assert "ssl-mode = VERIFY_CA" in config
    assert three.statuses[0] == ops.ActiveStatus("clients write here")


def test_nobody_is_refused_in_clear_before_clients_know_the_ca(three):
    client = relation(secrets='["username", "password", "tls", "tls-ca"]')
    three.relate(client)
    refused = []
    played = three._play

    def play(*args, **kwargs):
        told = "secret-tls" in three.local.get((client.id, "app"), {})
        played(*args, **kwargs)
        refused.extend(server for server in servers(three) if server.requires_tls and not told)

    three._play = play
    three.relate_certificates()
    pass_time(three, 5)
    assert refused == []
    ids = {secret.id: secret for secret in three.secrets}
    content = ids[three.local[client.id, "app"]["secret-tls"]].latest_content
    assert content == {"tls": "True", "tls-ca": three.authority.pem + "\n"}


def test_a_client_without_secrets_for_it_is_told_the_ca_in_plain_data(three):
    client = relation()
    three.relate(client)
    three.relate_certificates()
    pass_time(three, 5)
    data = three.local[client.id, "app"]
    assert (data["tls"], data["tls-ca"]) == ("True", three.authority.pem + "\n")


@pytest.fixture
def secure(deploy):
    """A cluster of three that has spoken TLS from the start."""
    model = deploy(0)
    model.machines[0] = MySqlMachine(model.galera, 0)
    model.unit_data[0] = {}
    model.relate_certificates()
    for number in (0, 1, 2):
        if number:
            model.add_unit()
        model.run(number, model.on.config_changed())
        model.run(number, model.on.config_changed())
    pass_time(model)
    return model


def test_a_new_cluster_never_speaks_in_clear(secure):
    assert [machine.starts[UNIT] for machine in secure.machines.values()] == [1, 1, 1]
    assert all(server.requires_tls and not server.presented.mixed for server in servers(secure))


def test_a_renewed_certificate_is_taken_without_a_restart(secure):
    starts = [machine.starts[UNIT] for machine in secure.machines.values()]
    old = [server.presented.chain for server in servers(secure)]
    for machine in secure.machines.values():
        machine.clock += 21 * 86400
    secure.update_status()
    assert all(server.presented.chain != chain for server, chain in zip(servers(secure), old, strict=True))
    assert [machine.starts[UNIT] for machine in secure.machines.values()] == starts


def test_members_whose_certificates_have_expired_meanwhile_form_the_cluster_again(secure):
    for machine in secure.machines.values():
        machine.power_off()
        machine.clock += 31 * 86400
    for machine in secure.machines.values():
        machine.power_on()
    assert secure.galera.primaries() == []
    pass_time(secure, 6)
    assert secure.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert secure.galera.lost() == []


def test_one_member_whose_certificate_has_expired_meanwhile_comes_back(secure):
    secure.machines[2].power_off()
    for number in (0, 1):
        secure.machines[number].clock += 31 * 86400
        secure.run(number, secure.on.update_status())
    secure.machines[2].clock += 31 * 86400
    secure.machines[2].power_on()
    assert secure.galera.primaries() == [["machine-0", "machine-1"]]
    pass_time(secure, 3)
    assert secure.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]


def test_one_that_gives_a_copy_is_neither_stopped_nor_killed_however_long_it_takes(secure):
    starts = [machine.starts[UNIT] for machine in secure.machines.values()]
    donor = servers(secure)[0]
    old, donor.state = donor.presented.chain, "Donor/Desynced"
    for _ in range(3):
        for machine in secure.machines.values():
            machine.clock += 8 * 86400
        secure.update_status()
        assert secure.statuses[0] == ops.MaintenanceStatus("gives another unit a copy of its data")
    assert [machine.starts[UNIT] for machine in secure.machines.values()] == starts
    assert donor.presented.chain != old
    donor.state = "Synced"
    secure.update_status()
    assert secure.statuses[0].name == "active"


def test_a_unit_without_a_certificate_does_not_join_a_cluster_with_tls(secure):
    secure.authority.sign = lambda *_: "no certificate"
    secure.add_unit()
    assert secure.statuses[3] == ops.WaitingStatus("for a certificate from certificates")
    assert UNIT not in secure.machines[3].services


def test_a_hook_with_nothing_new_changes_nothing_with_tls_either(secure):
    secure.relate(relation())
    pass_time(secure)
    before = secure.snapshot()[0]
    secure.log()
    secure.update_status()
    assert secure.log() == []
    assert secure.snapshot()[0] == before


# The gateway


def test_the_writer_comes_first_and_the_others_as_they_came(three):
    three.relate_gateway()
    asked = {key: json.loads(value) for key, value in three.local[GATEWAY, "app"].items()}
    assert (asked["port"], asked["backend_port"]) == (13306, 3306)
    assert asked["openinfra"]["single"]
    assert asked["openinfra"]["order"] == ["10.0.0.10", "10.0.0.11", "10.0.0.12"]
    assert (
        asked["openinfra"]["health"].items()
        >= {"path": "/", "status": 200, "port": 13307, "tls": False}.items()
    )
    assert [json.loads(three.local[GATEWAY, number]["address"]) for number in range(3)] == asked["openinfra"][
        "order"
    ]
    three.destroy_machine(0)
    three.machines[1].sleep(5)
    three.run(1, three.on.update_status())
    assert json.loads(three.local[GATEWAY, "app"]["openinfra"])["order"] == ["10.0.0.11", "10.0.0.12"]


def test_the_gateway_and_clients_are_told_where_a_translation_leads_here(three):
    three.translated = {0: "203.0.113.10"}
    client = relation()
    three.relate(client)
    three.run(0, three.on.config_changed())
    assert three.local[client.id, "app"]["endpoints"] == "203.0.113.10:3306"
    three.relate_gateway()
    assert json.loads(three.local[GATEWAY, "app"]["openinfra"])["order"] == [
        "203.0.113.10",
        "10.0.0.11",
        "10.0.0.12",
    ]
    assert json.loads(three.local[GATEWAY, 0]["address"]) == "203.0.113.10"


def test_clients_are_sent_to_the_gateway_once_it_serves(three):
    client = relation()
    three.relate(client)
    three.relate_gateway()
    assert three.local[client.id, "app"]["endpoints"] == "10.0.0.10:3306"
    three.relate_gateway(["10.0.0.99:13306"])
    assert three.local[client.id, "app"]["endpoints"] == "10.0.0.99:13306"


def test_certificates_name_the_gateway_too(secure):
    secure.translated = {2: "203.0.113.12"}
    secure.relate_gateway(["10.0.0.99:13306", "db.example:13306"])
    pass_time(secure)
    for number, machine in secure.machines.items():
        (asked,) = json.loads(secure.local[CERTIFICATES, number]["certificate_signing_requests"])
        request = x509.load_pem_x509_csr(asked["certificate_signing_request"].encode())
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert "db.example" in names.get_values_for_type(x509.DNSName)
        addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
        assert addresses == {"10.0.0.99", machine.address, secure.translated.get(number, machine.address)}
    assert json.loads(secure.local[GATEWAY, "app"]["openinfra"])["health"]["tls"]


def test_a_unit_that_has_the_data_goes_on_though_all_before_it_left_before_it_could_say_so(three):
    three.unit_data[2].pop("joined")
    three.leader = 2
    three.held.add(2)
    three.remove_unit(0)
    three.remove_unit(1)
    three.held.clear()
    for _ in range(3):
        three.machines[2].sleep(5)
        three.run(2, three.on.update_status())
    assert three.statuses[2].name == "active"
    assert [unit for unit, _ in three.shared["members"]] == ["mysql/2"]
    assert three.galera.lost() == []


# After a power loss


def test_the_cluster_forms_again_without_a_hook(three):
    for _ in range(5):
        three.galera.write()
    cut_power(three, 0, 1, 2)
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert three.galera.begun == ["machine-0"]
    assert three.galera.lost() == []


def test_one_that_was_alone_serves_again_whether_it_crashed_or_was_stopped(one):
    cut_power(one, 0)
    assert one.galera.primaries() == [["machine-0"]]
    stop_in_order(one, 0)
    assert one.galera.primaries() == [["machine-0"]]


def test_members_that_were_all_stopped_in_good_order_are_begun_from_the_last(three):
    three.galera.write()
    stop_in_order(three, 2, 0, 1)
    assert three.galera.primaries() == []
    pass_time(three, 6)
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert three.galera.begun == ["machine-0", "machine-1"]
    assert three.galera.lost() == []
    assert {status.name for status in three.statuses.values()} == {"active"}


def test_a_joining_member_that_stands_still_is_started_once_more(three):
    starts, server = three.machines[2].starts[UNIT], servers(three)[2]
    server.state = "Joining"
    three.run(2, three.on.update_status())
    assert three.machines[2].starts[UNIT] == starts + 1
    three.run(2, three.on.update_status())
    assert three.statuses[2].name == "active"


def test_a_joining_member_that_works_is_left_to_it_however_long_it_takes(three):
    starts, server = three.machines[2].starts[UNIT], servers(three)[2]
    server.state, server.applies = "Joining", "ALTER TABLE big ADD COLUMN more INT"
    for _ in range(5):
        three.machines[2].sleep(300)
        three.run(2, three.on.update_status())
        assert three.statuses[2] == ops.WaitingStatus("for the database to join the cluster")
    assert three.machines[2].starts[UNIT] == starts
    assert three.unit_data[2].get("position") is None


def test_one_that_is_given_a_copy_says_so_and_reports_no_position(three):
    for number in (0, 1):
        three.machines[number].power_off()
    three.machines[2].write("/var/lib/mysql/sst_in_progress", "")
    for _ in range(5):
        three.machines[2].sleep(300)
        three.run(2, three.on.update_status())
        assert three.statuses[2] == ops.MaintenanceStatus("is given a copy of another unit's data")
    assert three.unit_data[2].get("position") is None


@pytest.mark.parametrize(("seconds", "answers"), [(10, 1), (100, 1), (200, 2)])
def test_a_slow_server_is_given_the_time_to_begin_again(three, seconds, answers):
    for machine in three.machines.values():
        machine.start_seconds = seconds
    stop_in_order(three, 2, 0, 1)
    pass_time(three, 8)
    assert three.galera.begun == ["machine-0", "machine-1"]
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert three.shared["recovery"]["number"] == answers


def test_the_last_one_begins_without_units_that_left_before_the_model_said_so(three):
    for number in (1, 2):
        three.run(number, three.on.stop())
        del three.unit_data[number]
    stop_in_order(three, 0)
    for _ in range(4):
        three.machines[0].sleep(60)
        three.run(0, three.on.update_status())
    assert three.galera.primaries() == [["machine-0"]]
    assert [unit for unit, _ in three.shared["members"]] == ["mysql/0"]
    assert three.statuses[0].name == "active"


def _without_the_last(three):
    """Two members left with the older data, and one that does not come back with the newest."""
    stop_in_order(three, 0)
    three.machines[0].run("systemctl", "stop", UNIT)
    three.machines[1].run("systemctl", "stop", UNIT)
    three.galera.write()
    newest = list(three.galera.acknowledged)
    three.machines[2].power_off()
    del three.unit_data[2]
    three.machines[0].start_services(UNIT)
    three.machines[1].start_services(UNIT)
    return newest


def _pass_time_of_two(three):
    for _ in range(6):
        for number in (0, 1):
            three.machines[number].sleep(60)
            three.run(number, three.on.update_status())


def test_a_member_that_is_missing_is_named_and_waited_for(three):
    _without_the_last(three)
    _pass_time_of_two(three)
    assert three.galera.primaries() == []
    for number in (0, 1):
        assert three.statuses[number].name == "blocked"
        assert "mysql/2 may hold the newest data" in three.statuses[number].message


def test_an_operator_may_give_the_missing_one_up(three):
    _without_the_last(three)
    _pass_time_of_two(three)
    assert "name them in confirm" in three.refuse(0, "force-bootstrap", unit="mysql/0", confirm="mysql/1")
    assert "reported no position" in three.refuse(0, "force-bootstrap", unit="mysql/2", confirm="mysql/2")
    three.action(0, "force-bootstrap", unit="mysql/0", confirm="mysql/2")
    _pass_time_of_two(three)
    assert three.galera.primaries() == [["machine-0", "machine-1"]]
    assert three.shared["left-behind"] == ["mysql/2"]


def test_force_is_refused_where_none_is_needed(three):
    assert "no unit has reported" in three.refuse(0, "force-bootstrap", unit="mysql/0", confirm="mysql/2")


def test_force_is_the_leaders(three):
    assert "only the leader" in three.refuse(1, "force-bootstrap", unit="mysql/0", confirm="mysql/2")


# Fewer and more units


def test_from_three_to_one_and_back(three):
    for _ in range(3):
        three.galera.write()
    three.remove_unit(2)
    three.remove_unit(1)
    pass_time_one = three.machines[0]
    pass_time_one.sleep(5)
    three.run(0, three.on.update_status())
    assert three.galera.primaries() == [["machine-0"]]
    assert "gcomm://10.0.0.10\n" in three.machines[0].read(CONFIG)
    three.add_unit()
    three.add_unit()
    assert three.galera.primaries() == [["machine-0", "machine-3", "machine-4"]]
    assert three.galera.begun == ["machine-0"]
    assert three.galera.lost() == []


def test_the_only_copy_stays_until_another_unit_has_joined(deploy):
    model = deploy(1)
    model.galera.write()
    model.held.add(1)
    model.add_unit()
    with pytest.raises(
        testing.errors.UncaughtCharmError, match=r"none of the units that stay \(mysql/1\).*--force mysql/0"
    ):
        model.remove_unit(0)
    assert model.machines[0].exists("/var/lib/mysql/ibdata1")
    model.held.clear()
    for _ in range(3):
        model.run(1, model.on.update_status())
    model.remove_unit(0)
    pass_time(model)
    assert model.galera.primaries() == [["machine-1"]]
    assert model.galera.lost() == []
    assert [unit for unit, _ in model.shared["members"]] == ["mysql/1"]
    assert model.statuses[1].name == "active"


@pytest.mark.parametrize("state", ["Joining", "Donor/Desynced"])
def test_a_copy_that_is_not_complete_is_none(three, state):
    three.machines[2].power_off()
    servers(three)[1].state = state
    with pytest.raises(testing.errors.UncaughtCharmError, match="UnsafeToRemoveError"):
        three.remove_unit(0)
    servers(three)[1].state = "Synced"
    three.remove_unit(0)
    assert three.galera.lost() == []


def test_a_unit_that_juju_never_started_keeps_the_only_copy_too(deploy):
    model = deploy(1)
    model.held.add(1)
    model.add_unit()
    model.leaving.add(0)
    with pytest.raises(testing.errors.UncaughtCharmError, match="UnsafeToRemoveError"):
        model.run(0, model.on.remove())
    assert model.machines[0].exists("/var/lib/mysql/ibdata1")


def test_a_unit_that_may_read_nothing_of_its_peers_any_more_knows_where_they_are(three):
    def refuse(*_, **__):
        raise ops.hookcmds.Error(returncode=1, cmd=["relation-get"])

    three._relation_get = refuse
    three.remove_unit(0)
    assert three.galera.lost() == []


def test_units_that_leave_too_keep_no_copy_for_those_that_stay(three):
    three.add_unit()
    stop_in_order(three, 3)
    three.machines[3].power_off()
    three.leaving = {1, 2}
    with pytest.raises(testing.errors.UncaughtCharmError, match=r"stay \(mysql/3\)"):
        three.remove_unit(0)


def test_an_application_that_is_removed_takes_its_data_along(three):
    three.leaving = {0, 1, 2}
    for number in (0, 1, 2):
        three.remove_unit(number)
    assert three.galera.holders() == []


def test_one_that_has_no_data_yet_may_leave(deploy):
    model = deploy(1)
    model.held.add(1)
    model.add_unit()
    model.held.clear()
    model.run(1, model.on.install(), formed=False)
    model.machines[0].power_off()
    model.remove_unit(1)


def test_the_others_say_so_when_the_only_copy_was_given_up(deploy):
    model = deploy(1)
    model.held.add(1)
    model.add_unit()
    model.destroy_machine(0)
    model.held.clear()
    pass_time(model)
    assert model.statuses[1].name == "blocked"
    assert "all data were on mysql/0, and are gone with it" in model.statuses[1].message


def test_a_unit_that_is_to_go_hands_the_writes_over(three):
    told = three.action(0, "prepare-removal", dry_run=True)
    assert told["result"] == {"writer": True}
    three.update_status()
    assert three.shared["writer"] == "mysql/0"
    three.action(0, "prepare-removal")
    three.update_status()
    assert three.shared["writer"] == "mysql/1"
    assert "juju remove-unit mysql/0" in three.statuses[0].message
    three.action(0, "prepare-removal", cancel=True)
    three.update_status()
    assert "remove-unit" not in three.statuses[0].message


def test_the_only_copy_is_not_prepared_for_removal(one):
    assert "is the last unit" in one.refuse(0, "prepare-removal")
    one.held.add(1)
    one.add_unit()
    assert "the data would be lost" in one.refuse(0, "prepare-removal", dry_run=True)


def test_a_unit_that_is_removed_leaves_nothing(three):
    three.remove_unit(2)
    left = three.machines[2].nodes
    assert [path for path in left if "openinfra" in path or path.startswith("/var/lib/mysql")] == []


def test_a_machine_that_died_is_no_member_and_no_writer_any_more(three):
    assert three.shared["writer"] == "mysql/0"
    three.destroy_machine(0)
    pass_time_of = three.machines[1]
    pass_time_of.sleep(5)
    three.run(1, three.on.update_status())
    assert [unit for unit, _ in three.shared["members"]] == ["mysql/1", "mysql/2"]
    assert three.shared["writer"] == "mysql/1"
    assert three.galera.lost() == []


# Clients


def test_a_client_gets_a_database_and_a_user_in_a_secret(three):
    client = relation()
    three.relate(client)
    data = three.local[client.id, "app"]
    assert data["endpoints"] == "10.0.0.10:3306"
    assert data["version"] == "11.8.6"
    assert data["database"] == "glance"
    assert not {"username", "password"} & data.keys()
    (secret,) = three.secrets
    assert secret.id == data["secret-user"]
    store = three.galera.servers["machine-2"].load()
    assert store.databases == ["glance"]
    assert secret.tracked_content["password"] in store.users[secret.tracked_content["username"]]
    assert not any(
        secret.tracked_content["password"] in line for m in three.machines.values() for line in m.argv
    )


def test_a_client_is_answered_once(three):
    client = relation()
    three.relate(client)
    writes = len(three.galera.acknowledged)
    three.run(0, three.on.config_changed())
    assert len(three.galera.acknowledged) == writes


def test_two_applications_that_ask_for_one_name_get_a_database_each(one):
    first, second = relation(database="keystone"), relation(application="other", database="keystone")
    one.relate(first)
    one.relate(second)
    assert one.local[first.id, "app"]["database"] == "keystone"
    assert one.local[second.id, "app"]["database"] == "keystone_other"
    assert json.loads(one.local[second.id, "app"]["data"])["database"] == "keystone"
    store = one.galera.servers["machine-0"].load()
    assert store.databases == ["keystone", "keystone_other"]
    assert r"`keystone\\_other`.*" in store.users[f"relation-{second.id}-1"]
    one.action(0, "rotate-password", relation_id=second.id)
    store = one.galera.servers["machine-0"].load()
    assert r"`keystone\\_other`.*" in store.users[f"relation-{second.id}-2"]


def test_an_application_that_comes_back_gets_its_database_again_and_no_other_does(one):
    first = relation(database="keystone")
    one.relate(first)
    one.unrelate(first.id)
    other = relation(application="other", database="keystone")
    one.relate(other)
    assert one.local[other.id, "app"]["database"] == "keystone_other"
    again = relation(database="keystone")
    one.relate(again)
    assert one.local[again.id, "app"]["database"] == "keystone"


def test_one_that_was_answered_keeps_its_database_whoever_else_has_it(one):
    client = relation(database="keystone")
    one.relate(client)
    del one.app_data["databases"]
    other = relation(application="other", database="keystone")
    one.relate(other)
    assert one.local[other.id, "app"]["database"] == "keystone_other"
    one.tell(client.id, {"requested-secrets": '["username", "password", "uris"]'})
    one.run(0, one.on.config_changed())
    assert one.local[client.id, "app"]["database"] == "keystone"
    assert "uris" in one.local[client.id, "app"]["data"]


def test_what_one_client_asks_wrong_blocks_no_other(one):
    one.galera.refused = "bad"
    bad, good = relation(application="bad", database="bad"), relation()
    one.relate(bad)
    one.relate(good)
    assert one.statuses[0].name == "blocked"
    assert one.statuses[0].message.startswith(
        f"bad, relation {bad.id}: MariaDB refuses what it asks for: ERROR 1102"
    )
    assert "secret-user" in one.local[good.id, "app"]
    assert "data" not in one.local[bad.id, "app"]


def test_a_database_name_gives_rights_on_no_other(one):
    client = relation(database="nova_api")
    one.relate(client)
    (account,) = one.galera.servers["machine-0"].load().users.values()
    assert r"`nova\\_api`.*" in account


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"secrets": ""}, "allow-plain-credentials=true"),
        ({"database": "mysql"}, "a name of its own"),
        ({"database": "a\nb"}, "a name of its own"),
        ({"extra-user-roles": "superuser"}, "known is admin"),
    ],
)
def test_a_client_that_cannot_be_served_is_told_so(one, asked, why):
    one.relate(relation(**asked))
    assert one.statuses[0].name == "blocked"
    assert why in one.statuses[0].message
    assert one.galera.servers["machine-0"].load().users == {}


def test_plain_credentials_need_the_operators_word(deploy):
    model = deploy(1, allow_plain_credentials=True)
    client = relation(secrets="")
    model.relate(client)
    data = model.local[client.id, "app"]
    assert data["username"] in model.galera.servers["machine-0"].load().users
    assert data["password"]


def test_a_password_is_rotated_by_a_second_user(one):
    client = relation()
    one.relate(client)
    one.action(0, "rotate-password", relation_id=client.id)
    users = one.galera.servers["machine-0"].load().users
    assert list(users) == [f"relation-{client.id}-1", f"relation-{client.id}-2"]
    (secret,) = one.secrets
    assert secret.latest_content["username"] == f"relation-{client.id}-2"
    assert "everywhere yet" in one.refuse(0, "rotate-password", relation_id=client.id)
    secret._track_latest_revision()  # everybody reads the second one now
    one.run(0, one.on.secret_remove(secret, revision=1))
    assert list(one.galera.servers["machine-0"].load().users) == [f"relation-{client.id}-2"]
    assert one.shared[f"users-{client.id}"] == [f"relation-{client.id}-2"]
    one.action(0, "rotate-password", relation_id=client.id)
    (secret,) = one.secrets
    assert secret.tracked_content["username"] == f"relation-{client.id}-3", "the owner reads what it has set"


def test_an_old_user_goes_as_soon_as_the_database_answers(one):
    client = relation()
    one.relate(client)
    one.action(0, "rotate-password", relation_id=client.id)
    (secret,) = one.secrets
    one.machines[0].run("systemctl", "stop", UNIT)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(one.machines[0].broken, "mariadb", "ERROR 2002 (HY000): Can't connect")
        patched.setitem(one.machines[0].broken, "systemctl", "no")
        one.run(0, one.on.secret_remove(secret, revision=1))
    pass_time(one)
    assert list(one.galera.servers["machine-0"].load().users) == [f"relation-{client.id}-2"]


def test_only_a_relation_with_a_user_is_rotated(one):
    assert "credentials were granted to nobody" in one.refuse(0, "rotate-password", relation_id=9)


def test_a_client_that_leaves_loses_its_user_and_not_its_data(one):
    client = relation()
    one.relate(client)
    one.run(0, one.on.relation_broken, relation=client.id)
    store = one.galera.servers["machine-0"].load()
    assert store.users == {}
    assert store.databases == ["glance"]


# All of Unicode


def test_what_calls_itself_utf8_is_all_of_it(one):
    config = one.machines[0].read(CONFIG)
    assert "character_set_server = utf8mb4\n" in config
    assert "\nold_mode =\n" in config


def test_tables_that_hold_three_bytes_a_character_are_converted(one):
    server = one.galera.servers["machine-0"]
    store = server.load()
    store.narrow = {
        "glance": [],
        "glance.images": ["utf8mb3_general_ci", "1", "utf8mb3_general_ci", "16384"],
        "glance.big": ["utf8mb3_general_ci", "1", "utf8mb3_general_ci", str(1 << 30)],
        "glance.members": ["utf8mb3_general_ci", "1", "utf8mb3_general_ci", "16384"],
        "glance.mixed": ["utf8mb3_general_ci", "2", "utf8mb3_bin", "16384"],
        "glance.parts": ["utf8mb3_general_ci", "1", "utf8mb3_general_ci", "16384"],
    }
    keys = {
        "glance.members.one": ["glance", "images", "image_id", "id", "CASCADE", "RESTRICT"],
        "glance.parts.two": ["glance", "big", "big_id", "id", "RESTRICT", "RESTRICT"],
    }
    store.keys = dict(keys)
    server.save(store)
    one.update_status()
    assert sorted(server.load().narrow) == ["glance.big", "glance.mixed", "glance.parts"]
    assert server.load().keys == keys
    (record,) = one.action(0, "show-job")["result"]
    assert record["state"] == "done"
    assert "1 databases and 2 tables hold all of Unicode now" in record["progress"]
    assert (
        "glance.big: it has 1024 MiB, and nobody can write meanwhile: ALTER TABLE `glance`.`big`"
        in record["progress"]
    )
    for _ in range(3):
        one.update_status()
    # It is started for what is left once, and then no more.
    assert len(one.action(0, "show-job")["result"]) == 2
    assert "left as they were: glance.big: it has 1024 MiB" in one.statuses[0].message


def test_a_key_that_an_interrupted_conversion_has_dropped_is_put_back(one):
    server = one.galera.servers["machine-0"]
    store = server.load()
    store.narrow = {
        "glance.images": ["utf8mb3_general_ci", "1", "utf8mb3_general_ci", "16384"],
        "glance.members": ["utf8mb3_general_ci", "1", "utf8mb3_general_ci", "16384"],
    }
    store.keys = keys = {"glance.members.one": ["glance", "images", "image_id", "id", "CASCADE", "RESTRICT"]}
    server.save(store)
    machine, dropped = one.machines[0], []

    def kill(*_):
        if not dropped and not server.load().keys:
            dropped.append(True)
            raise testing_machine.Killed

    query = one.galera.query
    one.galera.query = lambda *args: kill() or query(*args)
    with pytest.raises(testing_machine.Killed):
        one.update_status()
    assert server.load().keys == {}
    one.update_status()
    assert server.load().keys == keys
    assert server.load().narrow == {}
    assert not machine.exists("/var/lib/openinfra/mysql/dropped-keys.json")


def test_the_servers_error_is_found_after_the_statement_that_the_client_repeats(one):
    said = "--------------\nSELECT 1\n--------------\n\nERROR 1047 (08S01) at line 1: WSREP has not yet prepared node"
    one.machines[0].handlers["mariadb"] = lambda _argv, _stdin: Result(code=1, stdout="", stderr=said)
    with pytest.raises(UnreachableError):
        Sql(one.machines[0]).query("SELECT 1")


# IPv6


def test_addresses_are_written_in_brackets_where_a_port_may_follow(deploy):
    model = deploy(0)
    for number in (0, 1):
        machine = MySqlMachine(model.galera, number)
        machine.address = machine.server.address = f"2001:db8::{number + 1}"
        model.machines[number], model.unit_data[number] = machine, {}
    client = relation()
    model.relations[client.id] = client
    for _ in range(4):
        model.update_status()
    config = model.machines[0].read(CONFIG)
    for line in (
        "bind_address = 2001:db8::1",
        "wsrep_cluster_address = gcomm://[2001:db8::1],[2001:db8::2]",
        "wsrep_node_address = [2001:db8::1]",
        "wsrep_node_incoming_address = [2001:db8::1]:3306",
        "wsrep_sst_receive_address = [2001:db8::1]:4444",
        'sockopt = ",bind=[2001:db8::1]"',
    ):
        assert f"{line}\n" in config
    assert "gmcast.listen_addr=tcp://[2001:db8::1]:4567;ist.recv_addr=[2001:db8::1]:4568;" in config
    assert model.shared["writer"] == "mysql/0"
    assert model.local[client.id, "app"]["endpoints"] == "[2001:db8::1]:3306"


# Status


def test_cluster_status_tells_who_is_in_it(three):
    results = three.action(1, "cluster-status")
    assert results["summary"] == "3 of 3 members are in the cluster; here it is Synced"
    assert results["result"]["writer"] == "mysql/0"


def test_an_option_that_cannot_be_used_blocks(one):
    one.configure(buffer_pool_size="1K")
    assert one.statuses[0].name == "blocked"
    assert "buffer-pool-size='1K'" in one.statuses[0].message


def test_another_application_on_the_machine_is_named(one):
    one.machines[0].write("/var/lib/openinfra/owners/mariadb", "other/0\n")
    one.run(0, one.on.config_changed())
    assert one.statuses[0] == ops.BlockedStatus(
        "other/0 runs MariaDB on this machine already: remove one of the two"
    )
