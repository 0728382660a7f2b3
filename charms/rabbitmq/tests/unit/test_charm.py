"""The charm's hooks, on one machine and on three that share a cluster."""

import json
import stat

import ops
import pytest
from machines import CERTIFICATES, CLIENT
from ops import testing

from openinfra_charm.daemon import registry
from openinfra_charm.machine import Result
from rabbitmq import CONFIG, COOKIE, DROP_IN, ENVIRONMENT, START, UNIT

ALL = ["rabbit@rabbitmq-0", "rabbit@rabbitmq-1", "rabbit@rabbitmq-2"]
SECRETS = '["username", "password"]'
NOVA = {"username": "nova", "vhost": "nova", "requested_secrets": SECRETS}
FORM_SECONDS = 130
RETRY = "/run/openinfra/openinfra-retry-rabbitmq-0.json"


def units(model):
    return [unit for unit, *_ in model.shared["members"]]


def broker(model, number):
    return model.machines[number].broker


def store(model, number=0):
    return broker(model, number).load()


def form_or_ask(model):
    """Let so much time pass that brokers that wait for those that never come back report it, and are answered."""
    for _ in range(4):
        for machine in model.machines.values():
            if machine.powered:
                machine.time.now += FORM_SECONDS
        model.update_status()


def wipe(machine):
    """Lose what the broker has on its disk, as with a disk that was replaced."""
    machine.services[UNIT] = "inactive"
    machine.broker.services_changed()
    machine.lose("/var/lib/rabbitmq/mnesia")


# The first deploy


def test_the_cluster_is_named_in_one_hook_and_founded_in_another(deploy):
    model = deploy(0)
    model.machines[0], model.unit_data[0] = model.make_machine(0), {}
    model.sign = lambda *_: False
    model.run(0, model.on.leader_elected())
    assert model.statuses[0].message.startswith("for Juju to record the cluster's identity")
    assert {"cluster-id", "founder", "members", "cookie"} <= set(model.shared)
    assert model.machines[0].services == {}
    del model.sign
    model.run(0, model.on.config_changed())
    assert model.brokers.clusters() == [["rabbit@rabbitmq-0"]]


def test_one_unit_founds_the_cluster(one):
    assert one.statuses[0] == ops.ActiveStatus()
    assert one.brokers.founded == ["rabbit@rabbitmq-0"]
    assert list(store(one).users) == []


def test_three_units_come_one_by_one_into_one_cluster(three):
    assert three.brokers.clusters() == [ALL]
    assert units(three) == ["rabbitmq/0", "rabbitmq/1", "rabbitmq/2"]
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert three.brokers.faults == []


def test_nothing_starts_without_a_certificate(deploy):
    model = deploy(0)
    del model.relations[CERTIFICATES]
    model.add_unit()
    assert model.statuses[0] == ops.BlockedStatus("no TLS: juju integrate rabbitmq certificates")
    assert UNIT not in model.machines[0].services


def test_a_certificate_is_waited_for(deploy):
    model = deploy(0)
    model.authority = None
    model.sign = lambda *_: False
    model.add_unit()
    assert model.statuses[0] == ops.WaitingStatus("for a certificate from certificates")
    assert UNIT not in model.machines[0].services


def test_a_hook_with_nothing_new_changes_nothing_and_starts_no_program_of_erlang(three):
    three.relate_client(**NOVA)
    three.update_status()
    before = three.snapshot()
    three.log()
    for machine in three.machines.values():
        machine.argv.clear()
    for number in range(3):
        three.run(number, three.on.config_changed())
    assert three.log() == []
    assert three.snapshot() == before
    assert not [
        line for machine in three.machines.values() for line in machine.argv if line.startswith("rabbitmq")
    ]


# What is rendered


def test_clients_and_nodes_speak_tls_only(one):
    config, environment = one.machines[0].read(CONFIG), one.machines[0].read(ENVIRONMENT)
    for line in ("listeners.tcp = none", "listeners.ssl.1 = 10.0.0.10:5671", "prometheus.tcp.ip = 127.0.0.1"):
        assert f"\n{line}\n" in f"\n{config}"
    assert "-proto_dist inet_tls" in environment
    assert "-kernel inet_dist_use_interface {10,0,0,10}" in environment
    # Other members send their part of an answer to the program that asks, such as list_queues: it is reached like a member.
    assert "127.0.0.1" not in environment
    peers = one.machines[0].read("/etc/rabbitmq/peers.config")
    assert peers.count("{verify, verify_peer}") == 2
    assert "{fail_if_no_peer_cert, true}" in peers


def test_nodes_find_each_other_without_dns_and_without_the_machines_names(three):
    hosts = three.machines[2].read("/etc/rabbitmq/hosts").splitlines()[1:]
    assert hosts == ["10.0.0.10 rabbitmq-0", "10.0.0.11 rabbitmq-1", "10.0.0.12 rabbitmq-2"]
    assert 'hosts_file, "/etc/rabbitmq/hosts"' in three.machines[2].read("/etc/rabbitmq/resolver")
    assert "NODENAME=rabbit@rabbitmq-2\n" in three.machines[2].read(ENVIRONMENT)


def test_the_cookie_is_a_secret_that_only_the_broker_reads(three):
    cookies = set()
    for machine in three.machines.values():
        node = machine.nodes[COOKIE]
        assert (stat.S_IMODE(node.mode), node.owner) == (0o400, ("rabbitmq", "rabbitmq"))
        cookies.add(node.content)
    (cookie,) = cookies
    assert len(cookie) == 32
    assert cookie not in json.dumps([three.app_data, three.unit_data])


def test_a_node_waits_for_others_as_long_as_it_takes_and_nobody_for_it(one):
    drop_in = one.machines[0].read(DROP_IN)
    assert {"Type=exec", "Restart=always", "ExecStop="} <= set(drop_in.splitlines())
    assert "mnesia_table_loading_retry_limit = 100000" in one.machines[0].read(CONFIG)


def test_memory_and_disk_are_limited_by_option(deploy):
    model = deploy(1, memory_limit="256M", disk_free_limit="2G")
    config = model.machines[0].read(CONFIG)
    assert f"vm_memory_high_watermark.absolute = {256 << 20}\n" in config
    assert f"disk_free_limit.absolute = {2 << 30}\n" in config
    assert "MemoryMax=768M" in model.machines[0].read(DROP_IN)


def test_ipv6_is_written_as_erlang_and_listeners_want_it(deploy):
    model = deploy(0)
    machine = model.make_machine(0)
    machine.address = machine.broker.address = "fd00::a"
    model.make_machine = lambda _: machine
    model.add_unit()
    assert "listeners.ssl.1 = [fd00::a]:5671\n" in machine.read(CONFIG)
    environment = machine.read(ENVIRONMENT)
    assert "-proto_dist inet6_tls" in environment
    assert (
        "inet_dist_use_interface {16#fd00,16#0000,16#0000,16#0000,16#0000,16#0000,16#0000,16#000a}"
        in environment
    )


# Configuration that needs a restart


def test_units_restart_one_after_another(three):
    starts = [machine.starts[UNIT] for machine in three.machines.values()]
    three.held = {1}
    three.configure(memory_limit="512M")
    assert three.machines[1].starts[UNIT] == starts[1]
    three.held = set()
    three.every()
    three.update_status()
    assert [machine.starts[UNIT] for machine in three.machines.values()] == [number + 1 for number in starts]
    assert three.brokers.clusters() == [ALL]


def test_nobody_restarts_while_a_member_is_missing(three):
    three.brokers.declare("compute")
    three.cut_power(2)
    three.configure(memory_limit="512M")
    assert [three.machines[number].starts[UNIT] for number in (0, 1)] == [1, 1]
    said = " ".join(status.message for status in three.statuses.values())
    assert (
        "to restart for a new configuration: rabbitmq/2 does not run: the cluster must be complete first"
        in said
    )
    three.give_power(2)
    three.update_status()
    three.update_status()
    assert [three.machines[number].starts[UNIT] for number in (0, 1)] == [2, 2]


def test_what_cannot_be_blocks_and_changes_nothing(three):
    three.log()
    three.configure(memory_limit="lots")
    assert (
        three.statuses[0].message
        == "config memory-limit='lots' cannot be used: expected a size of 128M or more, such as 4G"
    )
    assert three.log() == []


# Certificates


def test_a_renewed_certificate_is_taken_without_a_restart(three):
    before = broker(three, 1).chain
    day = 86400
    for machine in three.machines.values():
        machine.time.now += 21 * day
    three.update_status()
    three.update_status()
    assert broker(three, 1).chain != before
    assert [machine.starts[UNIT] for machine in three.machines.values()] == [1, 1, 1]


def test_the_certificate_names_the_broker_as_its_peers_do(one):
    (csr,) = json.loads(one.local[CERTIFICATES, 0]["certificate_signing_requests"])
    from cryptography import x509

    names = x509.load_pem_x509_csr(csr["certificate_signing_request"].encode()).extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(found.get_values_for_type(x509.DNSName)) == {"machine-0", "rabbitmq-0"}
    assert [str(one) for one in found.get_values_for_type(x509.IPAddress)] == ["10.0.0.10"]


# Power, and data that are gone


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_all_lose_power_at_once_and_come_back_in_any_order_without_a_hook(three, order):
    three.brokers.declare("compute")
    three.brokers.publish()
    three.cut_all_power()
    for number in order:
        three.give_power(number)
    for machine in three.machines.values():
        machine.broker.time_passed()
    assert three.brokers.clusters() == [ALL]
    assert three.brokers.lost() == []


def test_brokers_that_wait_are_left_alone_and_say_for_whom(three):
    three.cut_all_power()
    three.give_power(0, 1)
    starts = three.machines[0].starts[UNIT]
    form_or_ask(three)
    assert three.machines[0].starts[UNIT] == starts
    assert three.statuses[0].message.startswith(
        "for RabbitMQ to form its cluster with rabbitmq/1, rabbitmq/2"
    )
    # No event of the model tells when they have: they look again soon.
    assert three.machines[0].exists(RETRY)
    three.give_power(2)
    three.update_status()
    assert three.brokers.clusters() == [ALL]
    assert "stopped" not in three.unit_data[0]
    assert not three.machines[0].exists(RETRY)


def test_the_others_go_on_without_one_that_is_gone_for_good(three):
    three.brokers.declare("compute")
    three.brokers.publish()
    three.cut_all_power()
    three.destroy_machine(2)
    three.give_power(0, 1)
    form_or_ask(three)
    assert three.brokers.clusters() == [ALL[:2]]
    assert three.brokers.lost() == []
    assert store(three).members == ALL[:2]
    assert units(three) == ["rabbitmq/0", "rabbitmq/1"]
    three.add_unit()
    form_or_ask(three)
    assert three.brokers.clusters() == [[*ALL[:2], "rabbit@rabbitmq-3"]]
    assert len(store(three).queues["compute"]) == 3


def test_the_one_that_stopped_last_begins(three):
    """Its peers lack what was changed when they were down."""
    three.cut_power(0)
    store_1 = store(three, 1)
    store_1.number += 1
    broker(three, 1).save(store_1)
    three.cut_power(1)
    three.cut_power(2)
    # What each has last seen run; 2 paused when the second was gone, and was gone itself.
    for number, seen in ((0, ALL), (1, ALL[1:]), (2, ALL[1:])):
        known = store(three, number)
        known.seen = seen
        broker(three, number).save(known)
    three.destroy_machine(2)
    three.give_power(0, 1)
    form_or_ask(three)
    assert three.shared["recovery"]["unit"] == "rabbitmq/1"
    assert three.brokers.clusters() == [ALL[:2]]


def test_one_that_is_left_alone_goes_on_with_the_messages_that_it_has(three):
    three.brokers.declare("compute")
    three.brokers.publish()
    three.destroy_machine(1)
    three.destroy_machine(2)
    form_or_ask(three)
    assert three.brokers.clusters() == [ALL[:1]]
    assert store(three).queues["compute"] == ALL[:1]
    assert three.brokers.lost() == []
    assert three.statuses[0] == ops.ActiveStatus()


def test_who_is_gone_is_asked_of_the_model(three):
    """A peer that is only unreachable is never forgotten."""
    three.cut_power(1)
    form_or_ask(three)
    assert store(three).members == ALL
    assert three.statuses[0] == ops.ActiveStatus("only 2 of 3 members run: not rabbitmq/1")


def test_one_that_is_gone_is_forgotten_while_the_others_serve(three):
    three.brokers.declare("compute")
    three.destroy_machine(1)
    three.update_status()
    assert store(three).members == [ALL[0], ALL[2]]
    assert units(three) == ["rabbitmq/0", "rabbitmq/2"]
    assert ALL[1] not in store(three).queues["compute"]


@pytest.mark.parametrize("number", [0, 1])
def test_one_that_comes_back_empty_joins(three, number):
    three.brokers.declare("compute")
    three.brokers.publish()
    before = three.shared["members"][number]
    wipe(three.machines[number])
    for _ in range(3):
        three.update_status()
    assert three.brokers.clusters() == [ALL]
    assert len(three.brokers.founded) == 4  # a node that joins is a cluster of its own for a moment
    assert before not in three.shared["members"]
    assert ALL[number] in store(three, (number + 1) % 3).queues["compute"]
    assert three.brokers.lost() == []
    assert three.brokers.faults == []


def test_one_without_data_does_not_start_by_itself(three):
    machine = three.machines[1]
    wipe(machine)
    machine.start_services(UNIT)
    assert machine.services[UNIT] == "failed"
    assert "the cluster has to take this unit in anew" in machine.read(START)


def test_where_nobody_has_data_the_cluster_is_founded_anew_and_users_are_made_again(three):
    three.relate_client(**NOVA)
    password = three.credentials()["password"]
    for machine in three.machines.values():
        wipe(machine)
    for _ in range(5):
        three.update_status()
    assert three.brokers.clusters() == [ALL]
    assert three.credentials()["password"] == password
    assert set(store(three).users) == {f"relation-{CLIENT}-1"}


def test_a_founder_that_is_gone_before_anybody_came_is_replaced(deploy):
    model = deploy(0)
    model.sign = lambda *_: False
    for number in range(2):
        model.machines[number], model.unit_data[number] = model.make_machine(number), {}
    model.run(0, model.on.config_changed())
    assert model.shared["founder"] == "rabbitmq/0"
    model.destroy_machine(0)
    del model.sign
    model.every()
    model.update_status()
    assert model.brokers.clusters() == [["rabbit@rabbitmq-1"]]
    assert model.brokers.founded == ["rabbit@rabbitmq-1"]


# An operator gives a unit up


def test_forget_node_lets_the_others_go_on(three):
    three.brokers.declare("compute")
    three.cut_all_power()
    three.give_power(0, 1)
    form_or_ask(three)
    assert three.brokers.clusters() == []
    words = "the messages that only rabbitmq/2 has are lost"
    assert words in three.action(0, "forget-node", unit="rabbitmq/2", dry_run=True)["summary"]
    assert words in three.refuse(0, "forget-node", unit="rabbitmq/2")
    three.action(0, "forget-node", unit="rabbitmq/2", confirm="rabbitmq/2")
    form_or_ask(three)
    assert three.brokers.clusters() == [ALL[:2]]
    three.give_power(2)
    three.update_status()
    assert three.statuses[2] == ops.BlockedStatus(
        "forget-node has given this unit up: juju remove-unit rabbitmq/2, juju add-unit rabbitmq"
    )
    assert three.brokers.clusters() == [ALL[:2]]


def test_forget_node_refuses_what_runs_and_what_is_none(three):
    assert "rabbitmq/1 runs" in three.refuse(0, "forget-node", unit="rabbitmq/1", confirm="rabbitmq/1")
    assert "is this unit" in three.refuse(0, "forget-node", unit="rabbitmq/0", confirm="rabbitmq/0")
    assert "no member; members are rabbitmq/0" in three.refuse(0, "forget-node", unit="rabbitmq/7")
    assert "only the leader can do this" in three.refuse(1, "forget-node", unit="rabbitmq/2")


# Versions


def test_clients_are_kept_off_a_side_without_a_majority_where_it_does_not_pause_itself(deploy):
    model = deploy(0)
    machine = model.make_machine(0)
    machine.broker.version = "4.2.1-1"
    model.make_machine = lambda _: machine
    model.add_unit()
    assert model.statuses[0] == ops.ActiveStatus()
    assert machine.services["rabbitmq-guard.service"] == "active"
    unit = machine.read("/etc/systemd/system/rabbitmq-guard.service")
    assert "/rabbitmq-guard /var/lib/openinfra/rabbitmq/members rabbitmq/0 {10,0,0,10}\n" in unit
    assert "SUSPEND" in machine.read("/usr/lib/openinfra/rabbitmq-guard")
    starts = machine.starts["rabbitmq-guard.service"]
    model.update_status()
    assert machine.starts["rabbitmq-guard.service"] == starts


def test_a_broker_that_a_partition_has_left_over_is_restarted_where_it_would_pause_itself(one):
    machine = one.machines[0]
    assert machine.services["rabbitmq-guard.service"] == "active"
    unit = machine.read("/etc/systemd/system/rabbitmq-guard.service")
    assert "/rabbitmq-guard rabbitmq/0\n" in unit
    assert "inconsistent_database" in machine.read("/usr/lib/openinfra/rabbitmq-guard")


def test_a_partition_that_is_left_is_told_until_it_is_over(three):
    node = three.machines[0].broker
    node.partitions = {"rabbit@rabbitmq-0": ["rabbit@rabbitmq-2"], "rabbit@rabbitmq-1": []}
    three.update_status()
    told = three.statuses[0]
    assert told == ops.ActiveStatus(
        "a partition is left, as rabbitmq/0 report; see cluster-status, and journalctl -u rabbitmq-guard"
    )
    node.partitions = {}
    three.update_status()
    assert three.statuses[0] == ops.ActiveStatus()


# Clients


def test_a_client_gets_a_virtual_host_and_a_user_of_its_own(three):
    three.relate_client(**NOVA)
    held = three.credentials()
    assert held["username"] == f"relation-{CLIENT}-1"
    assert held["password"] not in json.dumps([three.local[CLIENT, "app"], three.app_data, three.unit_data])
    assert store(three).rights == {held["username"]: "nova"}
    assert "nova" in store(three).vhosts
    hosts = [three.local[CLIENT, number]["hostname"] for number in range(3)]
    assert hosts == ["10.0.0.10", "10.0.0.11", "10.0.0.12"]
    assert {three.local[CLIENT, number]["ssl_port"] for number in range(3)} == {"5671"}
    assert not any(held["password"] in line for machine in three.machines.values() for line in machine.argv)
    assert not three.machines[0].exists("/run/openinfra/rabbitmq-definitions.json")


def test_a_client_elsewhere_finds_a_unit_where_its_address_leads(one):
    one.translated[0] = "192.0.2.7"
    one.relate_client(**NOVA)
    one.update_status()
    assert one.local[CLIENT, 0]["hostname"] == "192.0.2.7"


def test_two_clients_do_not_share_a_virtual_host_by_chance(three):
    three.relate_client(**NOVA)
    three.relate_client("neutron", CLIENT + 1, username="neutron", vhost="nova", requested_secrets=SECRETS)
    assert "secret-user" not in three.told(CLIENT + 1)
    assert three.statuses[0] == ops.BlockedStatus(
        "neutron asks for the virtual host nova, which is nova's: if the two are to share it, add neutron:nova to the option "
        "shared-vhosts"
    )
    three.configure(shared_vhosts="neutron:nova")
    assert store(three).rights[three.credentials(CLIENT + 1)["username"]] == "nova"
    assert three.statuses[0] == ops.ActiveStatus()


def test_of_two_clients_that_ask_for_one_virtual_host_at_once_the_first_has_it(three):
    three.held = {0}
    three.relate_client(**NOVA)
    three.relate_client("neutron", CLIENT + 1, username="neutron", vhost="nova", requested_secrets=SECRETS)
    three.held = set()
    three.every()
    assert three.shared["vhosts"] == {"nova": "nova"}
    assert set(store(three).rights) == {f"relation-{CLIENT}-1"}
    assert "secret-user" not in three.told(CLIENT + 1)


def test_who_shares_a_virtual_host_is_not_its_owner_even_if_it_is_first(deploy):
    model = deploy(1, shared_vhosts="nova-compute:nova")
    model.relate_client(
        "nova-compute", CLIENT + 1, username="nova-compute", vhost="nova", requested_secrets=SECRETS
    )
    model.relate_client(**NOVA)
    assert set(store(model).rights.values()) == {"nova"}
    assert len(store(model).rights) == 2
    assert model.statuses[0] == ops.ActiveStatus()


def test_a_client_without_secrets_gets_nothing_unless_that_is_allowed(three):
    three.relate_client(username="nova", vhost="openstack")
    assert "password" not in three.told()
    assert three.statuses[0] == ops.BlockedStatus(
        "nova wants its password in plain relation data: set allow-plain-credentials=true, or use a client with secrets"
    )
    three.configure(allow_plain_credentials=True)
    told = three.told()
    assert (told["username"], told["hostname"], told["ssl_port"]) == ("nova", "10.0.0.10", "5671")
    assert store(three).rights == {"nova": "openstack"}


def test_a_machine_charms_units_find_their_password_where_they_look(three):
    three.configure(allow_plain_credentials=True)
    three.relate_client(units={0: {"username": "nova", "vhost": "openstack"}})
    assert three.local[CLIENT, 0]["password"] == three.told()["password"]
    three.leader = 1
    three.every(three.on.leader_elected())
    assert three.local[CLIENT, 1]["password"] == three.told()["password"]


def test_two_clients_without_secrets_do_not_share_a_user(three):
    three.configure(allow_plain_credentials=True)
    three.relate_client(username="nova", vhost="one")
    three.relate_client("other", CLIENT + 1, username="nova", vhost="two")
    assert (
        three.statuses[0].message
        == "other asks for the user nova, which is another client's: change its configuration"
    )
    assert store(three).rights == {"nova": "one"}


def test_a_client_that_is_gone_loses_its_users_and_its_virtual_host_stays(three):
    three.relate_client(**NOVA)
    three.unrelate(CLIENT)
    three.update_status()
    assert store(three).users == {}
    assert "nova" in store(three).vhosts
    assert not [key for key in three.shared if key.startswith(("users-", "answers-"))]


def test_a_password_is_rotated_by_a_second_user(three):
    three.relate_client(**NOVA)
    first = three.credentials()
    said = three.action(0, "rotate-password", relation_id=CLIENT)
    second = three.credentials()
    assert said["summary"].startswith(f"nova has the new user relation-{CLIENT}-2")
    assert second["username"] != first["username"]
    assert second["password"] != first["password"]
    assert set(store(three).users) == {first["username"], second["username"]}
    assert "does not use" in three.refuse(0, "rotate-password", relation_id=CLIENT)
    assert "only the leader can do this" in three.refuse(1, "rotate-password", relation_id=CLIENT)
    (secret,) = [one for one in three.secrets if one.id == three.told()["secret-user"]]
    three.run(0, three.on.secret_remove(secret, revision=1))
    three.update_status()
    assert set(store(three).users) == {second["username"]}


def test_what_was_never_granted_is_not_rotated(three):
    assert "credentials were granted to nobody" in three.refuse(0, "rotate-password", relation_id=7)


# Status


def test_alarms_are_in_the_status(three):
    broker(three, 1).alarms = {"memory_used"}
    three.update_status()
    assert three.statuses[1] == ops.BlockedStatus(
        "no unit takes messages: memory on rabbitmq/1 is past its limit: consumers are too slow, or memory-limit is too low"
    )
    broker(three, 1).alarms = {"free_disk_space"}
    three.update_status()
    assert "disk space on rabbitmq/1 is past its limit" in three.statuses[1].message
    broker(three, 1).alarms = set()
    three.update_status()
    assert three.statuses[1] == ops.ActiveStatus()


def test_two_members_are_told_that_they_are_no_better_than_one(deploy):
    model = deploy(2)
    assert model.statuses[0] == ops.ActiveStatus("two members have quorum only together: juju add-unit")


def test_queues_that_are_short_of_members_are_counted(three):
    three.brokers.declare("compute")
    three.brokers.keep_own(broker(three, 0))
    three.brokers.tick = lambda: None
    three.update_status()
    assert three.statuses[0] == ops.ActiveStatus("1 queue has fewer than 3 members")
    del three.brokers.tick
    three.update_status()
    three.update_status()
    assert three.statuses[0] == ops.ActiveStatus()


def test_feature_flags_are_enabled_after_an_upgrade_of_all(three):
    for number in range(3):
        broker(three, number).flags = ""
        broker(three, number).version = "4.1.2-1"
        three.machines[number].packages["rabbitmq-server"] = "4.1.2-1"
        three.machines[number].restart_services(UNIT)
        three.update_status()
        assert (broker(three, 0).flags != "") is (number == 2)
    assert three.shared["feature-flags"] == "4.1.2"


# Actions


def test_cluster_status_tells_who_is_a_member_and_who_runs(three):
    three.relate_client(**NOVA)
    three.cut_power(2)
    result = three.action(0, "cluster-status")
    assert result["summary"] == "2 of 3 members run"
    assert result["result"]["recorded"] == ["rabbitmq/0", "rabbitmq/1", "rabbitmq/2"]
    assert result["result"]["running"] == ["rabbitmq/0", "rabbitmq/1"]
    assert result["result"]["relations"] == {
        str(CLIENT): {"application": "nova", "users": [f"relation-{CLIENT}-1"]}
    }
    three.cut_power(1)
    assert "RabbitMQ does not serve here" in three.refuse(0, "cluster-status")


def test_list_queues_tells_where_they_are(three):
    three.brokers.declare("compute")
    three.brokers.publish()
    result = three.action(1, "list-queues")
    (queue,) = result["result"]
    assert result["summary"] == "1 queues with 1 messages"
    assert (queue["vhost"], queue["name"], queue["leader"]) == ("/", "compute", "rabbitmq/0")
    assert queue["members"] == ["rabbitmq/0", "rabbitmq/1", "rabbitmq/2"]
    assert "there is no such virtual host; there are: /" in three.refuse(1, "list-queues", vhost="x")


def test_a_paused_unit_stays_stopped_and_clients_are_not_sent_there(three):
    three.relate_client(**NOVA)
    three.action(1, "pause")
    three.update_status()
    assert three.machines[1].services[UNIT] == "inactive"
    assert three.statuses[1] == ops.MaintenanceStatus("paused; start it again: juju run rabbitmq/1 resume")
    assert "hostname" not in three.local[CLIENT, 1]
    three.action(1, "resume")
    three.update_status()
    assert three.brokers.clusters() == [ALL]
    assert three.local[CLIENT, 1]["hostname"] == "10.0.0.11"


def test_a_unit_is_not_paused_while_another_one_is_missing(three):
    three.brokers.declare("compute")
    three.cut_power(2)
    assert "rabbitmq/2 does not run" in three.refuse(1, "pause")


# Removal


def test_prepare_removal_moves_queues_and_clients_as_a_job(three):
    three.relate_client(**NOVA)
    three.brokers.declare("compute")
    three.brokers.publish()
    assert "possible" in three.action(2, "prepare-removal", dry_run=True)["summary"]
    assert "leaving" not in three.unit_data[2]
    done = three.action(2, "prepare-removal")
    assert done["result"]["job-id"] == "prepare-removal-1"
    three.update_status()
    assert "clients and queues are on other units" in three.action(2, "show-job")["summary"]
    assert store(three).queues["compute"] == ALL[:2]
    assert "hostname" not in three.local[CLIENT, 2]
    assert three.statuses[2].message.startswith(
        "on its way out; to keep it: juju run rabbitmq/2 prepare-removal cancel=true"
    )
    three.remove_unit(2)
    three.update_status()
    assert units(three) == ["rabbitmq/0", "rabbitmq/1"]
    assert store(three).members == ALL[:2]
    assert three.brokers.lost() == []


def test_a_removal_is_taken_back(three):
    three.brokers.declare("compute")
    three.action(2, "prepare-removal")
    assert "stays" in three.action(2, "prepare-removal", cancel=True)["summary"]
    three.update_status()
    assert store(three).draining == []
    assert store(three).queues["compute"] == ALL
    assert three.statuses[2] == ops.ActiveStatus()


def test_the_last_unit_is_not_prepared(one):
    assert "rabbitmq/0 is the last unit" in one.refuse(0, "prepare-removal")


def test_a_unit_is_not_prepared_while_another_one_is_missing(three):
    three.cut_power(1)
    assert "rabbitmq/1 does not run" in three.refuse(2, "prepare-removal")


def test_a_unit_that_is_removed_leaves_nothing(three):
    machine = three.machines[2]
    three.brokers.declare("compute")
    three.remove_unit(2)
    assert machine.list_folder("/var/lib/rabbitmq/mnesia") == []
    left = [path for path, node in machine.nodes.items() if node.is_file and "rabbit" in path]
    assert left == []
    assert registry.owner(machine, "rabbitmq") == ""
    assert "rabbitmq-server" not in machine.packages
    three.update_status()
    assert three.brokers.clusters() == [ALL[:2]]


def test_a_unit_does_not_leave_while_queues_need_it(three):
    three.brokers.declare("compute")
    three.cut_power(1)
    with pytest.raises(testing.errors.UncaughtCharmError) as refused:
        three.remove_unit(2)
    assert "would lose their quorum" in str(refused.value.__cause__)
    assert "juju remove-unit --force rabbitmq/2" in str(refused.value.__cause__)


def test_units_leave_one_after_another_down_to_one_though_nobody_has_prepared_it(three):
    three.brokers.declare("compute")
    three.brokers.publish()
    three.leader = 1
    three.remove_unit(2)
    three.update_status()
    three.remove_unit(1)
    three.update_status()
    form_or_ask(three)
    assert three.brokers.clusters() == [ALL[:1]]
    assert store(three).queues["compute"] == ALL[:1]
    assert three.brokers.lost() == []


def test_a_unit_that_leads_forgets_who_has_gone_before_it_as_it_leaves(three):
    """Its hooks but the one that stops it do not run any more."""
    three.brokers.declare("compute")
    three.brokers.publish()
    three.leader = 1
    three.held = {0, 1}
    three.remove_unit(2)
    three.held = {0}
    three.remove_unit(1)
    assert store(three).queues["compute"] == ALL[:1]
    assert three.brokers.lost() == []


def test_a_unit_that_does_not_serve_leaves_where_another_one_does(three):
    three.machines[2].services[UNIT] = "failed"
    broker(three, 2).services_changed()
    three.remove_unit(2)
    three.update_status()
    assert store(three).members == ALL[:2]


def test_a_second_application_is_told_whose_the_broker_is(deploy):
    model = deploy(0)
    machine = model.make_machine(0)
    machine.have("/var/lib/juju/agents/unit-other-0/agent.conf", "")
    machine.have("/var/lib/openinfra/owners/rabbitmq", "other/0\n")
    machine.have("/var/lib/juju/agents/unit-rabbitmq-0/agent.conf", "")
    model.make_machine = lambda _: machine
    model.add_unit()
    assert model.statuses[0] == ops.BlockedStatus(
        "other/0 runs RabbitMQ on this machine already: remove one of the two"
    )
    assert "rabbitmq-server" not in machine.packages


# What `host` asks


def check(machine, kind):
    done = machine.run(f"/usr/lib/openinfra/{kind}.d/rabbitmq", check=False)
    return done.code, done.stdout.strip()


@pytest.fixture
def checks(three):
    """A cluster of three whose checks can be run; they are Python programs of the charm's."""
    import check as program
    from openinfra_charm.machine import use

    def answer(machine, argv, _stdin):
        import contextlib
        import io

        said = io.StringIO()
        with use(machine), contextlib.redirect_stdout(said):
            code = program.main(*argv[2:])
        return Result(code=code, stdout=said.getvalue(), stderr="")

    for machine in three.machines.values():
        machine.handlers["python3"] = lambda argv, stdin, machine=machine: answer(machine, argv, stdin)
    return three


def test_a_machine_may_stop_where_all_members_run(checks):
    checks.brokers.declare("compute")
    assert check(checks.machines[0], "safe-to-stop") == (0, "")
    checks.cut_power(2)
    assert check(checks.machines[0], "safe-to-stop") == (
        1, "rabbitmq/2 does not run: the cluster must be complete first",
    )  # fmt: skip


def test_after_a_start_the_broker_serves_again(checks):
    assert check(checks.machines[1], "after-start") == (0, "")
    checks.machines[1].services[UNIT] = "inactive"
    broker(checks, 1).services_changed()
    assert check(checks.machines[1], "after-start") == (1, "RabbitMQ does not serve")
