"""Bundles: overlays are merged and the whole is checked as Juju does, every error with its place."""

import pytest

from openinfra_model.bundle import load
from openinfra_model.directives import StorageRequest, check_constraints, parse_storage
from openinfra_model.document import DocumentError
from openinfra_model.pairing import End

SUBORDINATE = """\
name: sub
summary: A subordinate
description: It rides along.
subordinate: true
provides: {server: {interface: probe, optional: true}}
requires: {host: {interface: juju-info, scope: container}}
"""
BUNDLE = """\
description: Two and a rider
applications:
  alpha:
    charm: ../probe.charm
    base: ubuntu@24.04
    num_units: 2
    to: ["0", "1"]
    options: {greeting: salut, count: 5}
    resources: {blob: ../blob.bin}
    storage: {data: "10M,1"}
    bindings: {"": alpha, public: outside}
  beta:
    charm: ../probe.charm
    base: ubuntu@24.04
    num_units: 1
    to: [0]
    resources: {blob: ../blob.bin}
  sub:
    charm: ../sub.charm
    base: ubuntu@24.04
machines:
  "0": {base: ubuntu@24.04, constraints: cores=2 mem=4G}
  "1": {base: ubuntu@24.04}
relations:
- [alpha:server, "beta:client"]
- [sub, alpha:juju-info]
"""


@pytest.fixture
def site(make_charm, tmp_path):
    """Return a function that writes files below `site/` and returns the first one's path."""
    make_charm("probe.charm")
    make_charm("sub.charm", metadata=SUBORDINATE)
    (tmp_path / "blob.bin").write_bytes(b"\x00blob")

    def write(**files):
        for name, text in files.items():
            path = tmp_path / "site" / f"{name}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path / "site" / f"{next(iter(files))}.yaml"

    return write


def overlaid(site, overlay, base=BUNDLE):
    path = site(bundle=base, overlay=overlay)
    return load(path, [path.with_name("overlay.yaml")])


def problems_of(path, overlays=()):
    with pytest.raises(DocumentError) as raised:
        load(path, overlays)
    return [problem.removeprefix(f"{path.parent}/") for problem in raised.value.problems]


def test_reads_a_whole_bundle(site, tmp_path):
    bundle = load(site(bundle=BUNDLE))
    alpha = bundle.applications["alpha"]

    assert bundle.description == "Two and a rider"
    assert bundle.machines["0"].constraints == "cores=2 mem=4G"
    assert alpha.charm.name == "probe"
    assert alpha.archive.resolve() == tmp_path / "probe.charm"
    assert alpha.to == ("0", "1")
    assert alpha.options == {"greeting": "salut", "count": 5}
    assert alpha.storage == {"data": StorageRequest(size=10, count=1)}
    assert alpha.resources["blob"].read_bytes() == b"\x00blob"
    assert alpha.bindings == {"": "alpha", "public": "outside"}
    assert bundle.applications["beta"].to == ("0",)
    assert bundle.applications["sub"].to == ()
    assert bundle.relations == (
        (End(application="beta", endpoint="client"), End(application="alpha", endpoint="server")),
        (End(application="sub", endpoint="host"), End(application="alpha", endpoint="juju-info")),
    )


class TestOverlays:
    def test_keys_of_an_application_are_replaced_and_its_maps_merged(self, site):
        alpha = overlaid(
            site,
            "applications:\n"
            "  alpha:\n"
            "    num_units: 3\n"
            "    to: [0, 1, new]\n"
            "    options: {count: 7, loud: true, greeting: }\n",
        ).applications["alpha"]

        assert alpha.to == ("0", "1", "new")
        assert alpha.options == {"count": 7, "loud": True}
        assert alpha.storage == {"data": StorageRequest(size=10, count=1)}

    def test_an_empty_map_changes_nothing_and_nothing_clears_it(self, site):
        alpha = overlaid(site, "applications: {alpha: {options: {}, storage: }}").applications["alpha"]

        assert alpha.options == {"greeting": "salut", "count": 5}
        assert alpha.storage == {}

    def test_an_application_without_a_body_goes_with_its_relations(self, site):
        bundle = overlaid(site, "applications: {beta: }")

        assert list(bundle.applications) == ["alpha", "sub"]
        assert [str(end) for end in bundle.relations[0]] == ["sub:host", "alpha:juju-info"]

    def test_relations_are_appended(self, site):
        bundle = overlaid(site, "relations: [[beta:server, alpha:client]]")

        assert [str(end) for end in bundle.relations[-1]] == ["alpha:client", "beta:server"]

    def test_machines_are_replaced_as_a_whole(self, site):
        bundle = overlaid(
            site,
            "applications: {alpha: {to: ['0', '0']}}\nmachines: {'0': {base: ubuntu@24.04}}\n",
        )

        assert list(bundle.machines) == ["0"]
        assert bundle.machines["0"].constraints == ""

    def test_a_machine_that_only_the_bundle_refers_to_is_missed(self, site):
        path = site(bundle=BUNDLE, overlay="machines: {'0': {base: ubuntu@24.04}}")

        assert problems_of(path, [path.with_name("overlay.yaml")]) == [
            'bundle.yaml:7:15: placement "1" refers to a machine not defined in this bundle'
        ]

    def test_charms_are_beside_the_overlay_but_resources_beside_the_bundle(self, site, tmp_path):
        path = site(bundle=BUNDLE)
        overlays = path.parent / "overlays"
        overlays.mkdir()
        overlay = overlays / "gamma.yaml"
        overlay.write_text(
            "applications:\n"
            "  gamma: {charm: ../../probe.charm, base: ubuntu@24.04, resources: {blob: ../blob.bin}}\n"
        )

        gamma = load(path, [overlay]).applications["gamma"]

        assert gamma.archive.resolve() == tmp_path / "probe.charm"
        assert gamma.resources["blob"].resolve() == tmp_path / "blob.bin"

    def test_more_documents_in_a_file_are_overlays(self, site):
        bundle = load(site(bundle=BUNDLE + "---\napplications: {alpha: {options: {count: 9}}}\n"))

        assert bundle.applications["alpha"].options["count"] == 9

    def test_a_default_base_serves_what_names_none(self, site):
        base = BUNDLE.replace("    base: ubuntu@24.04\n", "").replace("{base: ubuntu@24.04}", "")

        bundle = overlaid(site, "default-base: ubuntu@24.04", base=base)

        assert bundle.applications["sub"].base == "ubuntu@24.04"
        assert bundle.machines["1"].base == "ubuntu@24.04"


class TestPlacement:
    @pytest.mark.parametrize(
        ("units", "to", "placed"),
        [
            (2, "[]", ("new", "new")),
            (3, "[0, 1]", ("0", "1", "1")),
            (2, "['lxd:0', 1]", ("lxd:0", "1")),
            (2, "[beta/0, 1]", ("beta/0", "1")),
            (1, "[new]", ("new",)),
        ],
    )
    def test_each_unit_has_its_place(self, site, units, to, placed):
        text = BUNDLE.replace("num_units: 2", f"num_units: {units}").replace('["0", "1"]', to)
        if "1" not in to:
            text = text.replace('  "1": {base: ubuntu@24.04}\n', "")

        assert load(site(bundle=text)).applications["alpha"].to == placed

    def test_units_go_to_the_units_of_another_application_in_turn(self, site):
        text = BUNDLE.replace("num_units: 1\n    to: [0]", "num_units: 2\n    to: [alpha]")

        bundle = load(site(bundle=text))

        assert bundle.applications["beta"].to == ("alpha/0", "alpha/1")

    def test_applications_come_after_those_they_are_placed_on(self, site):
        text = BUNDLE.replace('to: ["0", "1"]', "to: [beta/0, 1]")

        assert list(load(site(bundle=text)).applications).index("beta") == 0


class TestIncludes:
    def test_options_can_be_files(self, site):
        path = site(bundle=BUNDLE.replace("greeting: salut", "greeting: include-file://hello.txt"))
        (path.parent / "hello.txt").write_text("hello\n")

        assert load(path).applications["alpha"].options["greeting"] == "hello\n"

    def test_options_can_be_files_in_base64(self, site):
        path = site(bundle=BUNDLE.replace("greeting: salut", "greeting: include-base64://../blob.bin"))

        assert load(path).applications["alpha"].options["greeting"] == "AGJsb2I="

    def test_a_missing_file_is_named(self, site):
        path = site(bundle=BUNDLE.replace("greeting: salut", "greeting: include-file://absent"))

        (problem,) = problems_of(path)
        assert problem.startswith('bundle.yaml:8:25: resolving include "absent": cannot read')


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("applications:", "aplications:", "at least one application must be specified"),
        ("num_units: 2", "channel: stable", 'bundle.yaml:6:5: field "channel" in application "alpha" is not supported'),
        ("num_units: 2", "num_units: two", 'bundle.yaml:6:16: application "alpha": num_units: expected int, got string'),
        ("num_units: 2", "num_units: -1", 'bundle.yaml:6:16: negative number of units specified on application "alpha"'),
        ("num_units: 2", "num_units: 1", "bundle.yaml:7:5: too many units specified in unit placement"),
        ("../probe.charm\n    base: ubuntu@24.04\n    num_units: 2", "ceph\n    num_units: 2", "is no local path"),
        ("charm: ../sub.charm", "charm: ../absent.charm", 'charm path in application "sub" does not exist'),
        ("charm: ../sub.charm", "charm: ../blob.bin", "not a charm archive"),
        ("charm: ../sub.charm\n", "", 'bundle.yaml:18:3: application "sub": empty charm path'),
        ("greeting: salut", "greting: salut", 'option "greting" not found in charm "probe"'),
        ("count: 5", "count: many", 'bundle.yaml:8:39: cannot validate application "alpha": option "count" expected int'),
        ("greeting: salut", "greeting: 1", 'option "greeting" expected string, got 1'),
        ("[0]", "[7]", 'bundle.yaml:16:10: placement "7" refers to a machine not defined in this bundle'),
        ("[0]", "[gamma]", 'bundle.yaml:16:10: placement "gamma" refers to an application not defined'),
        ("[0]", "[alpha/2]", 'placement "alpha/2" specifies a unit greater than the 2 unit(s) started'),
        ("[0]", "[kvm:0]", 'bundle.yaml:16:10: invalid placement syntax "kvm:0"'),
        ("[0]", "[beta/0]", "bundle.yaml:12:3: impossible placement: beta on beta"),
        ('["0", "1"]', '["0", "0"]', 'bundle.yaml:23:3: machine "1" is not referred to by a placement directive'),
        ('"1":', "one:", 'bundle.yaml:23:3: invalid machine id "one"'),
        ("  sub:\n", "  sub:\n    to: [0]\n", 'application "sub" is subordinate but specifies unit placement'),
        ("  sub:\n", "  sub:\n    num_units: 1\n", 'application "sub" is subordinate but has non-zero num_units'),
        ("  sub:\n", "  Sub:\n", 'invalid application name "Sub"'),
        ('"1": {base: ubuntu@24.04}', '"1": ', 'bundle.yaml:23:3: machine "1" names no base'),
        ('"1": {base: ubuntu@24.04}', '"1": {base: noble}', 'bundle.yaml:23:15: machine "1" declares an invalid base'),
        ('"1": {base: ubuntu@24.04}', '"1": {base: ubuntu@22.04}', "base does not match: unit has"),
        (
            "charm: ../sub.charm\n    base: ubuntu@24.04",
            "charm: ../sub.charm\n    base: ubuntu@22.04",
            'bundle.yaml:20:11: application "sub": base "ubuntu@22.04" is not supported by the charm: ubuntu@24.04',
        ),
        ("cores=2", "colours=2", 'bundle.yaml:22:42: invalid constraints "colours=2 mem=4G" in machine "0": unknown'),
        ("data: ", "date: ", 'bundle.yaml:10:15: application "alpha": charm "probe" has no store called "date"'),
        ('"10M,1"', '"5M,1"', 'store "data": minimum storage size is 10M, 5M specified'),
        ('"10M,1"', '"10M,+"', 'unrecognized storage directive "+"'),
        ("{blob: ../blob.bin}\n    storage", "{blob: ../none}\n    storage", 'resource "blob": no file'),
        ("{blob: ../blob.bin}\n    storage", "{blob: 3}\n    storage", 'bundle.yaml:9:23: application "alpha": resource "blob"'),
        ("{blob: ../blob.bin}\n    storage", "{b: ../blob.bin}\n    storage", 'has no resource called "b"'),
        ("    resources: {blob: ../blob.bin}\n    storage", "    storage", 'local charm missing resource "blob"'),
        ("public: outside", "private: inside", 'wants to bind endpoint "private" to space "inside"'),
        ("[sub, alpha:juju-info]", "[sub]", 'bundle.yaml:26:3: relation ["sub"] has 1 endpoint(s), not 2'),
        ("[sub, alpha:juju-info]", "[sub, sub]", "relates an application to itself"),
        ("[sub, alpha:juju-info]", "[sub, gamma]", 'refers to application "gamma" not defined in this bundle'),
        ("[sub, alpha:juju-info]", "[sub, 'alpha:']", 'invalid relation syntax "alpha:"'),
        ("[sub, alpha:juju-info]", "[sub, alpha:front]", 'used by application "alpha" does not define relation "front"'),
        ("[sub, alpha:juju-info]", "[alpha, beta]", "ambiguous relation: alpha beta could refer to"),
        ("[sub, alpha:juju-info]", "[beta, alpha:server]", 'bundle.yaml:26:3: relation ["beta" "alpha:server"] is defined more than once'),
        ("[sub, alpha:juju-info]", "[alpha:server, beta:server]", "relates provider to provider"),
        ("[sub, alpha:juju-info]", "[sub:host, alpha:server]", 'mismatched interface between "sub:host" and "alpha:server" ("juju-info" vs "probe")'),
        ("[sub, alpha:juju-info]", "[sub:server, alpha]", None),
        ("[sub, alpha:juju-info]", "[alpha:cluster, beta]", "cannot infer endpoint between alpha:cluster and beta: no relations found"),
    ],
)  # fmt: skip
def test_tells_what_is_wrong_and_where(site, old, new, problem):
    assert old in BUNDLE
    path = site(bundle=BUNDLE.replace(old, new, 1))

    if problem is None:
        assert len(load(path).relations) == 2
    else:
        assert [found for found in problems_of(path) if problem in found]


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        ("description:", "name: two\ndescription:", 'bundle.yaml:1:1: field "name" not found in bundle, ignored: known are '),
        ("num_units: 2", "num_units: 2\n    units: 2", 'bundle.yaml:7:5: field "units" not found in application "alpha"'),
        ("{base: ubuntu@24.04}", "{base: ubuntu@24.04, bases: x}", 'field "bases" not found in machine "1"'),
    ],
)  # fmt: skip
def test_what_juju_ignores_is_ignored_and_told(site, old, new, warning):
    path = site(bundle=BUNDLE.replace(old, new, 1))
    (told,) = load(path).warnings
    assert warning in told


def test_variables_with_anchors_serve_a_whole_bundle(site):
    """As Charmed OpenStack's and Ceph's bundles have them."""
    variables = """\
variables:
  greeting: &greeting salut
  common: &common {resources: {blob: ../blob.bin}, base: ubuntu@24.04}
  probe: &probe
    <<: *common
    charm: ../probe.charm
    num_units: 1
applications:
  alpha: {<<: *probe, num_units: 2, options: {greeting: *greeting}}
  beta: {<<: *probe}
  gamma: *probe
"""
    bundle = load(site(bundle=variables))
    assert [(name, one.units) for name, one in bundle.applications.items()] == [
        ("alpha", 2),
        ("beta", 1),
        ("gamma", 1),
    ]
    assert bundle.applications["alpha"].options == {"greeting": "salut"}
    assert [warning.partition(" not found")[0][-17:] for warning in bundle.warnings] == ['field "variables"']


def test_tells_everything_at_once(site):
    path = site(bundle=BUNDLE.replace("count: 5", "cont: 5").replace("[0]", "[7]"))

    assert problems_of(path) == [
        'bundle.yaml:8:32: cannot validate application "alpha": configuration option "cont" not found in charm "probe"',
        'bundle.yaml:16:10: placement "7" refers to a machine not defined in this bundle',
    ]


def test_a_charm_that_cannot_be_read_is_the_only_problem(site):
    path = site(
        bundle=BUNDLE.replace("alpha:\n    charm: ../probe.charm", "alpha:\n    charm: ../absent.charm")
    )

    (problem,) = problems_of(path)
    assert problem.startswith('bundle.yaml:4:12: charm path in application "alpha" does not exist')


def test_a_limit_of_relations_is_kept(site):
    more = "".join(
        f"  extra{name}: {{charm: ../probe.charm, base: ubuntu@24.04, resources: {{blob: ../blob.bin}}}}\n"
        for name in ("a", "b")
    )
    relations = "- [beta:client, extraa:server]\n- [beta:client, extrab:server]\n"
    path = site(bundle=BUNDLE.replace("machines:\n", f"{more}machines:\n") + relations)

    (problem,) = problems_of(path)
    assert problem.endswith("a new relation for beta:client would exceed its maximum relation limit of 2")


@pytest.mark.parametrize("text", ["", "---\n---\n"])
def test_an_empty_bundle_is_none(site, text):
    assert "bundle is empty" in problems_of(site(bundle=text))[0]


def test_a_bundle_without_applications_is_none(site):
    assert problems_of(site(bundle="description: nothing")) == [
        "bundle.yaml:1:1: at least one application must be specified"
    ]


def test_a_bundle_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\x00")

    assert "not UTF-8 text" in problems_of(path)[0]


def test_a_bundle_that_is_not_there_is_named(tmp_path):
    assert "cannot be read: No such file" in problems_of(tmp_path / "absent.yaml")[0]


class TestDirectives:
    @pytest.mark.parametrize(
        ("text", "request_"),
        [
            ("loop,2,10G", StorageRequest(pool="loop", size=10240, count=2)),
            ("10G", StorageRequest(size=10240, count=1)),
            ("3", StorageRequest(count=3)),
            ("maas-ssd", StorageRequest(pool="maas-ssd")),
        ],
    )
    def test_storage(self, text, request_):
        assert parse_storage(text) == request_

    @pytest.mark.parametrize("text", ["a,b", "1G,2G", "0", "1,2", "-1"])
    def test_wrong_storage(self, text):
        with pytest.raises(ValueError, match=r"unrecognized storage directive|greater than zero"):
            parse_storage(text)

    @pytest.mark.parametrize("text", ["", "cores=4 mem=8G", "tags=a,b root-disk=", r"zones=a\ b"])
    def test_constraints(self, text):
        check_constraints(text)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("cores", "malformed constraint"),
            ("colour=red", "unknown constraint"),
            ("mem=1G mem=2G", "already set"),
            ("cores=few", "does not match"),
        ],
    )
    def test_wrong_constraints(self, text, message):
        with pytest.raises(ValueError, match=message):
            check_constraints(text)
