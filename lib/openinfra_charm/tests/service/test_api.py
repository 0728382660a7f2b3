"""A charm that is a specification and nothing else, on one machine and on three: what every OpenStack API does."""

import configparser
import dataclasses
import json
import re
import shutil
from pathlib import Path

import authority
import ops
import pytest
from api_model import CACHE, CERTIFICATES, DATABASE, DATABASE_SECRET, GATEWAY, IDENTITY

from openinfra_charm.daemon.next_hook import JUJU_EXEC
from openinfra_charm.machine import Answer, use
from openinfra_charm.openstack import check

CHARM = Path(__file__).parents[4] / "tests/probes/notes/src"
API, FILER, FRONT = "notes-api.service", "notes-filer.service", "notes-front.service"
CONFIG = "/etc/notes/notes.conf"


def configuration(machine):
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(machine.read(CONFIG))
    return parser


def starts(model, unit):
    return [machine.starts[unit] for machine in model.machines.values()]


def begun(model):
    """Return the machine of a first unit, none of whose hooks has run."""
    machine = model.machines[0] = model.make_machine(0)
    model.unit_data[0] = {}
    return machine


# The first deploy


def test_it_serves_with_a_schema_that_was_made_once(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert three.done == ["sync", "tables of database"]
    for unit in (API, FILER, FRONT):
        assert starts(three, unit) == [1, 1, 1], unit


def test_a_first_migration_that_was_interrupted_begins_anew(one):
    api = one.machines[0].api
    one.done.clear()
    del one.app_data["bootstrapped"]
    api.loses_database = True
    one.update_status()
    assert "Lost connection" in one.statuses[0].message
    api.loses_database = False
    one.update_status()
    assert one.statuses[0] == ops.ActiveStatus()
    assert one.done == ["sync", "tables of database"]


def test_a_unit_that_waits_for_its_process_looks_again_soon_and_one_that_leaves_does_not(one):
    machine = one.machines[0]
    machine.have(JUJU_EXEC, "")
    machine.api.broken = "database: OperationalError"
    one.update_status()
    assert [unit for _, unit in machine.timers.values()] == ["notes/0"]
    one.run(0, one.on.stop())
    assert machine.timers == {}
    one.run(0, one.on.remove())
    assert machine.timers == {}


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.relate_gateway("10.0.0.100:8900")
    three.update_status()
    three.update_status()
    before = three.snapshot()
    three.log()
    for _ in range(2):
        three.every()
        three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


def test_the_configuration_has_what_others_gave(one):
    found = configuration(one.machines[0])
    assert found["database"]["connection"].startswith(
        "mysql+pymysql://relation-1-1:db-password@10.0.0.5:3306/service?"
    )
    assert found["cache"]["memcache_servers"] == "10.0.1.0:11211"
    token = found["keystone_authtoken"]
    assert (token["auth_url"], token["www_authenticate_uri"]) == (
        "https://10.1.0.9:5000/v3",
        "https://10.0.0.9:5000/v3",
    )
    assert (token["username"], token["password"]) == ("svc-2-1", "token-password")
    assert token["cafile"] == "/etc/notes/tls/ca.pem"
    assert found["DEFAULT"]["longest"] == "100"


def test_the_service_asks_others_as_its_own_user_and_says_so(one):
    found = configuration(one.machines[0])
    asks, token = found["service_user"], found["keystone_authtoken"]
    assert asks["send_service_user_token"] == "true"
    assert asks["valid_interfaces"] == "internal"
    login = ("auth_url", "auth_type", "username", "password", "project_name", "region_name", "cafile")
    assert {key: asks[key] for key in login} == {key: token[key] for key in login}


def test_credentials_are_in_files_that_others_cannot_read(one):
    machine = one.machines[0]
    held = [path for path, node in machine.nodes.items() if node.content and "token-password" in node.content]
    assert CONFIG in held
    assert [path for path in held if machine.nodes[path].mode & 0o007] == []


def test_the_process_runs_a_program_of_the_release_tree(one):
    unit = one.machines[0].read(f"/etc/systemd/system/{FILER}")
    assert (
        "\nExecStart=/opt/notes/current/bin/python /usr/lib/openinfra/notes/notes.py /etc/notes/notes.conf file\n"
        in unit
    )
    assert "\nUser=notes\n" in unit
    assert "\nRestart=always\n" in unit


def test_keystone_is_asked_for_a_user_and_a_place_in_the_catalogue(three):
    def urls():
        (asked,) = json.loads(three.local[IDENTITY, "app"]["service-endpoints"])
        assert (asked["service_name"], asked["type"]) == ("notes", "notes")
        return [asked[f"{kind}_url"] for kind in ("public", "internal", "admin")]

    asked = three.local[IDENTITY, "app"]
    assert (asked["region"], asked["roles-enough"]) == ("RegionOne", '["service"]')
    assert urls() == ["https://10.0.0.10:18900/v1"] * 3
    three.relate_gateway("cloud.example:8900")
    three.tell(GATEWAY, app={"internal-endpoints": '["10.1.0.100:8900"]'})
    three.update_status()
    assert urls() == ["https://cloud.example:8900/v1", *["https://10.1.0.100:8900/v1"] * 2]


def test_the_database_is_named_after_the_application(one):
    assert one.local[DATABASE, "app"]["database"] == "notes"


def test_the_packaged_haproxy_does_not_start_with_the_machine(deploy):
    model = deploy(0)
    machine = begun(model)
    machine.enabled.add("haproxy.service")
    model.run(0, model.on.install(), formed=False)
    assert "haproxy.service" not in machine.enabled


def test_the_process_knows_where_its_databases_are_and_limits_its_caches(one):
    unit = one.machines[0].read(f"/etc/systemd/system/{API}")
    assert "\nEnvironment=OPENINFRA_DATABASES=database\n" in unit
    assert " --import openinfra_cache --module openinfra_wsgi:application " in unit


def test_what_is_open_is_neither_asked_for_nor_missed(one):
    assert one.statuses[0] == ops.ActiveStatus()
    assert "messaging" not in one.machines[0].read(CONFIG)


# What is missing


@pytest.mark.parametrize(
    ("relation", "words"),
    [
        (DATABASE, "no database: juju integrate notes mysql"),
        (IDENTITY, "no identity: juju integrate notes keystone"),
        (CERTIFICATES, "no TLS: juju integrate notes certificates"),
    ],
)
def test_what_is_not_related_is_named(deploy, relation, words):
    model = deploy(0)
    del model.relations[relation]
    model.add_unit()
    assert model.statuses[0] == ops.BlockedStatus(words)
    assert API not in model.machines[0].services


def test_what_is_waited_for_is_named(deploy):
    model = deploy(0)
    known = model.relations[IDENTITY]
    model.relations[IDENTITY] = dataclasses.replace(known, remote_app_data={})
    model.add_unit()
    assert model.statuses[0] == ops.WaitingStatus("for keystone to make a user")
    model.relate(known)
    model.update_status()
    assert model.statuses[0] == ops.ActiveStatus()


def test_what_would_be_good_to_have_is_noted(three):
    three.unrelate(CACHE)
    assert not configuration(three.machines[0])["cache"].getboolean("enabled")
    assert three.statuses[0] == ops.ActiveStatus(
        "clients reach only https://10.0.0.10:18900: juju integrate notes gateway; "
        "nothing is cached: juju integrate notes memcached"
    )


def test_a_schema_that_cannot_be_made_is_told_and_tried_again(deploy):
    model = deploy(0)
    machine = begun(model)
    machine.api.refused = "Traceback\n  File\nLost connection"
    model.run(0, model.on.config_changed())
    model.update_status()
    assert model.statuses[0] == ops.WaitingStatus(
        "the database cannot be brought to this release: Lost connection"
    )
    machine.api.refused = ""
    model.update_status()
    assert model.statuses[0] == ops.ActiveStatus()


def test_a_process_that_does_not_run_is_named(one):
    machine = one.machines[0]
    machine.services[FILER] = "failed"
    one.run(0, one.on.action("show-job"))
    assert one.statuses[0] == ops.WaitingStatus(f"for Notes: {FILER} does not run; see journalctl -u {FILER}")
    one.update_status()
    assert machine.services[FILER] == "active"
    assert one.statuses[0] == ops.ActiveStatus()


def test_what_one_relation_says_wrong_is_told_beside_what_others_lack(deploy):
    model = deploy(0)
    database, identity = model.relations[DATABASE], model.relations[IDENTITY]
    wrong = {**database.remote_app_data, "endpoints": "10.0.0.5:3306\nx = 1"}
    model.relations[DATABASE] = dataclasses.replace(database, remote_app_data=wrong)
    model.relations[IDENTITY] = dataclasses.replace(identity, remote_app_data={})
    model.add_unit()
    assert model.statuses[0].message.startswith("mysql says endpoints='10.0.0.5:3306\\nx = 1' in database")
    model.relate(database)
    model.update_status()
    assert model.statuses[0] == ops.WaitingStatus("for keystone to make a user")


@pytest.mark.parametrize("option", [{"region": "a b"}, {"workers": 0}])
def test_an_option_that_cannot_be_used_blocks_and_stops_nothing(one, option):
    one.configure(**option)
    assert one.statuses[0].name == "blocked"
    assert one.statuses[0].message.startswith(f"config {next(iter(option))}=")
    assert one.machines[0].api.serves


def test_a_tree_that_takes_long_is_waited_for_by_later_hooks(deploy):
    model = deploy(0)
    machine = begun(model)
    machine.running.slow = True
    model.run(0, model.on.config_changed())
    assert model.statuses[0] == ops.MaintenanceStatus("build-release-1: has begun")
    machine.running.slow = False
    machine.sleep(1)
    model.update_status()
    model.update_status()
    assert model.statuses[0].name == "active"


def test_a_tree_that_cannot_be_built_blocks_and_is_tried_again(deploy):
    model = deploy(0)
    machine = begun(model)
    machine.packaging.offline = True
    model.run(0, model.on.config_changed())
    assert model.statuses[0].name == "blocked"
    assert "is the package index reachable" in model.statuses[0].message
    machine.packaging.offline = False
    model.update_status()
    model.update_status()
    assert model.statuses[0].name == "active"


def test_an_operators_lines_follow_the_charms(one):
    one.configure(
        extra_config="[cors]\nallowed_origin = https://dashboard\n[DEFAULT]\nlog_config_append = /x\n"
    )
    found = configuration(one.machines[0])
    assert (found["cors"]["allowed_origin"], found["DEFAULT"]["log_config_append"]) == (
        "https://dashboard",
        "/x",
    )
    assert one.statuses[0] == ops.ActiveStatus()


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            "[database]\nconnection = sqlite://",
            "what the charm leaves open; [database] connection it sets itself",
        ),
        ("[DEFAULT]\nDebug = true", "[DEFAULT] debug"),
        ("x = 1", "sections and options"),
        ("[a]\nno option", "sections and options"),
    ],
)
def test_lines_that_cannot_be_used_are_refused(one, lines, why):
    before = one.machines[0].read(CONFIG)
    one.configure(extra_config=lines)
    assert one.statuses[0].name == "blocked"
    assert one.statuses[0].message.startswith("config extra-config=")
    assert why in one.statuses[0].message
    assert one.machines[0].read(CONFIG) == before
    assert one.machines[0].api.serves


# Restarts


def test_all_processes_restart_one_unit_at_a_time(three):
    three.held = {0}  # the leader, who lets units restart
    three.configure(longest=50)
    assert (starts(three, API), starts(three, FILER)) == ([1, 1, 1], [1, 1, 1])
    three.held = set()
    three.update_status()
    three.update_status()
    assert (starts(three, API), starts(three, FILER), starts(three, FRONT)) == (
        [2, 2, 2],
        [2, 2, 2],
        [1, 1, 1],
    )


def test_the_next_unit_restarts_when_the_last_is_healthy(three):
    three.machines[0].api.broken = "database: OperationalError"
    three.configure(longest=50)
    assert starts(three, API) == [2, 1, 1]
    assert three.statuses[0] == ops.WaitingStatus("for Notes: database: OperationalError")
    three.machines[0].api.broken = ""
    three.update_status()
    three.update_status()
    assert starts(three, API) == [2, 2, 2]


def test_a_process_that_takes_no_turn_restarts_at_once(deploy, monkeypatch):
    import charm

    (filer,) = charm.SPEC.processes
    spec = dataclasses.replace(charm.SPEC, processes=(dataclasses.replace(filer, in_turn=False),))
    monkeypatch.setattr(charm, "SPEC", spec)
    model = deploy(3)
    model.held = {0}
    model.configure(longest=50)
    assert (starts(model, API), starts(model, FILER)) == ([1, 1, 1], [1, 2, 2])
    model.held = set()
    model.update_status()
    assert (starts(model, API), starts(model, FILER)) == ([2, 2, 2], [2, 2, 2])


def test_a_new_password_is_used_before_it_is_said(three):
    three.give(DATABASE_SECRET, username="relation-1-2", password="another-password")
    three.held = {1, 2}
    three.update_status()
    three.update_status()
    assert "relation-1-2:another-password@" in three.machines[0].read(CONFIG)
    assert starts(three, API) == [2, 1, 1]
    three.held = set()
    three.update_status()
    three.update_status()
    assert starts(three, API) == [2, 2, 2]


def test_a_new_certificate_is_taken_by_a_reload(one):
    one.log()
    one.relate_gateway("10.0.0.100:8900", "cloud.example:8900")
    assert authority.names(one.machines[0].read("/etc/notes/tls/certificate.pem")) == {
        "machine-0", "10.0.0.10", "10.0.0.100", "cloud.example",
    }  # fmt: skip
    changes = one.log()
    assert f"machine-0: reload {FRONT}" in changes
    assert not [line for line in changes if "restart" in line]


def test_the_gateway_is_asked_for_a_route_to_all_units(three):
    three.relate_gateway("10.0.0.100:8900")
    three.update_status()
    asked = three.local[GATEWAY, "app"]
    assert (asked["port"], asked["backend_port"]) == ("8900", "18900")
    assert json.loads(asked["openinfra"])["health"]["path"] == "/openinfra/health"
    assert json.loads(three.local[GATEWAY, 1]["address"]) == "10.0.0.11"


def test_the_gateway_begins_connections_with_the_clients_address(three):
    three.relate_gateway("10.0.0.100:8900")
    three.tell(GATEWAY, unit={"sources": '["10.0.0.7"]', "egress-subnets": "10.0.0.7/32"})
    three.update_status()
    front = three.machines[2].read("/etc/notes/front.cfg")
    assert "tcp-request connection reject if { dst_port 28900 } !{ src 10.0.0.7 }" in front
    three.update_status()
    asked = three.local[GATEWAY, "app"]
    assert (asked["port"], asked["backend_port"], asked["proxy_protocol"]) == ("8900", "28900", "true")


def test_power_loss_needs_no_hook(three):
    for machine in three.machines.values():
        machine.power_off()
    for machine in three.machines.values():
        machine.power_on()
        assert all(machine.serves(unit) for unit in (API, FILER, FRONT))


# Restores, actions, checks, the end


def test_a_restored_database_is_brought_to_this_release(one):
    one.done.clear()
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert one.done == ["sync", "tables of database"]
    assert one.machines[0].api.emptied == 1
    one.every()
    assert len(one.done) == 2


def test_a_schema_that_this_release_cannot_use_is_told_and_tried_again(one):
    machine = one.machines[0]
    machine.api.refused = "Can't locate revision"
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert one.statuses[0].name == "waiting"
    machine.api.refused = ""
    one.every()
    assert one.statuses[0] == ops.ActiveStatus()
    assert one.shared["restored"].endswith(":1")


def test_a_restore_waits_for_the_end_of_an_upgrade(one):
    one.done.clear()
    shared = one.shared["release"]
    one.app_data["release"] = json.dumps(shared | {"phase": "switched", "to": shared["release"], "number": 1})
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert one.done == []
    assert "finish-upgrade or rollback-release" in one.statuses[0].message


def test_tables_of_an_earlier_revision_of_the_charm_are_converted(one):
    one.done.clear()
    one.app_data["bootstrapped"] = "true"
    one.update_status()
    assert one.done == ["sync", "tables of database"]
    assert one.statuses[0] == ops.ActiveStatus()


def test_another_database_is_filled(one):
    one.done.clear()
    old = one.relations[DATABASE]
    one.unrelate(DATABASE)
    assert one.statuses[0].name == "blocked"
    one.relate(dataclasses.replace(old, id=DATABASE + 100))
    one.update_status()
    assert "sync" in one.done
    assert one.statuses[0] == ops.ActiveStatus()


def test_a_paused_unit_stays_stopped_until_it_is_resumed(three):
    assert "not paused" in three.refuse(1, "resume")
    three.action(1, "pause")
    machine = three.machines[1]
    three.configure(longest=50)
    three.update_status()
    machine.power_off()
    machine.power_on()
    three.update_status()
    assert [machine.services.get(unit, "inactive") for unit in (API, FILER, FRONT)] == ["inactive"] * 3
    assert three.statuses[1] == ops.MaintenanceStatus("paused; start it again: juju run notes/1 resume")
    three.action(1, "resume")
    three.update_status()
    assert all(machine.serves(unit) for unit in (API, FILER, FRONT))


def test_jobs_are_shown_and_upgrades_refused_without_an_action_of_the_charms_own(three):
    assert three.action(1, "show-job")["result"][0]["state"] == "done"
    assert "juju run notes/leader upgrade-release" in three.refuse(
        1, "upgrade-release", release=2026.2, backup="b"
    )
    assert "release 2026.2 cannot be had" in three.refuse(0, "upgrade-release", release=2026.2, backup="b")


@pytest.fixture
def two_releases(deploy, monkeypatch, tmp_path):
    """Return three units of a charm that has a second release."""
    import charm

    source = shutil.copytree(charm.SPEC.source, tmp_path / "src")
    shutil.copytree(source / "releases/2026.1", source / "releases/2026.2")
    assert charm.SPEC.schema
    schema = dataclasses.replace(
        charm.SPEC.schema, contract=(("python", "{modules}/notes.py", "{config}", "trim"),)
    )
    monkeypatch.setattr(charm, "SPEC", dataclasses.replace(charm.SPEC, source=source, schema=schema))
    return deploy(3)


def test_an_upgrade_changes_the_schema_with_the_new_release_and_switches_unit_by_unit(two_releases):
    model, machines = two_releases, two_releases.machines.values()
    model.done.clear()
    model.action(0, "upgrade-release", release=2026.2, backup="monday")
    for _ in range(3):
        model.update_status()
    assert model.done == ["sync"]
    (expanded,) = {
        line
        for machine in machines
        for line in machine.argv
        if "/opt/notes/2026.2-" in line and line.endswith("sync")
    }
    assert expanded.startswith("runuser -u notes -- /opt/notes/2026.2-")
    assert all(machine.resolve("/opt/notes/current").startswith("/opt/notes/2026.2-") for machine in machines)
    assert (starts(model, API), starts(model, FILER), starts(model, FRONT)) == (
        [2, 2, 2],
        [2, 2, 2],
        [1, 1, 1],
    )
    assert "2026.2 runs; to end the upgrade: finish-upgrade" in model.statuses[0].message
    model.action(0, "finish-upgrade")
    model.update_status()
    assert model.done == ["sync", "trim"]
    assert "has begun" not in model.refuse(0, "rollback-release")
    assert {status.name for status in model.statuses.values()} == {"active"}


def test_a_release_that_refuses_the_tokens_of_clients_is_taken_back(two_releases):
    model, machine = two_releases, two_releases.machines[0]

    def answer(request):
        is_new = machine.resolve("/opt/notes/current").startswith("/opt/notes/2026.2-")
        return Answer(status=401 if is_new and request.path == "/v1" else 200, headers={}, body="")

    machine.api.answer = answer
    assert "openinfra_ask.py" not in "".join(machine.argv)  # Keystone may come later than a new unit
    model.action(0, "upgrade-release", release=2026.2, backup="monday")
    for _ in range(3):
        model.update_status()
    why = "/v1 is answered 401 to a token of its own user"
    assert f"does not serve here ({why}), so the one before is back" in model.statuses[0].message
    assert machine.resolve("/opt/notes/current").startswith("/opt/notes/2026.1-")


def test_no_upgrade_begins_where_tokens_are_refused(two_releases):
    two_releases.machines[0].api.answer = lambda request: Answer(
        status=401 if request.path == "/v1" else 200, headers={}, body=""
    )
    refused = two_releases.refuse(0, "upgrade-release", release=2026.2, backup="monday")
    assert "the upgrade does not begin: /v1 is answered 401 to a token of its own user" in refused


def test_a_schema_that_cannot_be_changed_stops_the_upgrade(two_releases):
    model = two_releases
    for machine in model.machines.values():
        machine.api.refused = "Lost connection"
    model.action(0, "upgrade-release", release=2026.2, backup="monday")
    model.update_status()
    assert "the schema could not be changed (expand)" in model.statuses[0].message
    assert "Lost connection" in model.statuses[0].message
    assert starts(model, API) == [1, 1, 1]


@pytest.fixture
def ask(capsys):
    """Return a function that runs a check of a machine as `host` does, and returns why it fails."""

    def ask(machine, kind):
        with use(machine):
            command = machine.read(f"/usr/lib/openinfra/{kind}.d/notes").split("check.py ")[1]
            code = check.main(*command.split())
        why = capsys.readouterr().out.strip()
        assert code == bool(why)
        return why

    return ask


def test_the_last_unit_that_serves_is_not_safe_to_stop(three, ask):
    assert [ask(machine, "safe-to-stop") for machine in three.machines.values()] == [""] * 3
    three.machines[0].power_off()
    assert ask(three.machines[1], "safe-to-stop") == ""
    three.action(2, "pause")
    assert ask(three.machines[1], "safe-to-stop") == "no other unit of notes serves: see its status"
    assert ask(three.machines[2], "safe-to-stop") == ""
    three.action(2, "resume")
    assert ask(three.machines[1], "safe-to-stop") == ""


def test_a_unit_that_others_do_not_reach_is_none_that_serves(three, ask):
    three.machines[0].power_off()
    three.machines[2].services[FRONT] = "failed"
    assert ask(three.machines[1], "safe-to-stop") == "no other unit of notes serves: see its status"


def test_what_does_not_serve_may_stop(three, ask):
    for machine in three.machines.values():
        machine.api.broken = "database: OperationalError"
    assert ask(three.machines[0], "safe-to-stop") == ""
    assert ask(three.machines[0], "after-start") == "database: OperationalError"


def test_a_unit_alone_may_stop(one, ask):
    assert ask(one.machines[0], "safe-to-stop") == ""


def test_a_machine_is_back_when_all_processes_are(one, ask):
    machine = one.machines[0]
    assert ask(machine, "after-start") == ""
    machine.services[FILER] = "failed"
    assert ask(machine, "after-start") == f"{FILER} does not run"


def test_nothing_is_left_on_the_machine(one):
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [path for path, node in machine.nodes.items() if node.content is not None and "notes" in path]
    assert left == []
    assert "notes" not in machine.users
    assert machine.enabled == set()


def test_a_unit_leaves_nothing_though_its_relations_went_before_it(one):
    machine = one.machines[0]
    for relation in list(one.relations):
        one.run(0, one.on.relation_broken, relation=relation)
    one.remove_unit(0)
    assert {unit: state for unit, state in machine.services.items() if state != "inactive"} == {}
    assert machine.enabled == set()
    assert [path for path in machine.nodes if "notes" in path] == []


def test_what_a_unit_left_that_went_without_a_word_is_replaced(one):
    machine = one.machines[0]
    agents = "/var/lib/juju/agents/unit-notes-0"
    machine.have(f"{agents}/charm/dispatch", "program")
    one.update_status()
    machine.write("/etc/notes/own.conf", "of the first unit")
    machine.lose(agents)
    machine.have(f"{agents}/charm/dispatch", "program")
    starts = machine.starts[API]
    one.update_status()
    assert machine.read("/etc/notes/own.conf") is None
    one.update_status()
    assert machine.starts[API] == starts + 1
    assert one.statuses[0].name == "active"


def test_the_documents_show_this_very_charm():
    text = (CHARM.parents[3] / "docs/openstack-service.md").read_text()
    for kind, path in (("python", CHARM / "charm.py"), ("ini", CHARM / "templates/notes.conf.j2")):
        shown = re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[0].splitlines()
        written = path.read_text().splitlines()
        assert [line for line in shown if line not in written] == []
