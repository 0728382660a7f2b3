"""What is Horizon's own; what every OpenStack API does is tested with `tests/probes/notes`."""

import ast
import configparser
from typing import Any

import ops
import pytest
from api_model import DATABASE, GATEWAY, IDENTITY
from ops import testing

API, FRONT = "horizon-api.service", "horizon-front.service"
CONFIG = "/etc/horizon/horizon.conf"


def configuration(machine, path=CONFIG):
    parser: Any = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(machine.read(path))
    return parser


def settings(machine, path=CONFIG):
    return {key: ast.literal_eval(value) for key, value in configuration(machine, path)["settings"].items()}


def trees(machine):
    return sorted(name for name in machine.list_folder("/opt/horizon") if name != "current")


def test_units_serve_with_a_schema_that_was_made_once(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert three.done == ["migrate", "tables of database"]
    for unit in (API, FRONT):
        assert [machine.starts[unit] for machine in three.machines.values()] == [1, 1, 1], unit


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.relate_gateway("10.0.0.100:443")
    three.update_status()
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


def test_all_units_sign_sessions_with_one_key(three):
    keys = {settings(machine)["SECRET_KEY"] for machine in three.machines.values()}
    (key,) = keys
    assert len(key) == 64
    (secret,) = [one for one in three.secrets if one.label == "secret-key"]
    assert secret.tracked_content == {"key": key}
    assert all(machine.nodes[CONFIG].mode == 0o640 for machine in three.machines.values())


def test_all_units_have_the_same_static_files(three):
    names = {tuple(trees(machine)) for machine in three.machines.values()}
    ((name,),) = names
    for machine in three.machines.values():
        assert machine.read(f"/opt/horizon/{name}/made/static/manifest.json") == name
        (line,) = [line for line in machine.argv if "/bin/python " in line and "portal_static.py" in line]
        assert line.startswith("runuser -u horizon -- "), "no code of packages runs as root"


def test_sessions_are_in_the_database_and_cookies_for_tls_only(one):
    found = settings(one.machines[0])
    assert found["SESSION_ENGINE"] == "django.contrib.sessions.backends.db"
    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is True
    assert found["SESSION_TIMEOUT"] == 3600
    database = configuration(one.machines[0])["database"]
    assert database["connection"].startswith(
        "mysql+pymysql://relation-1-1:db-password@10.0.0.5:3306/service?"
    )


def test_services_are_asked_at_their_internal_addresses_with_the_ca(one):
    identity = configuration(one.machines[0])["keystone_authtoken"]
    assert identity["auth_url"] == "https://10.1.0.9:5000/v3"
    assert one.machines[0].exists(identity["cafile"])
    assert settings(one.machines[0])["OPENSTACK_ENDPOINT_TYPE"] == "internalURL"
    assert one.local[IDENTITY, "app"]["service-endpoints"] == "[]"
    assert one.local[IDENTITY, "app"]["roles-enough"] == '["service"]'


def test_it_answers_to_the_gateways_name_and_shows_consoles_there(one):
    one.relate_gateway("cloud.example:443")
    one.tell(GATEWAY, app={"internal-endpoints": '["10.1.0.100:443"]'})
    one.update_status()
    found = settings(one.machines[0])
    assert found["ALLOWED_HOSTS"] == ["10.0.0.10", "cloud.example", "10.1.0.100", "localhost"]
    assert "https://cloud.example:*" in found["CONSOLE_ORIGINS"]
    one.configure(console_origins="https://console.example:6080, https://other.example")
    assert settings(one.machines[0])["CONSOLE_ORIGINS"][-2:] == [
        "https://console.example:6080",
        "https://other.example",
    ]


def test_people_are_told_where_to_log_in_but_no_password(one):
    one.relate_gateway("cloud.example:443")
    one.update_status()
    results = one.action(0, "get-dashboard-url")
    assert results["summary"] == "The portal is at https://cloud.example/"
    assert results["result"] == {
        "url": "https://cloud.example/", "domain": "Default", "user": "admin",
        "password": "juju run keystone/leader get-admin-password",
    }  # fmt: skip


def test_a_portal_that_does_not_serve_is_not_advertised(one):
    one.machines[0].api.broken = "database: OperationalError"
    with pytest.raises(testing.ActionFailed, match="nobody can log in yet: database: OperationalError"):
        one.action(0, "get-dashboard-url")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("session-lifetime", "1m", "5m to 7d"),
        ("session-lifetime", "soon", "5m to 7d"),
        ("theme", "dark", "one of default, material, site"),
        ("image-upload", "magic", "one of legacy, direct, off"),
        ("console-origins", "http://plain.example", "origins such as"),
        ("console-origins", "https://a.example; script-src *", "origins such as"),
        ("default-domain", "", "the name of a domain"),
        ("extra-config", "[settings]\nAPI_RESULT_LIMIT = many", "a literal of Python for API_RESULT_LIMIT"),
        ("extra-config", "[settings]\nlimit = 5", "in capitals, not limit"),
        ("extra-config", "[database]\nconnection = sqlite://", "below [settings], not [database]"),
        ("extra-config", "[settings]\nSECRET_KEY = 'known'", "[settings] secret_key it sets itself"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(one, option, value, expected):
    before = one.machines[0].read(CONFIG)
    one.configure(**{option.replace("-", "_"): value})
    assert isinstance(one.statuses[0], ops.BlockedStatus)
    assert expected in one.statuses[0].message
    assert option in one.statuses[0].message
    assert one.machines[0].read(CONFIG) == before


def test_an_operators_settings_are_taken(one):
    one.configure(
        extra_config="[settings]\nAPI_RESULT_LIMIT = 500\nSITE_BRANDING = 'Cloud of Example'",
        session_lifetime="8h", multi_domain=True, image_upload="direct",
    )  # fmt: skip
    found = settings(one.machines[0])
    assert (found["API_RESULT_LIMIT"], found["SITE_BRANDING"]) == (500, "Cloud of Example")
    assert found["SESSION_TIMEOUT"] == 8 * 3600
    assert found["OPENSTACK_KEYSTONE_MULTIDOMAIN_SUPPORT"] is True
    assert found["HORIZON_IMAGES_UPLOAD_MODE"] == "direct"
    assert one.statuses[0] == ops.ActiveStatus()


def test_a_theme_becomes_a_part_of_the_tree_of_each_unit(three, tmp_path):
    before = trees(three.machines[0])
    three.configure(theme="site")
    assert "theme=site cannot be had: juju attach-resource horizon theme=ARCHIVE" in three.statuses[0].message
    archive = tmp_path / "theme.tar.gz"
    archive.write_bytes(b"a theme")
    three.attach(archive)
    three.update_status()
    three.update_status()
    assert {status.name for status in three.statuses.values()} == {"active"}
    current = {
        machine.resolve("/opt/horizon/current").rpartition("/")[2] for machine in three.machines.values()
    }
    (name,) = current
    assert name not in before
    assert three.machines[0].read(f"/opt/horizon/{name}/openinfra/theme") == "a theme"
    assert [machine.starts[API] for machine in three.machines.values()] == [3, 3, 3], (
        "for the option, and for the tree"
    )


def test_a_theme_that_cannot_be_compiled_changes_nothing(one, tmp_path):
    before, machine = trees(one.machines[0]), one.machines[0]
    archive = tmp_path / "theme.tar.gz"
    archive.write_bytes(b"no theme")
    machine.api.bad_theme = True
    one.attach(archive)
    assert isinstance(one.statuses[0], ops.BlockedStatus)
    assert "CompileError: Undefined variable: $brand" in one.statuses[0].message
    assert trees(machine) == before
    assert machine.api.serves
    machine.api.bad_theme = False
    one.update_status()
    one.update_status()
    assert one.statuses[0] == ops.ActiveStatus()


def test_a_unit_of_a_new_release_shows_the_page_to_log_in_before_it_counts(deploy):
    model = deploy(2, release="2025.2")
    model.action(0, "upgrade-release", release=2026.1, backup="monday")
    for _ in range(3):
        model.update_status()
    assert "2026.1 runs; to end the upgrade: finish-upgrade" in model.statuses[0].message
    for machine in model.machines.values():
        assert any(
            line.endswith(f"openinfra_ask.py {CONFIG} /run/horizon/api.sock /openinfra/ready")
            for line in machine.argv
        )


def test_two_applications_have_nothing_in_common(east):
    machine = east.machines[0]
    assert east.statuses[0] == ops.ActiveStatus()
    assert east.local[DATABASE, "app"]["database"] == "horizon_east"
    assert settings(machine, "/etc/horizon-east/horizon.conf")["SECRET_KEY"]
    found = {path for path in machine.nodes if "/horizon/" in path or path.endswith("/horizon")}
    # The package is called so too.
    assert found == {"/opt/openinfra/cache/2026.1/horizon"}


def test_nothing_is_left_on_the_machine(one):
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [path for path, node in machine.nodes.items() if node.content is not None and "horizon" in path]
    assert left == []
    assert "horizon" not in machine.users
