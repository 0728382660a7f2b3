"""The charm between Juju and the machine: what it asks for, what it makes once, who has the lock, its status."""

import dataclasses
import json
import re

import asked
import authority
import monitors
import ops
import programs
import pytest
from cryptography import x509
from play import CEPH, CERTIFICATES, GATEWAY, IDENTITY, RELATIONS, Model

from admin import PURGE_SECONDS, Admin
from openinfra_charm.machine import Machine

UNIT, FRONT = "ceph-radosgw@rgw.machine-0.service", "ceph-rgw-front.service"


def restarts(model):
    return [
        sum(line.startswith("restart ceph-radosgw@") for line in machine.log)
        for machine in model.machines.values()
    ]


def names_in(model, number):
    csr = json.loads(model.local[CERTIFICATES, number]["certificate_signing_requests"])[0]
    request = x509.load_pem_x509_csr(csr["certificate_signing_request"].encode())
    found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(found.get_values_for_type(x509.DNSName)), {
        str(one) for one in found.get_values_for_type(x509.IPAddress)
    }


def test_a_gateway_serves_a_zone_of_its_own(deploy):
    model = deploy(1)
    assert model.statuses[0] == ops.ActiveStatus("")
    assert model.machines[0].rgw.serves
    assert (model.zone.realms, model.zone.groups, model.zone.zones) == (
        {"openinfra"},
        {"regionone"},
        {"regionone-a"},
    )
    assert model.zone.committed
    options = model.machines[0].rgw.options
    assert options["rgw_enable_apis"] == "s3, admin"
    assert "rgw_keystone_url" not in options


def test_three_units_serve_one_zone_that_one_of_them_made(deploy):
    model = deploy(3)
    assert [machine.rgw.serves for machine in model.machines.values()] == [True] * 3
    made = [[line for line in machine.argv if "realm create" in line] for machine in model.machines.values()]
    assert [len(lines) for lines in made] == [1, 0, 0]


def test_pools_are_asked_for_in_the_zones_name(deploy):
    model = deploy(1, zone="north")
    request = json.loads(model.local[CEPH, 0]["broker_req"])
    pools = {entry["name"]: entry.get("pg_num") for entry in request["ops"]}
    assert pools["north.rgw.buckets.data"] is None
    assert pools["north.rgw.meta"] == 8
    assert {entry["app-name"] for entry in request["ops"]} == {"rgw"}
    assert model.local[CEPH, "app"] == {"requested-secrets": '["key"]'}


def test_a_second_reconcile_changes_nothing(deploy):
    model = deploy(3)
    before = model.snapshot()
    for machine in model.machines.values():
        machine.log.clear()
    model.update_status()
    assert [machine.log for machine in model.machines.values()] == [[], [], []]
    assert model.snapshot() == before


def test_a_hook_with_nothing_new_runs_few_programs(deploy):
    model = deploy(2)
    with asked.programs(model.machines[1]) as ran:
        model.run(1, model.on.config_changed())
    assert sorted(ran) == ["dpkg-query", "systemctl"]


def test_no_key_is_where_others_can_read_it(deploy, keystone):
    model = deploy(1)
    model.integrate(IDENTITY, **keystone(model))
    for path, node in model.machines[0].nodes.items():
        for secret in ("cephx-key-0", "the-password", "twin-secret"):
            if node.content and secret in node.content:
                assert (node.mode, secret) in {(0o600, "cephx-key-0"), (0o600, "the-password")}, path
    assert not [line for line in model.machines[0].argv if "twin-secret" in line]
    assert "the-password" not in model.snapshot()


@pytest.mark.parametrize(
    ("relations", "words"),
    [
        ((CERTIFICATES,), "integrate with Ceph: juju integrate ceph-rgw:ceph ceph"),
        ((CEPH,), "certificates: integrate with an application that provides tls-certificates"),
    ],
)
def test_what_is_missing_is_said_and_nothing_runs(deploy, relations, words):
    model = deploy(1, relations=relations)
    assert model.statuses[0] == ops.BlockedStatus(words)
    assert model.machines[0].services == {}


def test_a_hook_that_is_about_nothing_leaves_what_is_waited_for(deploy):
    model = deploy(2, relations=(CERTIFICATES,))
    model.run(0, lambda peers: model.on.relation_joined(peers, remote_unit=1))
    assert model.statuses[0] == ops.BlockedStatus("integrate with Ceph: juju integrate ceph-rgw:ceph ceph")


def test_a_daemon_that_died_is_told_by_every_hook(deploy):
    model = deploy(2)
    model.machines[0].services[UNIT] = "failed"
    model.run(0, lambda peers: model.on.relation_joined(peers, remote_unit=1))
    assert model.statuses[0] == ops.BlockedStatus(
        f"radosgw does not run; see juju ssh ceph-rgw/0 journalctl -u {UNIT}"
    )


def test_ceph_refusing_is_told(deploy):
    model = deploy(1, relations=(CERTIFICATES,))
    answer = {"api-version": 1, "exit-code": 1, "stderr": "no room", "request-id": "pools-regionone-a"}
    model.relations[CEPH] = monitors.relation(CEPH)
    model.tell(CEPH, unit={"broker-rsp-ceph-rgw-0": json.dumps(answer)})
    model.update_status()
    assert model.statuses[0] == ops.BlockedStatus("ceph refuses: no room")


def test_what_one_relation_says_wrong_keeps_no_other_from_going_on(deploy):
    model = deploy(1, relations=())
    answer = {"exit-code": 1, "stderr": "no room", "request-id": "pools-regionone-a"}
    model.relations |= {CEPH: monitors.relation(CEPH), CERTIFICATES: RELATIONS[CERTIFICATES]}
    model.tell(CEPH, unit={"broker-rsp-ceph-rgw-0": json.dumps(answer)})
    model.update_status()
    assert model.statuses[0] == ops.BlockedStatus("ceph refuses: no room")
    assert "certificate_signing_requests" in model.local[CERTIFICATES, 0]


def test_a_keystone_that_says_what_cannot_be_used_is_named(deploy, keystone):
    model = deploy(1)
    model.integrate(IDENTITY, **keystone(model) | {"internal-auth-url": "file:///etc/shadow"})
    assert model.statuses[0].name == "blocked"
    assert "keystone says internal-auth-url='file:///etc/shadow'" in model.statuses[0].message


def test_a_cluster_that_does_not_answer_is_waited_for(deploy):
    model = Model(1, relations=(CERTIFICATES,))
    model.zone.reaches = False
    model.integrate(CEPH)
    assert model.statuses[0].name == "waiting"
    assert model.statuses[0].message.startswith("for Ceph: the Ceph cluster does not let this unit in")
    model.zone.reaches = True
    model.update_status()
    assert model.statuses[0] == ops.ActiveStatus("")


def test_names_of_what_is_made_cannot_change(deploy):
    model = deploy(1)
    model.configure(zone="other")
    assert model.statuses[0] == ops.BlockedStatus(
        "config zone=other cannot be changed to: objects are in regionone-a; set it back"
    )
    assert model.zone.zones == {"regionone-a"}
    assert model.machines[0].rgw.serves


def test_a_zone_half_made_is_finished_by_the_next_hook(deploy):
    model = Model(1, relations=(CERTIFICATES,))
    model.zone.realms.add("openinfra")
    model.zone.groups.add("regionone")
    model.integrate(CEPH)
    assert model.zone.zones == {"regionone-a"}
    assert model.statuses[0] == ops.ActiveStatus("")


def test_another_option_restarts_every_unit_once_in_its_turn(deploy):
    model = deploy(3)
    serving = []
    for machine in model.machines.values():
        restart = machine.restart_services

        def watch(*units, restart=restart):
            restart(*units)
            serving.append(sum(machine.rgw.serves for machine in model.machines.values()))

        machine.restart_services = watch
        machine.start_seconds = 2
    model.configure(public_hostname="s3.example.org")
    assert min(serving) == 2
    assert all(machine.rgw.options["rgw_dns_name"] == "s3.example.org" for machine in model.machines.values())
    assert not any(machine.rgw.outdated for machine in model.machines.values())
    assert model.shared.get("turn-holder") is None


def test_a_renewed_certificate_is_taken_up_without_a_restart_and_then_acknowledged(deploy, keystone):
    model = deploy(1)
    model.integrate(IDENTITY, **keystone(model))
    machine = model.machines[0]
    old, acknowledged, before = machine.rgw.certificate, served(model, 0), restarts(model)
    machine.clock += 25 * 86400
    model.update_status()
    model.settle()
    assert machine.rgw.certificate not in {"", old}
    assert machine.rgw.certificate.startswith(machine.read("/etc/ceph-rgw/tls/certificate.pem"))
    assert served(model, 0) != acknowledged
    assert (restarts(model), machine.log.count(f"reload {FRONT}")) == (before, 1)
    assert model.statuses[0] == ops.ActiveStatus("")


def served(model, number):
    """What a unit has told the CA that it serves."""
    return {key: value for key, value in model.local[CERTIFICATES, number].items() if "serves" in value}


def test_who_asks_is_told_by_the_front_alone(deploy):
    """What clients say of themselves does not reach the daemon, which nobody else reaches."""
    model = deploy(1)
    machine = model.machines[0]
    assert machine.rgw.options["rgw_frontends"] == "beast endpoint=127.0.0.1:17481 tcp_nodelay=1"
    assert machine.rgw.options["rgw_remote_addr_param"] == "HTTP_X_FORWARDED_FOR"
    assert machine.rgw.options["rgw_trust_forwarded_https"] == "true"
    assert machine.rgw.options["debug_rgw_access"] == "0/0"
    front = machine.read("/etc/ceph-rgw/front.cfg")
    assert "bind 10.0.0.10:17480 ssl crt /etc/ceph-rgw/tls/combined.pem " in front
    assert "server local 127.0.0.1:17481\n" in front
    key = machine.nodes["/etc/ceph-rgw/tls/combined.pem"]
    assert (key.mode, key.owner) == (0o600, ("ceph", "ceph"))
    assert "User=ceph\n" in machine.read(f"/etc/systemd/system/{FRONT}")


def test_the_packages_own_service_does_not_start(deploy):
    model = Model(0)
    machine = model.add_unit()
    assert "haproxy.service" not in machine.enabled
    assert machine.services.get("haproxy.service") != "active"
    assert FRONT in machine.enabled


def test_large_bodies_have_hours(deploy):
    front = deploy(1).machines[0].read("/etc/ceph-rgw/front.cfg")
    for line in ("timeout client 3600s", "timeout server 3600s", "hard-stop-after 86400s"):
        assert f" {line}\n" in front
    assert "http-server-close" not in front
    assert "http-buffer-request" not in front


def test_the_gateway_begins_connections_with_the_clients_address(deploy):
    model = deploy(2)
    model.integrate(GATEWAY)
    model.tell(GATEWAY, unit={"sources": '["10.0.0.7"]', "egress-subnets": "10.0.0.7/32"})
    model.update_status()
    model.update_status()
    front = model.machines[1].read("/etc/ceph-rgw/front.cfg")
    assert "bind 10.0.0.11:27480 accept-proxy ssl " in front
    (rule,) = re.findall(r"tcp-request connection reject if \{ dst_port 27480 \} !\{ src (.+) \}", front)
    assert "10.0.0.7" in rule.split()
    asked = model.local[GATEWAY, "app"]
    assert (asked["backend_port"], asked["proxy_protocol"]) == ("27480", "true")


def as_before_there_were_fronts(machine):
    """Leave a machine as the charm's last version without a front did."""
    path, records = machine.rgw.config_path, "/var/lib/openinfra/ceph-rgw/services"
    old = (
        "rgw_frontends = beast ssl_endpoint={0}:17480 ssl_certificate={1}/chain.pem "
        "ssl_private_key={1}/key.pem tcp_nodelay=1".format(machine.address, "/etc/ceph-rgw/tls")
    )
    text = machine.read(path)
    machine.stop_services(FRONT)
    for left in (f"{records}/{FRONT}", "/etc/ceph-rgw/front.cfg", "/etc/ceph-rgw/tls/combined.pem"):
        machine.remove(left)
    lines = [line for line in text.splitlines() if "forwarded" not in line.lower()]
    machine.write(path, "\n".join(old if "rgw_frontends" in line else line for line in lines))
    machine.restart_services(machine.rgw.unit)
    machine.write(f"{records}/{machine.rgw.unit}", "as it was")
    machine.log.clear()


@pytest.fixture
def refreshed(deploy):
    """Three units as an older version of the charm left them, behind a gateway; the charm has just been refreshed."""
    model = deploy(3)
    model.integrate(GATEWAY)
    model.tell(GATEWAY, unit={"sources": '["10.0.0.7"]', "egress-subnets": "10.0.0.7/32"})
    for number, machine in model.machines.items():
        as_before_there_were_fronts(machine)
        assert machine.rgw.serves
        model.unit_data[number].pop("takes_proxied")
    model.local[GATEWAY, "app"] |= {"backend_port": "17480", "proxy_protocol": ""}
    return model


def test_a_refresh_moves_the_port_from_one_daemon_to_its_front_after_the_other(refreshed):
    model = refreshed
    model.held = {0}
    model.run(1, model.on.upgrade_charm())
    # It does not have the lock yet: it serves as before, and the gateway goes on asking it there.
    assert model.machines[1].rgw.serves
    assert FRONT not in model.machines[1].enabled
    assert "takes_proxied" not in model.unit_data[1]
    assert model.local[GATEWAY, "app"]["backend_port"] == "17480"
    serving = []
    for machine in model.machines.values():
        restart = machine.restart_services

        def watch(*units, restart=restart):
            restart(*units)
            serving.append(sum(one.rgw.serves for one in model.machines.values()))

        machine.restart_services = watch
    model.held = set()
    for number in model.machines:
        model.run(number, model.on.upgrade_charm())
    for _ in range(4):
        model.update_status()
    assert restarts(model) == [1, 1, 1]
    assert min(serving) == 2
    assert all(machine.rgw.serves and not machine.rgw.outdated for machine in model.machines.values())
    assert [machine.services[FRONT] for machine in model.machines.values()] == ["active"] * 3
    assert model.local[GATEWAY, "app"]["backend_port"] == "27480"
    assert list(model.statuses.values()) == [ops.ActiveStatus("")] * 3


def test_a_refresh_goes_on_after_a_power_loss(refreshed):
    """The daemon starts with what is on the disk: with the port of the new version, before the unit has the lock."""
    model = refreshed
    model.held = {0}
    model.run(1, model.on.upgrade_charm())
    model.machines[1].power_off()
    model.machines[1].power_on()
    model.held = set()
    for _ in range(4):
        model.update_status()
    assert all(machine.rgw.serves and not machine.rgw.outdated for machine in model.machines.values())


def test_a_front_that_died_is_told(deploy):
    model = deploy(2)
    model.machines[0].services[FRONT] = "failed"
    model.run(0, lambda peers: model.on.relation_joined(peers, remote_unit=1))
    assert model.statuses[0] == ops.BlockedStatus(
        f"haproxy does not run; see juju ssh ceph-rgw/0 journalctl -u {FRONT}"
    )


def test_a_new_ca_restarts_the_daemon_only_where_it_asks_keystone(deploy, keystone):
    model = deploy(1)
    machine = model.machines[0]
    for ca, times in (("another CA", 0), ("a third CA", 1)):
        if times:
            model.integrate(IDENTITY, **keystone(model))
        machine.log.clear()
        model.ca = authority.make(ca, 1_000_000)
        model.tell(CERTIFICATES, {"certificates": "[]"})
        model.sign(CERTIFICATES, model.ca)
        model.update_status()
        assert restarts(model) == [times]


def test_certificates_name_buckets_and_the_gateway(deploy):
    model = deploy(1, public_hostname="s3.example.org")
    model.integrate(GATEWAY, endpoints='["10.0.0.100:7480"]')
    dns, addresses = names_in(model, 0)
    assert {"s3.example.org", "*.s3.example.org", "machine-0"} == dns
    assert addresses == {"10.0.0.10", "10.0.0.100"}


def test_others_are_told_where_a_translation_leads_here(deploy, keystone):
    model = deploy(1)
    model.translated = {0: "203.0.113.10"}
    model.integrate(IDENTITY, **keystone(model))
    (url,) = {
        entry["public_url"]
        for entry in json.loads(model.local[IDENTITY, "app"]["service-endpoints"])
        if entry["type"] == "s3"
    }
    assert url == "https://203.0.113.10:17480"
    assert names_in(model, 0)[1] == {"10.0.0.10", "203.0.113.10"}
    model.integrate(GATEWAY)
    assert json.loads(model.local[GATEWAY, 0]["address"]) == "203.0.113.10"


def test_the_gateway_checks_what_only_the_cluster_can_answer(deploy):
    model = deploy(2)
    model.integrate(GATEWAY)
    route = model.local[GATEWAY, "app"]
    assert (route["port"], route["backend_port"]) == ("7480", "17480")
    assert json.loads(route["openinfra"])["health"]["path"] == "/ceph-rgw-health"
    assert json.loads(model.local[GATEWAY, 1]["address"]) == "10.0.0.11"
    assert model.zone.buckets == {"ceph-rgw-health": "openinfra-health"}
    assert model.zone.users["openinfra-health"].keys == {}


def test_the_catalogue_has_the_units_address_without_a_gateway(deploy, keystone):
    model = deploy(2)
    model.integrate(IDENTITY, **keystone(model))
    found = {entry["type"]: entry for entry in json.loads(model.local[IDENTITY, "app"]["service-endpoints"])}
    assert found["s3"]["public_url"] == "https://10.0.0.10:17480"
    assert found["object-store"]["public_url"] == "https://10.0.0.10:17480/swift/v1/AUTH_%(project_id)s"


def test_the_catalogue_waits_for_the_gateway(deploy, keystone):
    model = deploy(1)
    model.integrate(GATEWAY)
    model.integrate(IDENTITY, **keystone(model))
    assert json.loads(model.local[IDENTITY, "app"]["service-endpoints"]) == []
    model.integrate(GATEWAY, endpoints='["10.0.0.100:7480"]')
    found = json.loads(model.local[IDENTITY, "app"]["service-endpoints"])
    assert {entry["public_url"] for entry in found if entry["type"] == "s3"} == {"https://10.0.0.100:7480"}


def test_keystones_users_are_served(deploy, keystone):
    model = deploy(1)
    model.integrate(IDENTITY, **keystone(model))
    options = model.machines[0].rgw.options
    assert options["rgw_keystone_url"] == "https://10.0.0.5:5000"
    assert options["rgw_keystone_admin_user"] == "ceph-rgw"
    assert options["rgw_keystone_implicit_tenants"] == options["rgw_swift_account_in_url"] == "true"
    assert options["rgw_keystone_accepted_roles"] == "member, manager, admin"
    assert options["rgw_keystone_token_cache_size"] == "0"
    assert model.machines[0].read(options["rgw_keystone_admin_password_path"]) == "the-password\n"
    assert model.statuses[0] == ops.ActiveStatus("")


def test_while_keystone_has_not_answered_the_gateway_goes_on_as_it_was(deploy):
    model = deploy(1)
    model.machines[0].log.clear()
    model.integrate(IDENTITY)
    assert model.statuses[0] == ops.WaitingStatus("for keystone to make a user")
    assert model.machines[0].rgw.serves
    assert restarts(model) == [0]


def test_a_new_password_needs_no_restart_and_a_new_user_one(deploy, keystone):
    model = deploy(1)
    model.integrate(IDENTITY, **keystone(model))
    model.machines[0].log.clear()
    model.integrate(IDENTITY, **keystone(model, password="another"))
    assert model.machines[0].read("/etc/ceph-rgw/keystone-password") == "another\n"
    assert restarts(model) == [0]
    model.integrate(IDENTITY, **keystone(model, user="ceph-rgw-2"))
    assert restarts(model) == [1]


def secret(model, secret_id):
    return next(one for one in model.secrets if one.id == secret_id)


def test_a_user_is_taken_up_when_the_daemon_runs_with_it(deploy, keystone, monkeypatch):
    model = deploy(1)
    model.integrate(IDENTITY, **keystone(model))
    secret_id = model.relations[IDENTITY].remote_app_data["service-credentials"]
    newest = {"username": "ceph-rgw-2", "password": "another"}
    known = secret(model, secret_id)
    model.secrets = model.secrets - {known} | {dataclasses.replace(known, latest_content=newest)}
    with monkeypatch.context() as patched:
        patched.setattr("openinfra_charm.model.cluster.Cluster.acquire_lock", lambda *_: False)
        model.update_status()
    assert model.machines[0].rgw.options["rgw_keystone_admin_user"] == "ceph-rgw"
    assert secret(model, secret_id).tracked_content["username"] == "ceph-rgw"
    model.update_status()
    assert model.machines[0].rgw.options["rgw_keystone_admin_user"] == "ceph-rgw-2"
    assert secret(model, secret_id).tracked_content == newest


def test_without_keystone_again_only_own_users_are_served(deploy, keystone):
    model = deploy(1)
    model.integrate(IDENTITY, **keystone(model))
    del model.relations[IDENTITY]
    model.update_status()
    assert "rgw_keystone_url" not in model.machines[0].rgw.options
    assert not model.machines[0].exists("/etc/ceph-rgw/keystone-password")


def test_another_application_on_the_machine_blocks(deploy):
    model = deploy(1)
    model.machines[0].have("/var/lib/openinfra/owners/radosgw", "other/0\n")
    model.update_status()
    assert model.statuses[0] == ops.BlockedStatus(
        "other/0 runs an object gateway on this machine already: remove one of the two"
    )
    assert "other/0" in model.machines[0].read("/var/lib/openinfra/owners/radosgw")
    assert "other/0 runs an object gateway on this machine: juju run other/0 pause" in model.refuse(
        0, "pause"
    )


def test_a_daemon_that_died_is_started_by_the_next_hook(deploy):
    model = deploy(1)
    model.machines[0].services[UNIT] = "failed"
    model.update_status()
    assert model.machines[0].services[UNIT] == "active"


def test_when_ceph_goes_the_daemon_stops_and_another_ceph_gets_a_zone(deploy):
    model = deploy(1)
    model.run(0, model.on.relation_broken, relation=CEPH)
    assert model.machines[0].services[UNIT] == "inactive"
    assert model.statuses[0] == ops.BlockedStatus("integrate with Ceph: juju integrate ceph-rgw:ceph ceph")
    assert "founded" not in model.shared


def test_what_a_unit_had_goes_with_it(deploy):
    model = deploy(2)
    machine = model.machines[1]
    model.run(1, model.on.stop())
    model.run(1, model.on.remove(), formed=False)
    assert machine.services["ceph-radosgw@rgw.machine-1.service"] == "inactive"
    left = [path for path in machine.nodes if "rgw" in path and not path.startswith("/etc/ceph/")]
    assert left == []
    assert "radosgw" not in machine.packages
    assert model.machines[0].rgw.serves


# Actions


def test_a_users_keys_are_in_the_result_only(deploy):
    model = deploy(1)
    done = model.action(0, "create-user", name="backup", max_size="10G")
    user = model.zone.users["backup"]
    assert user.keys == {done["result"]["access-key"]: done["result"]["secret-key"]}
    assert user.max_size == 10 << 30
    assert not [
        path
        for path, node in model.machines[0].nodes.items()
        if done["result"]["secret-key"] in (node.content or "")
    ]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "a b"}, "name=a b: expected letters"),
        ({"name": "x", "max_size": "lots"}, "max-size=lots: expected a size such as 10G"),
        ({"name": "known"}, "there is a user known already"),
    ],
)
def test_a_user_that_cannot_be_is_refused(deploy, params, words):
    model = deploy(1)
    model.action(0, "create-user", name="known")
    assert words in model.refuse(0, "create-user", **params)


def test_users_and_buckets_are_listed(deploy):
    model = deploy(1)
    model.action(0, "create-user", name="backup")
    model.zone.buckets["data"], model.zone.objects["data"] = "backup", 3
    (user,) = model.action(0, "list-users")["result"]
    assert user == {"name": "backup", "display-name": "backup", "buckets": 1, "bytes": 12288, "max-bytes": 0}
    assert model.action(0, "list-buckets")["result"] == [
        {"name": "data", "owner": "backup", "bytes": 12288, "objects": 3}
    ]
    assert "there is no user nobody" in model.refuse(0, "list-buckets", user="nobody")


@pytest.fixture
def crowded(deploy):
    """A unit of a zone with three thousand users; each command of radosgw-admin takes as long as it really does."""
    model = deploy(1)
    names = [f"user-{number:04}" for number in range(3000)]
    # Ceph lists them by the hashes of their names.
    for name in sorted(names, key=lambda name: name[::-1]):
        model.zone.users[name] = programs.User(name=name, display_name="d" * 50)
        model.zone.buckets[f"{name}-data"], model.zone.objects[f"{name}-data"] = name, 2
    model.zone.seconds = 0.3
    return model


def pages_of(model, action, **params):
    """All pages of a list; each is an action of its own, which has a minute."""
    marker, found = "", []
    while True:
        done = model.action(0, action, marker=marker, **params)
        assert len(json.dumps(done["result"])) < 128 << 10
        found.append(done)
        marker = done.get("marker", "")
        if not marker:
            return found


def test_thousands_of_users_are_listed_page_by_page(crowded):
    first = crowded.action(0, "list-users")
    shown = len(first["result"])
    assert 20 < shown < 100
    last = first["result"][-1]["name"]
    assert first["marker"] == last == f"user-{shown - 1:04}"
    assert first["summary"] == (
        f"{shown} of 3000 users; go on with: juju run ceph-rgw/0 list-users marker={last}"
    )
    assert crowded.action(0, "list-users", marker=last, limit=5)["result"][0]["name"] == f"user-{shown:04}"
    assert len(crowded.action(0, "list-users", limit=5)["result"]) == 5
    crowded.zone.seconds = 0
    found = pages_of(crowded, "list-users", limit=1000)
    names = [one["name"] for page in found for one in page["result"]]
    assert names == [f"user-{number:04}" for number in range(3000)]
    assert "marker" not in found[-1]


def test_thousands_of_buckets_are_listed_page_by_page(crowded):
    first = crowded.action(0, "list-buckets")
    assert 20 < len(first["result"]) < 100
    assert "of 3000 buckets; go on with: juju run ceph-rgw/0 list-buckets marker=" in first["summary"]
    assert crowded.action(0, "list-buckets", user="user-0007")["result"] == [
        {"name": "user-0007-data", "owner": "user-0007", "bytes": 8192, "objects": 2}
    ]
    crowded.zone.seconds = 0
    names = [one["name"] for page in pages_of(crowded, "list-buckets", limit=1000) for one in page["result"]]
    assert names == [f"user-{number:04}-data" for number in range(3000)]


def test_the_command_for_the_next_page_can_be_pasted(crowded):
    """A project's user has a dollar in the name."""
    crowded.zone.users["0ab$0ab"] = programs.User(name="0ab$0ab", display_name="project")
    told = crowded.action(0, "list-users", limit=1)
    assert told["summary"].endswith("list-users 'marker=0ab$0ab'")
    assert told["marker"] == "0ab$0ab"


def test_long_entries_end_a_page(crowded):
    crowded.zone.seconds = 0
    for user in crowded.zone.users.values():
        user.display_name = "d" * 1000
    assert 50 < len(crowded.action(0, "list-users", limit=1000)["result"]) < 70


def test_a_user_with_thousands_of_buckets(crowded):
    """Their bytes are not counted: that takes longer than an action."""
    crowded.zone.users["user-0000"].max_buckets = 0
    crowded.zone.buckets |= {f"more-{number:04}": "user-0000" for number in range(5000)}
    (first,) = crowded.action(0, "list-users", limit=1)["result"]
    assert (first["buckets"], first["bytes"]) == (5001, None)
    told = crowded.action(0, "delete-user", name="user-0000", purge=True)
    assert "user-0000 and 5001 buckets would be lost" in told["summary"]
    assert "the first 200 are shown, list-buckets user=user-0000 has all" in told["summary"]
    assert len(told["result"]) == 200
    shown = crowded.action(0, "list-buckets", user="user-0000")
    assert "list-buckets user=user-0000 marker=" in shown["summary"]


def test_who_is_gone_by_now_is_passed_over(crowded, monkeypatch):
    crowded.zone.seconds = 0
    users = Admin.users
    monkeypatch.setattr(Admin, "users", lambda admin: sorted([*users(admin), "a-user-of-before"]))
    assert crowded.action(0, "list-users", limit=1)["result"][0]["name"] == "user-0000"


def test_deleting_a_user_says_first_what_would_be_lost(deploy):
    model = deploy(1)
    model.action(0, "create-user", name="backup")
    model.zone.buckets["data"], model.zone.objects["data"] = "backup", 3
    assert "1 buckets with 3 objects: purge=true" in model.refuse(
        0, "delete-user", name="backup", dry_run=False
    )
    assert "would be lost" in model.action(0, "delete-user", name="backup", purge=True)["summary"]
    assert "backup" in model.zone.users
    model.action(0, "delete-user", name="backup", purge=True, dry_run=False)
    assert model.machines[0].run_jobs() == [0]
    assert "backup" not in model.zone.users
    assert "data" not in model.zone.buckets


@pytest.fixture
def purging(deploy):
    """A unit on which a user with two buckets is about to be deleted."""
    model = deploy(1)
    model.action(0, "create-user", name="backup")
    model.zone.buckets |= {"data": "backup", "more": "backup"}
    model.zone.objects |= {"data": 3_000_000, "more": 1}
    done = model.action(0, "delete-user", name="backup", purge=True, dry_run=False)
    assert done["result"] == {"job-id": "delete-user-1"}
    assert done["summary"] == (
        "delete-user-1 started; 2 buckets with 3000001 objects to delete; backup is suspended; see show-job"
    )
    return model


def test_what_a_user_keeps_is_deleted_by_a_job(purging):
    """As long as there are objects: an action has a minute. Nobody adds to them meanwhile."""
    assert purging.zone.users["backup"].suspended
    purging.run(0, purging.on.update_status())
    assert purging.statuses[0] == ops.MaintenanceStatus("delete-user-1: running")
    assert purging.machines[0].run_jobs() == [0]
    (told,) = purging.action(0, "show-job")["result"]
    assert (told["state"], told["progress"]) == ("done", "user backup is gone, and all that it had")
    purging.run(0, purging.on.update_status())
    assert purging.statuses[0] == ops.ActiveStatus("")
    (line,) = [line for line in purging.machines[0].argv if "bucket rm --bucket=data" in line]
    assert line.endswith("--purge-objects")


def test_a_program_can_be_waited_for_as_long_as_a_deletion_may_take():
    assert Machine().run("true", timeout=PURGE_SECONDS).code == 0


def test_a_deletion_goes_on_after_a_power_loss(purging):
    machine = purging.machines[0]
    machine.power_off()
    machine.power_on()
    machine.sleep(60)
    purging.update_status()
    assert machine.run_jobs() == [0]
    assert not {"data", "more"} & purging.zone.buckets.keys()


def test_a_deletion_waits_for_ceph(purging):
    purging.zone.reaches = False
    assert purging.machines[0].run_jobs() != [0]
    purging.zone.reaches = True
    purging.machines[0].sleep(3600)
    purging.update_status()
    assert purging.machines[0].run_jobs() == [0]
    assert "backup" not in purging.zone.users


def test_who_has_the_name_next_keeps_what_is_theirs(purging):
    """The job names the user by its name, which may be given again: only one that is suspended is deleted."""
    purging.zone.users["backup"] = dataclasses.replace(purging.zone.users["backup"], suspended=False)
    assert purging.machines[0].run_jobs() == [1]
    assert {"data", "more"} <= purging.zone.buckets.keys()
    (told,) = purging.action(0, "show-job")["result"]
    assert told["progress"].startswith("user backup is not suspended: nothing more is deleted")


def test_all_names_that_clients_use_are_ceph_s(deploy):
    """With a name of its own it takes any other one for a bucket's, the gateway's too."""
    model = deploy(2, public_hostname="s3.example.org")
    assert model.zone.host_names == []
    model.integrate(GATEWAY, endpoints='["cloud.example.com:7480"]')
    assert model.zone.host_names == ["cloud.example.com", "s3.example.org"]
    assert model.zone.committed
    assert restarts(model) == [1, 1]
    assert model.machines[1].read("/etc/ceph-rgw/host-names") == "cloud.example.com\ns3.example.org\n"
    model.configure(public_hostname="")
    assert model.zone.host_names == []


def test_the_charms_own_user_is_nobodys(deploy):
    model = deploy(1)
    assert "there is no user openinfra-health" in model.refuse(
        0, "delete-user", name="openinfra-health", dry_run=False
    )


def test_a_quota_is_set_and_lifted(deploy):
    model = deploy(1)
    model.action(0, "create-user", name="backup")
    model.action(0, "set-quota", user="backup", max_size="1G")
    assert model.zone.users["backup"].max_size == 1 << 30
    model.action(0, "set-quota", user="backup")
    assert model.zone.users["backup"].max_size is None


def test_endpoints_are_told(deploy, keystone):
    model = deploy(1, public_hostname="s3.example.org")
    assert model.action(0, "get-endpoints")["result"] == {
        "s3": "https://s3.example.org:17480",
        "region": "regionone",
        "keys": "juju run ceph-rgw/0 create-user name=NAME",
    }
    model.integrate(IDENTITY, **keystone(model))
    model.integrate(GATEWAY, endpoints='["10.0.0.100:7480"]')
    told = model.action(0, "get-endpoints")["result"]
    assert told["swift"] == "https://s3.example.org:7480/swift/v1"
    assert told["keys"] == "openstack ec2 credentials create"


def test_endpoints_are_not_told_of_options_that_cannot_be_used(deploy):
    model = deploy(1)
    model.configure(public_hostname="S3")
    assert "config public-hostname='S3' cannot be used" in model.refuse(0, "get-endpoints")


def test_actions_wait_for_a_zone(deploy):
    model = deploy(1, relations=())
    assert "there is no zone yet" in model.refuse(0, "create-user", name="backup")
    assert "nothing is served yet" in model.refuse(0, "get-endpoints")


def test_a_paused_gateway_stays_down_until_it_is_resumed(deploy):
    model = deploy(1)
    model.action(0, "pause")
    model.update_status()
    assert model.machines[0].services[UNIT] == "inactive"
    assert model.statuses[0] == ops.MaintenanceStatus("paused; start it again: juju run ceph-rgw/0 resume")
    model.action(0, "resume")
    assert model.machines[0].services[UNIT] == "active"
    assert model.action(0, "resume") == {"summary": "not paused; nothing to do"}


def test_services_go_where_the_gateway_is_in_their_network(deploy, keystone):
    model = deploy(1, public_hostname="s3.example.org")
    model.integrate(IDENTITY, **keystone(model))
    model.integrate(
        GATEWAY, endpoints='["203.0.113.7:7480"]', **{"internal-endpoints": '["10.1.0.100:7480"]'}
    )
    model.settle()
    (swift, _) = json.loads(model.local[IDENTITY, "app"]["service-endpoints"])
    assert swift["public_url"] == "https://s3.example.org:7480/swift/v1/AUTH_%(project_id)s"
    assert (
        swift["internal_url"] == swift["admin_url"] == "https://10.1.0.100:7480/swift/v1/AUTH_%(project_id)s"
    )
    assert {"203.0.113.7", "10.1.0.100"} <= names_in(model, 0)[1]
