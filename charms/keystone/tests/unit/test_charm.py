"""The charm's hooks, on one machine and on three."""

import dataclasses
import json

import ops
import pytest
import twin
from machines import DATABASE, GATEWAY

import keyset

CONFIG = "/etc/keystone/keystone.conf"
WANTED = json.dumps([
    {"service_name": "glance", "type": "image", "description": "Image"}
    | {f"{kind}_url": f"https://glance/{kind}" for kind in ("public", "internal", "admin")}
])  # fmt: skip
DAY = 86400


def glance(model, app="glance", **more):
    return model.relate_client("identity-service", app, region="RegionOne", service_endpoints=WANTED, **more)


def nodes(model):
    return [machine.keystone for machine in model.machines.values()]


def pass_time(model, seconds):
    for machine in list(model.machines.values())[:1]:
        machine.sleep(seconds)
    model.update_status()


# The first deploy


def test_one_unit_serves_and_has_an_administrator(one):
    assert one.statuses[0] == ops.ActiveStatus()
    (admin,) = one.database.find("users", name="admin")
    assert admin["password"] == one.secret("admin-secret")["password"]
    granted = {where for where, user, _ in one.database.grants if user == admin["id"]}
    assert granted == {f"projects/{one.shared['names']['admin_project'][1]}", "system", "domains/default"}


def test_three_units_have_one_bootstrap_and_the_same_keys(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert len(three.database.bootstrapped) == 1
    assert [node.keys() for node in nodes(three)] == [nodes(three)[0].keys()] * 3
    assert all(node.serves for node in nodes(three))


def test_a_hook_with_nothing_new_changes_nothing(three):
    glance(three)
    three.update_status()
    before = three.snapshot()
    three.log()
    for _ in range(2):
        three.every()
        three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


def test_the_configuration_says_what_the_model_says(one):
    config = one.machines[0].read(CONFIG)
    for line in (
        "connection = mysql+pymysql://relation-1-1:db-password@10.0.0.5:3306/keystone?charset=utf8mb4&connect_timeout=5",
        "memcache_servers = 10.0.1.0:11211,10.0.1.1:11211",
        "expiration = 3600",
        "max_active_keys = 5",
        "password_regex = ^.{12,}$",
    ):
        assert f"\n{line}\n" in config


def test_credentials_are_their_owners_files(one):
    machine = one.machines[0]
    held = [path for path, node in machine.nodes.items() if node.content and "db-password" in node.content]
    held += [f"/var/lib/keystone/fernet-keys-1/{number}" for number in (0, 1)]
    assert {CONFIG} < set(held)
    assert [path for path in held if machine.nodes[path].mode & 0o007] == []
    assert machine.nodes["/var/lib/keystone/fernet-keys-1/0"].owner == ("keystone", "keystone")


def test_no_password_is_in_a_command_line_or_in_relation_data(three):
    glance(three)
    words = [line for machine in three.machines.values() for line in machine.argv]
    words += [three.app_data, three.unit_data, three.local]
    hidden = [
        value for secret in three.secrets for value in secret.latest_content.values() if len(value) > 20
    ]
    assert len(hidden) > 6
    assert [value for value in hidden if value in str(words)] == []


# Options, and power


@pytest.mark.parametrize(
    "option", [{"token_lifetime": "soon"}, {"token_lifetime": "8d"}, {"key_rotation": "often"}]
)  # fmt: skip
def test_an_option_that_cannot_be_used_blocks_and_stops_nothing(one, option):
    one.configure(**option)
    name = next(iter(option)).replace("_", "-")
    assert one.statuses[0].message.startswith(f"config {name}=")
    assert one.machines[0].keystone.serves


def test_power_loss_needs_no_hook(three):
    for machine in three.machines.values():
        machine.power_off()
    for machine in three.machines.values():
        machine.power_on()
    assert all(node.serves and len(node.keys()) == 2 for node in nodes(three))
    assert all(machine.torn == [] for machine in three.machines.values())


# Where clients find it


def test_without_a_gateway_clients_reach_one_of_three(three):
    assert three.shared["url"] == "https://10.0.0.10:15000/v3"
    assert (
        "clients reach only https://10.0.0.10:15000: juju integrate keystone gateway"
        in three.statuses[0].message
    )


def test_clients_and_the_gateway_are_told_where_a_translation_leads_here(three):
    three.translated = {0: "203.0.113.10"}
    three.run(0, three.on.config_changed())
    assert three.shared["url"] == "https://203.0.113.10:15000/v3"


def test_what_operators_add_to_the_catalogue_is_theirs(one):
    other = one.database.add("services", {"name": "other", "type": "identity"})
    (ours,) = one.database.find("services", name="keystone")
    places = [
        {"service_id": other["id"], "interface": "public", "region_id": "RegionOne", "url": "https://other"},
        {"service_id": ours["id"], "interface": "public", "region_id": "RegionTwo", "url": "https://two"},
    ]
    added = [one.database.add("endpoints", place) for place in places]
    one.relate_gateway("10.0.0.100:5000")
    assert one.shared["url"] == "https://10.0.0.100:5000/v3"
    assert [endpoint["url"] for endpoint in added] == ["https://other", "https://two"]
    assert one.statuses[0].name == "active"


def test_the_gateways_place_goes_to_the_catalogue_and_to_clients(three):
    relation = glance(three)
    three.relate_gateway("10.0.0.100:5000")
    three.update_status()
    (service,) = three.database.find("services", type="identity")
    urls = {one["url"] for one in three.database.find("endpoints", service_id=service["id"])}
    assert urls == {"https://10.0.0.100:5000/v3"}
    assert three.answer(relation)["public-auth-url"] == "https://10.0.0.100:5000/v3"


def test_services_go_where_the_gateway_is_in_their_network(three):
    relation = glance(three)
    three.relate_gateway("cloud.example:5000")
    three.tell(GATEWAY, app={"internal-endpoints": '["10.1.0.100:5000"]'})
    three.update_status()
    (service,) = three.database.find("services", type="identity")
    urls = {
        one["interface"]: one["url"] for one in three.database.find("endpoints", service_id=service["id"])
    }
    inner = "https://10.1.0.100:5000/v3"
    assert urls == {"public": "https://cloud.example:5000/v3", "internal": inner, "admin": inner}
    told = three.answer(relation)
    assert (told["public-auth-url"], told["internal-auth-url"]) == ("https://cloud.example:5000/v3", inner)


# Clients


def test_a_service_gets_a_user_and_a_place_in_the_catalogue(three):
    relation = glance(three)
    told = three.answer(relation)
    (user,) = three.database.find("users", id=told["service-user-id"])
    assert user["name"] == f"svc-glance-{relation}-1"
    assert three.secret(f"client-{relation}") == {"username": user["name"], "password": user["password"]}
    assert roles(three, relation) == {"admin", "service"}
    (service,) = three.database.find("services", type="image")
    urls = {
        one["interface"]: one["url"] for one in three.database.find("endpoints", service_id=service["id"])
    }
    assert urls == {kind: f"https://glance/{kind}" for kind in ("public", "internal", "admin")}


def roles(model, relation):
    """Return the roles of the newest user of a relation."""
    (user,) = model.database.find("users", name=model.secret(f"client-{relation}")["username"])
    held = {role for _, who, role in model.database.grants if who == user["id"]}
    return {model.database.table("roles")[role]["name"] for role in held}


def test_roles_beyond_the_usual_need_the_operators_word(three):
    relation = glance(three, extra_roles='["ResellerAdmin"]')
    assert roles(three, relation) == {"admin", "service"}
    assert three.statuses[0].name == "blocked"
    assert "add glance:ResellerAdmin to the option extra-roles of keystone" in three.statuses[0].message
    three.configure(extra_roles="other:admin, glance:ResellerAdmin")
    assert roles(three, relation) == {"admin", "service", "ResellerAdmin"}
    assert three.statuses[0].name == "active"
    three.configure(extra_roles="")
    assert roles(three, relation) == {"admin", "service"}


def test_who_needs_less_gets_less(three):
    three.configure(extra_roles="glance:ec2-reader")
    relation = glance(three, extra_roles='["ec2-reader"]', roles_enough='["service"]')
    assert roles(three, relation) == {"service", "ec2-reader"}


def test_secrets_of_ec2_credentials_are_read_by_a_role_of_its_own(one):
    (rule,) = (
        line for line in one.machines[0].read("/etc/keystone/policy.yaml").splitlines() if "ec2_get" in line
    )
    assert "role:ec2-reader" in rule
    assert "role:service" not in rule


def test_an_option_of_roles_names_applications(one):
    one.configure(extra_roles="ec2-reader")
    assert one.statuses[0].message.startswith("config extra-roles='ec2-reader'")


NO_URL = json.dumps([json.loads(WANTED)[0] | {"service_name": "web", "type": "web", "internal_url": ""}])
TOO_LONG = json.dumps([json.loads(WANTED)[0] | {"service_name": "web", "type": "w" * 256}])


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (
            NO_URL,
            "web asks for the internal URL '' in the catalogue: expected one such as https://10.0.0.7/image",
        ),
        (TOO_LONG, "web: Keystone refuses what it asks for: "),
    ],
)
def test_one_that_cannot_be_served_keeps_nobody_else(three, wanted, why):
    bad = three.relate_client("identity-service", "web", region="RegionOne", service_endpoints=wanted)
    assert three.statuses[0].name == "blocked"
    assert why in three.statuses[0].message
    assert "service-credentials" not in three.answer(bad)
    relation = glance(three)
    assert three.answer(relation)["service-credentials"]
    three.update_status()
    three.log()
    before = three.snapshot()
    three.every()
    assert (three.log(), three.snapshot()) == ([], before)
    three.unrelate(bad)
    assert three.statuses[0].name == "active"
    assert not three.database.find("services", name="web")


def test_one_that_is_mended_is_served(three):
    bad = three.relate_client("identity-service", "web", region="RegionOne", service_endpoints=TOO_LONG)
    three.tell(bad, {"service-endpoints": WANTED.replace("glance", "web").replace("image", "web")})
    three.every()
    assert three.statuses[0].name == "active"
    assert three.answer(bad)["service-credentials"]


def test_a_token_outlasts_what_is_told_anew(three):
    relation = glance(three)
    content = three.secret(f"client-{relation}")
    token = nodes(three)[0].log_in(content["username"], content["password"])
    three.relate_gateway("10.0.0.100:5000")
    three.update_status()
    assert three.answer(relation)["public-auth-url"] == "https://10.0.0.100:5000/v3"
    assert nodes(three)[0].takes(token)


def test_strangers_cannot_lock_the_operator_out(one):
    for name in ("admin", "openinfra-charm"):
        (user,) = one.database.find("users", name=name)
        assert user["options"]["ignore_lockout_failure_attempts"]


def test_security_events_are_in_the_journal(one):
    config = one.machines[0].read(CONFIG)
    assert "notification_format = cadf" in config
    assert "[oslo_messaging_notifications]\ndriver = log\n" in config


def test_names_may_have_any_characters(one):
    assert one.database.characters == "utf8mb4"


def test_another_database_is_filled_too(three):
    """The database is another one, empty: schema, accounts and catalogue are made in it, with the passwords on record."""
    relation = glance(three)
    content = three.secret(f"client-{relation}")
    old = three.relations[DATABASE]
    three.unrelate(DATABASE)
    vars(three.database).update(vars(twin.Database()))
    three.relate(dataclasses.replace(old, id=DATABASE + 100))
    three.update_status()
    three.update_status()
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert all(node.serves for node in nodes(three))
    (user,) = three.database.find("users", name=content["username"])
    assert user["password"] == content["password"]
    assert three.answer(relation)["service-user-id"] == user["id"]
    assert three.database.find("services", type="image")
    (admin,) = three.database.find("users", name="admin")
    assert admin["password"] == three.secret("admin-secret")["password"]


def test_a_client_of_credentials_gets_a_user_alone(three):
    before = len(three.database.table("services"))
    relation = three.relate_client("identity-credentials", "rally", username="rally")
    told = three.answer(relation)
    assert (told["project-name"], told["user-domain-name"]) == ("services", "service_domain")
    assert three.database.find("users", name=f"svc-rally-{relation}-1")
    assert len(three.database.table("services")) == before


def test_what_nobody_asks_for_any_more_goes(three):
    first, second = glance(three), glance(three, "glance-b")
    three.unrelate(first)
    assert not three.database.find("users", name=f"svc-glance-{first}-1")
    (service,) = three.database.find("services", type="image")
    assert len(three.database.find("endpoints", service_id=service["id"])) == 3
    three.unrelate(second)
    assert not three.database.find("services", type="image")
    assert [one for one in three.database.table("users").values() if one["name"].startswith("svc-")] == []
    assert not [key for key in three.shared if key.startswith("client-")]
    assert not [secret for secret in three.secrets if (secret.label or "").startswith("client-")]


def test_a_service_that_moves_takes_its_endpoints_along(one):
    relation = glance(one)
    moved = json.loads(WANTED)
    moved[0] |= {"type": "image2", "public_url": "https://new/public"}
    changed = one.relations[relation]
    one.relations[relation] = type(changed)(
        "identity-service", id=relation, remote_app_name="glance",
        remote_app_data={"region": "RegionTwo", "service-endpoints": json.dumps(moved)},
    )  # fmt: skip
    one.every()
    assert not one.database.find("services", type="image")
    (service,) = one.database.find("services", type="image2")
    assert {e["region_id"] for e in one.database.find("endpoints", service_id=service["id"])} == {"RegionTwo"}


def test_a_hook_that_died_after_the_user_was_made_is_repeated(one):
    one.database.add("users", {"name": "svc-glance-1-1", "domain_id": one.shared["names"]["service_domain"][1], "password": "lost"})  # fmt: skip
    relation = glance(one)
    name = f"svc-glance-{relation}-1"
    (user,) = one.database.find("users", name=name)
    assert user["password"] == one.secret(f"client-{relation}")["password"]


def test_the_charms_user_is_made_again_when_a_backup_has_lost_it(one):
    (user,) = one.database.find("users", name="openinfra-charm")
    one.database.table("users").pop(user["id"])
    relation = glance(one)
    assert one.database.find("users", name=f"svc-glance-{relation}-1")


# Keys


def test_a_token_from_before_is_taken_everywhere_through_three_rotations(three):
    tokens = []
    for _ in range(4):
        tokens += [
            three.machines[n].keystone.log_in("admin", three.secret("admin-secret")["password"])
            for n in range(3)
        ]
        three.action(0, "rotate-keys")
        three.update_status()
        assert all(node.takes(token) for node in nodes(three) for token in tokens)
    assert len({token.key for token in tokens}) == 4


def test_rotation_is_refused_while_a_unit_has_not_acknowledged(three):
    three.held = {2}
    three.action(0, "rotate-keys")
    assert "keystone/2 has not acknowledged the present keys" in three.refuse(0, "rotate-keys")
    token = three.machines[0].keystone.log_in("admin", three.secret("admin-secret")["password"])
    assert three.machines[2].keystone.takes(token)
    three.held = set()
    three.update_status()
    three.action(0, "rotate-keys")


def test_a_key_stays_as_long_as_a_token_may_be_shown_and_then_goes(one):
    for _ in range(6):
        one.action(0, "rotate-keys")
        one.update_status()
    assert len(nodes(one)[0].keys()) == 8
    one.time.now += 3 * DAY
    one.action(0, "rotate-keys")
    one.update_status()
    assert len(nodes(one)[0].keys()) == 3


def test_a_shorter_lifetime_takes_no_key_from_longer_tokens(deploy):
    model = deploy(1, token_lifetime="7d")
    token = model.machines[0].keystone.log_in("admin", model.secret("admin-secret")["password"])
    model.configure(token_lifetime="5m")
    model.action(0, "rotate-keys")
    model.time.now += 6 * DAY
    model.action(0, "rotate-keys")
    model.update_status()
    assert nodes(model)[0].takes(token)


def test_juju_has_keys_rotated_as_soon_as_all_have_acknowledged(three):
    three.held = {2}
    three.action(0, "rotate-keys")
    (secret,) = (secret for secret in three.secrets if secret.label == "keys")
    three.run(0, three.on.secret_rotate(secret))
    assert three.shared["generation"] == 2
    assert "keystone/2 has not acknowledged" in three.statuses[0].message
    three.held = set()
    three.update_status()
    three.update_status()
    assert three.shared["generation"] == 3
    assert "rotation-due" not in three.shared


def test_stored_credentials_are_encrypted_anew_before_their_key_goes(three, monkeypatch):
    monkeypatch.setattr(keyset, "CREDENTIAL_KEYS", 3)
    nodes(three)[0].api.database.credentials["ec2"] = nodes(three)[0].keys("credential")[1]
    for _ in range(5):
        three.action(0, "rotate-keys")
        three.update_status()
        three.update_status()
    held = nodes(three)[1].keys("credential")
    assert len(held) == 3
    assert three.database.credentials["ec2"] == held[max(held)]


def test_credentials_on_an_older_key_hold_a_rotation(three):
    three.held = {1, 2}
    three.action(0, "rotate-keys")
    three.machines[0].keystone.broken = "database: OperationalError"
    three.held = set()
    three.every()
    assert "still encrypted with an older key" in three.refuse(0, "rotate-keys")


def test_the_secret_is_rotated_as_the_option_says(deploy):
    model = deploy(1, key_rotation="weekly")
    (secret,) = (secret for secret in model.secrets if secret.label == "keys")
    assert secret.rotate == ops.SecretRotate.WEEKLY
    model.configure(key_rotation="never")
    (secret,) = (secret for secret in model.secrets if secret.label == "keys")
    assert secret.rotate == ops.SecretRotate.NEVER


def test_a_unit_that_comes_has_the_keys_before_it_serves(three):
    three.action(0, "rotate-keys")
    token = three.machines[0].keystone.log_in("admin", three.secret("admin-secret")["password"])
    machine = three.add_unit()
    assert machine.keystone.serves
    assert machine.keystone.takes(token)


# Actions


def test_the_administrators_password_is_shown_and_rotated(three):
    before = three.action(1, "get-admin-password")["result"]["password"]
    assert "juju run keystone/leader rotate-admin-password" in three.refuse(1, "rotate-admin-password")
    three.action(0, "rotate-admin-password")
    after = three.action(2, "get-admin-password")["result"]["password"]
    (admin,) = three.database.find("users", name="admin")
    assert before != after == admin["password"]


def test_a_services_password_is_a_second_user_until_the_first_is_not_read_any_more(three):
    relation = glance(three)
    assert f"granted to {relation} (glance)" in three.refuse(0, "rotate-service-password", relation_id=4711)
    assert "juju run keystone/leader" in three.refuse(1, "rotate-service-password", relation_id=relation)
    three.action(0, "rotate-service-password", relation_id=relation)
    assert len([u for u in three.database.table("users").values() if u["name"].startswith("svc-")]) == 2
    assert three.secret(f"client-{relation}")["username"] == f"svc-glance-{relation}-2"
    assert "everywhere yet" in three.refuse(0, "rotate-service-password", relation_id=relation)
    (secret,) = (secret for secret in three.secrets if secret.label == f"client-{relation}")
    secret._track_latest_revision()  # everybody reads the second one now
    three.run(0, three.on.secret_remove(secret, revision=1))
    (left,) = [u for u in three.database.table("users").values() if u["name"].startswith("svc-")]
    assert left["name"] == f"svc-glance-{relation}-2"
    assert left["id"] == three.answer(relation)["service-user-id"]
    three.action(0, "rotate-service-password", relation_id=relation)
    assert three.secret(f"client-{relation}")["username"] == f"svc-glance-{relation}-3"


def test_services_are_listed(three):
    assert three.action(2, "list-services")["summary"] == "no application is related"
    relation = glance(three)
    listed = three.action(2, "list-services")["result"][str(relation)]
    assert listed["services"] == [["glance", "image", "RegionOne"]]
    assert listed["users"] == [f"svc-glance-{relation}-1"]


def test_a_clouds_yaml_is_shown_with_the_ca(one):
    import yaml

    shown = one.action(0, "openrc", cloud="mine")
    cloud = yaml.safe_load(shown["clouds-yaml"])["clouds"]["mine"]
    assert cloud["auth"]["password"] == one.secret("admin-secret")["password"]
    assert cloud["auth"]["auth_url"] == "https://10.0.0.10:15000/v3"
    assert (cloud["region_name"], cloud["interface"], cloud["volume_api_version"]) == (
        "RegionOne",
        "public",
        3,
    )
    assert "export OS_AUTH_URL=https://10.0.0.10:15000/v3\n" in shown["openrc"]
    assert f"export OS_PASSWORD={cloud['auth']['password']}\n" in shown["openrc"]
    assert shown["ca"].startswith("-----BEGIN CERTIFICATE-----")


def test_who_is_inside_reaches_services_there(one):
    import json

    import yaml

    one.relate_gateway("cloud.example.com:5000")
    one.tell(GATEWAY, {"internal-endpoints": json.dumps(["10.1.0.100:5000"])})
    one.every()
    shown = one.action(0, "openrc", interface="internal")
    cloud = yaml.safe_load(shown["clouds-yaml"])["clouds"]["openinfra"]
    assert (cloud["auth"]["auth_url"], cloud["interface"]) == ("https://10.1.0.100:5000/v3", "internal")
    assert "export OS_ENDPOINT_TYPE=internalURL\n" in shown["openrc"]


def test_actions_before_the_first_setup_say_so(deploy):
    model = deploy(0)
    del model.relations[DATABASE]
    model.add_unit()
    for name in ("get-admin-password", "openrc", "rotate-keys", "rotate-admin-password"):
        assert "not set up yet" in model.refuse(0, name)


# The end


def test_nothing_is_left_on_the_machine(one):
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [path for path, node in machine.nodes.items() if node.content is not None and "keystone" in path]
    assert left == []
    assert "keystone" not in machine.users
    assert "haproxy" not in machine.packages


# Backups


def test_after_a_restore_all_accounts_are_those_on_record(three):
    """The backup is another model's: other passwords, a service that is none here, and not the one that is."""
    relation = glance(three)
    database = three.database
    domain = three.shared["names"]["service_domain"][1]
    for user in database.find("users"):
        user["password"] = "of then"
    (known,) = database.find("users", name=f"svc-glance-{relation}-1")
    del database.table("users")[known["id"]]
    database.add("users", {"name": "svc-cinder-99-1", "domain_id": domain, "password": "of then"})
    database.add("users", {"name": "somebody", "domain_id": domain, "password": "of then"})
    for endpoint in database.find("endpoints"):
        endpoint["url"] = "https://then"
    three.tell(DATABASE, {"restored": "1"})
    three.every()

    assert nodes(three)[0].emptied == 1
    passwords = {user["name"]: user["password"] for user in database.find("users")}
    assert passwords == {
        "openinfra-charm": three.secret("charm-secret")["password"],
        "admin": three.secret("admin-secret")["password"],
        f"svc-glance-{relation}-1": three.secret(f"client-{relation}")["password"],
        "somebody": "of then",
    }
    (made,) = database.find("users", name=f"svc-glance-{relation}-1")
    assert three.answer(relation)["service-user-id"] == made["id"]
    assert "https://then" not in {endpoint["url"] for endpoint in database.find("endpoints")}

    three.update_status()
    three.log()
    before = three.snapshot()
    three.every()
    assert (three.log(), three.snapshot()) == ([], before)


def test_a_restored_credential_of_a_key_that_is_gone_stops_nothing_else(three):
    three.database.credentials["ec2"] = "of an earlier model's key"
    for user in three.database.find("users"):
        user["password"] = "of then"
    three.tell(DATABASE, {"restored": "1"})
    three.every()
    (admin,) = three.database.find("users", name="admin")
    assert admin["password"] == three.secret("admin-secret")["password"]
    assert three.statuses[0].name == "blocked"
    assert "keys-secret" in three.statuses[0].message
    del three.database.credentials["ec2"]
    three.update_status()
    assert three.statuses[0].name == "active"


def test_restored_credentials_are_encrypted_with_the_key_in_use(one):
    then = nodes(one)[0].keys("credential")[1]
    one.action(0, "rotate-keys")
    one.update_status()
    one.database.credentials["ec2"] = then
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    held = nodes(one)[0].keys("credential")
    assert one.database.credentials["ec2"] == held[max(held)] != then


def test_a_backup_of_a_time_without_keystone_is_taken_up(one):
    vars(one.database).update(vars(twin.Database()))
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert one.statuses[0] == ops.ActiveStatus()
    assert one.database.find("users", name="admin")
    assert one.database.characters == "utf8mb4"


def test_an_application_that_comes_after_the_restore_leaves_no_earlier_services_users(deploy):
    model = deploy(0)
    model.database.sync()
    domain = model.database.add("domains", {"name": "service_domain"})
    model.database.add("users", {"name": "svc-cinder-99-1", "domain_id": domain["id"], "password": "of then"})
    model.tell(DATABASE, {"restored": "1"})
    model.add_unit()
    assert model.statuses[0] == ops.ActiveStatus()
    assert not model.database.find("users", name="svc-cinder-99-1")


KEYS = {
    f"{kind}-{number}": f"{kind[0]}{number}{'x' * 41}="
    for kind in ("fernet", "credential")
    for number in (0, 7)
}


def test_an_application_begins_with_the_keys_of_an_earlier_model(deploy_with_keys):
    model = deploy_with_keys(KEYS | {"generation": "12"})
    assert model.secret("keys") == KEYS | {"generation": "12"}
    assert nodes(model)[0].keys() == {0: KEYS["fernet-0"], 7: KEYS["fernet-7"]}
    assert model.statuses[0] == ops.ActiveStatus()
    model.action(0, "rotate-keys")
    assert model.secret("keys")["fernet-8"] == KEYS["fernet-0"]


def test_superseded_keys_of_an_earlier_model_go_when_no_token_needs_them(deploy_with_keys):
    model = deploy_with_keys(KEYS | {"fernet-6": f"f6{'x' * 41}=", "generation": "12"})
    model.action(0, "rotate-keys")
    model.update_status()
    held = nodes(model)[0].keys()
    assert 6 in held
    model.time.now += 3 * DAY
    model.action(0, "rotate-keys")
    held = nodes(model)[0].keys()
    assert 6 not in held


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"generation": "1"}, "it needs fernet-0 and at least one more key of this kind"),
        (KEYS, "it needs generation, a number"),
        (KEYS | {"generation": "-1"}, "it needs generation, a number"),
        (
            KEYS | {"generation": "1", "fernet-x": "y"},
            "fernet-x is no name of a key: they are fernet-0, fernet-1 and so on",
        ),
        (KEYS | {"generation": "1", "credential-7": "short"}, "credential-7 is no Fernet key"),
        (None, "cannot be read; juju grant-secret secret:k00000000000000000k0 keystone"),
    ],
)
def test_keys_that_cannot_be_used_are_named(deploy_with_keys, content, why):
    model = deploy_with_keys(content)
    assert why in model.statuses[0].message
    assert model.statuses[0].name == "blocked"
    assert "config keys-secret=secret:k00000000000000000k0" in model.statuses[0].message
    assert [secret.label for secret in model.secrets if secret.label] == []
