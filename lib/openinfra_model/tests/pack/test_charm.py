"""Charms are read by Juju's rules, and what breaks them is told with its place."""

import json
import stat
import zipfile

import pytest

from openinfra_model.charm import Base, Charm, Endpoint, Option, OptionError, parse_size
from openinfra_model.charm_archive import CharmError, read_archive


def test_reads_everything_that_a_charm_says(make_charm):
    charm = read_archive(make_charm())

    assert charm.name == "probe"
    assert charm.bases == (Base(name="ubuntu", channel="24.04", architectures=("amd64", "arm64")),)
    assert charm.endpoints["client"] == Endpoint(
        name="client", role="requires", interface="probe", optional=True, limit=2
    )
    assert charm.endpoints["juju-info"].role == "provides"
    assert charm.config["count"].default == 3
    assert charm.config["ratio"].default is None
    assert charm.actions["echo"].parallel
    assert charm.actions["echo"].schema["required"] == ["text"]
    assert charm.storage["data"].minimum_size == 10
    assert charm.storage["data"].count_max is None
    assert charm.resources["blob"].filename == "blob.bin"
    assert charm.extra_bindings == ("public",)
    assert charm.assumes == ("juju >= 3.6",)


def test_actions_take_no_unknown_parameters_unless_they_say_so(make_charm):
    charm = read_archive(make_charm(actions="echo: {}\nopen: {additionalProperties: true}\n"))

    assert charm.actions["echo"].schema["additionalProperties"] is False
    assert charm.actions["echo"].description == "No description"
    assert charm.actions["open"].schema["additionalProperties"] is True


def test_survives_json(make_charm):
    charm = read_archive(make_charm())

    assert Charm.from_dict(json.loads(json.dumps(charm.to_dict()))) == charm
    assert Charm.from_dict(charm.to_dict()) == charm


METADATA_START = "name: probe\nsummary: A probe\ndescription: It probes.\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metadata": None}, "metadata.yaml: missing or empty"),
        ({"metadata": "name: [1"}, "metadata.yaml:1:9: not valid YAML"),
        ({"metadata": "name: probe\nname: probe"}, 'metadata.yaml:2:1: key "name" already set in map'),
        ({"metadata": "name: probe\nsummary: s\n"}, "description: expected string, got nothing"),
        (
            {"metadata": METADATA_START.replace("It probes.", "y")},
            'metadata.yaml:3:14: description: expected string, got bool(true): write "y" in quotes',
        ),
        ({"metadata": METADATA_START + "min-juju-version: 3.6.0\n"}, "metadata.yaml:4:1: min-juju-version"),
        (
            {"metadata": METADATA_START + "series: [noble]\n"},
            "metadata.yaml:4:1: series in metadata v2 not valid",
        ),
        (
            {"metadata": METADATA_START + "subordinate: true\n"},
            'subordinate charm "probe" lacks "requires" relation with container scope',
        ),
        (
            {"metadata": METADATA_START + "provides: {juju-x: {interface: x}}\n"},
            'metadata.yaml:4:12: cannot use relation name juju-x: the "juju-" prefix is reserved',
        ),
        (
            {"metadata": METADATA_START + "provides: {a: {interface: x}}\npeers: {a: {interface: x}}\n"},
            'metadata.yaml:5:9: peers: duplicated relation name "a"',
        ),
        (
            {"metadata": METADATA_START + "provides: {a: {interface: x, scope: local}}\n"},
            'metadata.yaml:4:37: provides.a.scope: unexpected value "local": use one of container, global',
        ),
        (
            {"metadata": METADATA_START + "provides: {a: {interface: x}}\nextra-bindings: {a: }\n"},
            "metadata.yaml:5:18: relation names (a) cannot be used in extra bindings",
        ),
        (
            {"metadata": METADATA_START + "storage: {d: {type: block, location: /srv}}\n"},
            'metadata.yaml:4:38: storage "d": location may not be specified for "type: block"',
        ),
        (
            {"metadata": METADATA_START + "storage: {d: {type: block, multiple: {range: few}}}\n"},
            "metadata.yaml:4:46: storage.d.multiple.range: value \"few\" does not match 'm', 'm-n', or 'm+'",
        ),
        (
            {"metadata": METADATA_START + "storage: {d: {type: block, minimum-size: big}}\n"},
            'metadata.yaml:4:42: storage.d.minimum-size: "big" is not a size',
        ),
        (
            {"metadata": METADATA_START + "resources: {r: {filename: a/b}}\n"},
            'metadata.yaml:4:27: resources.r: filename cannot contain "/" (got "a/b")',
        ),
        (
            {"metadata": METADATA_START + "assumes: [juju ~ 4]\n"},
            'metadata.yaml:4:11: assumes: malformed expression "juju ~ 4"',
        ),
        ({"manifest": None}, "manifest.yaml: missing or empty"),
        ({"manifest": "bases: []"}, "manifest.yaml:1:1: charm metadata without bases in manifest not valid"),
        ({"manifest": "bases: [{name: ubuntu}]"}, "manifest.yaml:1:9: base without channel"),
        ({"config": "{}"}, "config.yaml:1:1: invalid config: empty configuration"),
        (
            {"config": "options: {a: {type: text}}"},
            'config.yaml:1:21: invalid config: option "a" has unknown type "text"',
        ),
        (
            {"config": "options: {a: {type: int, default: many}}"},
            'config.yaml:1:35: invalid config default: option "a" expected int, got "many"',
        ),
        (
            {"config": "options: {a: {type: float, default: 1}}"},
            'config.yaml:1:37: invalid config default: option "a" expected float, got 1',
        ),
        ({"actions": "Echo: {}"}, "actions.yaml:1:1: bad action name Echo"),
        (
            {"actions": "juju-echo: {}"},
            'actions.yaml:1:1: cannot use action name juju-echo: the "juju-" prefix is reserved',
        ),
        (
            {"actions": "echo: {params: {n: {type: integer}}}"},
            'actions.yaml:1:17: actions.echo.params: map keyed with non-string value n: write "n" in quotes',
        ),
        (
            {"actions": "echo: {description: on}"},
            'actions.yaml:1:21: actions.echo.description: expected string, got bool(true): write "on" in quotes',
        ),
        (
            {"actions": "echo: {params: {a: {$ref: x}}}"},
            'actions.yaml:1:21: actions.echo: schema key "$ref" not compatible with this version of juju',
        ),
        (
            {"actions": "echo: {params: {a: {type: text}}}"},
            "actions.yaml:1:1: invalid params schema for action schema echo: properties.a.type",
        ),
    ],
)
def test_refuses_what_juju_refuses(make_charm, changes, message):
    with pytest.raises(CharmError) as raised:
        read_archive(make_charm(**changes))

    assert message in str(raised.value)
    assert str(raised.value).count(message) == 1


def test_tells_all_that_is_wrong_at_once(make_charm):
    path = make_charm(config="options: {a: {type: text}}", actions="Echo: {}")

    with pytest.raises(CharmError) as raised:
        read_archive(path)

    assert raised.value.path == path
    assert "config.yaml:1:21" in raised.value.message
    assert "actions.yaml:1:1" in raised.value.message


def test_dispatch_has_to_be_executable(make_charm):
    with pytest.raises(CharmError, match="dispatch: mode 0644 is not executable"):
        read_archive(make_charm(mode=0o644))


def test_refuses_what_is_no_archive(tmp_path):
    path = tmp_path / "broken.charm"
    path.write_text("not a zip")

    with pytest.raises(CharmError, match="not a charm archive"):
        read_archive(path)
    with pytest.raises(CharmError, match="cannot read the charm"):
        read_archive(tmp_path / "absent.charm")


@pytest.mark.parametrize(
    ("member", "target"), [("../outside", None), ("link", "/etc/passwd"), ("src/link", "../../outside")]
)
def test_refuses_members_that_leave_the_charm(make_charm, member, target):
    path = make_charm()
    info = zipfile.ZipInfo(member)
    info.external_attr = (stat.S_IFLNK if target else stat.S_IFREG) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, target or "text")

    with pytest.raises(CharmError, match="leads out of the charm"):
        read_archive(path)


def test_a_subordinate_may_require_juju_info_by_that_name(make_charm):
    metadata = METADATA_START + (
        "subordinate: true\nrequires: {juju-info: {interface: juju-info, scope: container}}\n"
    )

    endpoint = read_archive(make_charm(metadata=metadata)).endpoints["juju-info"]

    assert endpoint.role == "requires"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "7", 7),
        ("float", "0.5", 0.5),
        ("boolean", "true", True),
        ("boolean", "0", False),
        ("string", "1", "1"),
    ],
)
def test_options_read_text(kind, text, value):
    assert Option(name="a", type=kind).parse(text) == value


@pytest.mark.parametrize(("kind", "text"), [("int", "many"), ("float", "much"), ("boolean", "yes")])
def test_options_refuse_other_text(kind, text):
    with pytest.raises(OptionError, match=f'option "a" expected {kind}, got "{text}"'):
        Option(name="a", type=kind).parse(text)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("string", 1, "1"),
        ("int", True, "true"),
        ("float", 1, "1"),
        ("boolean", 0, "0"),
        ("secret", "x", '"x"'),
    ],
)
def test_options_refuse_values_of_another_type(kind, value, shown):
    with pytest.raises(OptionError, match=f'option "a" expected {kind}, got {shown}'):
        Option(name="a", type=kind).check(value)


@pytest.mark.parametrize(
    ("text", "mebibytes"), [("10", 10), ("10M", 10), ("1.5G", 1536), ("1TiB", 1024**2), ("2GB", 2048)]
)
def test_sizes(text, mebibytes):
    assert parse_size(text) == mebibytes


def test_a_wrong_size_names_the_units():
    with pytest.raises(ValueError, match='"10K" is not a size'):
        parse_size("10K")


def link(archive: zipfile.ZipFile, name: str, target: str) -> None:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, target)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("src/up", ".."), ("away", "src/up/../etc")),
        (("src/up", ".."), ("src/away", "up/../../etc")),
        (("a", "b"), ("b", "a")),
    ],
)
def test_refuses_links_that_leave_the_charm_by_way_of_each_other(make_charm, first, second):
    path = make_charm()
    with zipfile.ZipFile(path, "a") as archive:
        link(archive, *first)
        link(archive, *second)
    with pytest.raises(CharmError, match="leads out of the charm"):
        read_archive(path)


def test_refuses_what_lies_behind_a_link(make_charm):
    path = make_charm()
    with zipfile.ZipFile(path, "a") as archive:
        link(archive, "src/here", "..")
        archive.writestr("src/here/dispatch", "another")
    with pytest.raises(
        CharmError, match="src/here/dispatch: lies behind the link src/here: pack it where it is"
    ):
        read_archive(path)


def test_takes_links_that_stay_in_the_charm(make_charm):
    path = make_charm()
    with zipfile.ZipFile(path, "a") as archive:
        link(archive, "src/up", "..")
        link(archive, "hooks/install", "../src/up/dispatch")
    assert read_archive(path).name == "probe"
