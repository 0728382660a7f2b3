"""Trees: built whole or not at all, switched, kept, stale; on a machine in memory that loses its power."""

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from openinfra_charm.daemon.job import Jobs, main
from openinfra_charm.machine import Result
from openinfra_charm.openstack import release
from openinfra_charm.openstack.release import ReleaseError, Releases, environment
from openinfra_charm.testing import Fuse, Killed, MemoryMachine
from openinfra_charm.testing.packaging import Packaging

RADOS = [
    "/.",
    "/usr/lib/python3/dist-packages",
    "/usr/lib/python3/dist-packages/rados.cpython-313-x86_64-linux-gnu.so",
    "/usr/lib/python3/dist-packages/rados-2.0.0.egg-info",
    "/usr/lib/python3/dist-packages/rados-2.0.0.egg-info/PKG-INFO",
    "/usr/share/doc/python3-rados/copyright",
]
LIBVIRT = [
    "/usr/lib/python3/dist-packages/libvirt.py",
    "/usr/lib/python3/dist-packages/libvirtmod.cpython-313-x86_64-linux-gnu.so",
    "/usr/lib/python3/dist-packages/__pycache__",
]


@pytest.fixture
def packaging(machine):
    """Pip, uv and two bindings on the machine."""
    packaging = Packaging(machine)
    packaging.files = {"python3-rados": RADOS, "python3-libvirt": LIBVIRT}
    machine.bring(packaging)
    machine.packages |= {"python3-rados": "18.2.7", "python3-libvirt": "11.3.0"}
    return packaging


@pytest.fixture
def locks(tmp_path):
    """What a charm ships: two releases for one Python, and one of them for the next."""
    for name, text in {
        "2025.2/python3.13.txt": "keystone==28.0.0 \\\n    --hash=sha256:aa\nwebob==1.8 --hash=sha256:bb\n",
        "2026.1/python3.13.txt": "keystone==29.0.0 \\\n    --hash=sha256:cc\nwebob==1.8 --hash=sha256:bb\n",
        "2026.1/python3.14.txt": "keystone==29.0.0 \\\n    --hash=sha256:cc\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def trees(machine, packaging):
    return Releases(machine, "keystone")


@pytest.fixture
def told():
    """What builds have reported."""
    return []


@pytest.fixture
def build(machine, trees, locks, told):
    """Return a function that builds a release."""

    def build(name="2026.1", *bindings, into=trees):
        told.clear()
        machine.clock += 10
        return into.build(release.find(machine, locks, name, bindings=bindings), told.append)

    return build


def test_a_tree_holds_what_the_lock_names_and_says_of_what_it_was_made(machine, trees, build, locks, told):
    tree = build()
    wanted = release.find(machine, locks, "2026.1")
    path = f"/opt/keystone/{tree.name}"
    assert tree == trees.find(wanted.tree)
    assert tree.name == wanted.tree
    assert tree.name.startswith("2026.1-")
    assert machine.list_folder(f"{path}/lib/python3.13/site-packages") == [
        "keystone-29.0.0.dist-info", "keystone.py", "webob-1.8.dist-info", "webob.py",
    ]  # fmt: skip
    assert machine.read(f"{path}/requirements.txt") == (locks / "2026.1/python3.13.txt").read_text()
    assert (tree.python, tree.bindings, tree.lock) == ("/usr/bin/python3.13", {}, wanted.lock_hash)
    assert told == ["fetching uv", "installing 2 packages", "writing it to disk"]
    assert trees.current is None


def test_only_wheels_whose_hashes_are_known_and_nothing_that_is_not_named(machine, build):
    build()
    pip = next(line for line in machine.argv if " -m pip " in line)
    sync = next(line for line in machine.argv if " pip sync " in line)
    assert "--require-hashes" in pip
    assert "--only-binary=:all:" in pip
    assert "--require-hashes --no-build" in sync


def test_what_is_built_is_not_built_again(machine, build):
    tree = build()
    machine.log.clear()
    machine.argv.clear()
    assert build() == tree
    assert machine.log == []
    assert machine.argv == []


def test_uv_is_fetched_once_for_all_applications(machine, build, told):
    build()
    build(into=Releases(machine, "nova"))
    assert len([line for line in machine.argv if " -m pip " in line]) == 1
    assert "fetching uv" not in told
    assert machine.list_folder("/opt/openinfra/users/2026.1") == ["keystone", "nova"]


def test_bindings_are_linked_by_name_and_imported_once(machine, build):
    tree = build("2026.1", "python3-rados", "python3-libvirt")
    site = f"/opt/keystone/{tree.name}/lib/python3.13/site-packages"
    names = machine.list_folder(site)
    linked = {
        name for name in names if f"{site}/{name}" in machine.nodes and machine.nodes[f"{site}/{name}"].link
    }
    rados = "rados.cpython-313-x86_64-linux-gnu.so"
    assert linked == {rados, "libvirt.py", "libvirtmod.cpython-313-x86_64-linux-gnu.so"}
    assert machine.nodes[f"{site}/{rados}"].link == f"/usr/lib/python3/dist-packages/{rados}"
    assert tree.bindings == {"python3-rados": "18.2.7", "python3-libvirt": "11.3.0"}
    assert machine.argv[-2].endswith("-c import libvirt, libvirtmod, rados")


def test_a_binding_that_cannot_be_imported_is_no_tree(machine, packaging, trees, build):
    packaging.broken_modules = {"rados"}
    with pytest.raises(ReleaseError, match=r"cannot be built: ModuleNotFoundError: No module named 'rados'$"):
        build("2026.1", "python3-rados")
    assert trees.all() == []
    assert machine.list_folder("/opt/keystone") == []


def test_a_binding_that_is_not_installed_is_named(build):
    with pytest.raises(ReleaseError, match="packages that are not installed: python3-rbd"):
        build("2026.1", "python3-rados", "python3-rbd")


@pytest.fixture
def additions(tmp_path):
    """Files of a charm's that belong into its trees: the program that completes them, and what it works on."""
    files = {name: tmp_path / name for name in ("complete.py", "theme")}
    for path in files.values():
        path.write_text(f"{path.name}\n")
    return {name: str(path) for name, path in files.items()}


@pytest.fixture
def completed(machine, packaging):
    """What the program that completes trees was told, and what it answers; it runs as a user that is there."""
    machine.make_user("keystone", "/var/lib/keystone")
    ran, answers = [], [Result(code=0, stdout="", stderr="")]

    def complete(argv, _stdin):
        ran.append(argv)
        return answers[-1]

    packaging.programs["runuser"] = complete
    machine.bring(packaging)
    return ran, answers


@pytest.fixture
def wanted(machine, packaging, locks, additions):
    """A release whose tree a program completes."""
    return release.find(machine, locks, "2026.1", additions=additions)


def test_a_charms_program_completes_a_tree_as_the_services_user(machine, trees, wanted, completed):
    told = []
    tree = trees.build(wanted, told.append)
    beside = f"/opt/keystone/.building-{tree.name}"
    assert completed[0] == [
        (
            "runuser", "-u", "keystone", "--", f"{beside}/bin/python", f"{beside}/openinfra/complete.py", f"{beside}/made",
            tree.name,
        )
    ]  # fmt: skip
    assert told[-2:] == ["completing it", "writing it to disk"]
    assert machine.read(f"/opt/keystone/{tree.name}/openinfra/theme") == "theme\n"
    owned = [line for line in machine.argv if line.startswith("chown ")]
    assert owned == [f"chown -R --no-dereference root:root {beside}/made"]


def test_other_additions_make_another_tree(machine, packaging, locks, additions):
    plain, wanted = (release.find(machine, locks, "2026.1", additions=more) for more in ({}, additions))
    names = {plain.tree, wanted.tree}
    Path(additions["theme"]).write_text("another")
    assert len({*names, wanted.tree}) == 3
    assert "additions" not in plain.arguments
    assert json.loads(wanted.arguments["additions"]) == additions


def test_a_tree_that_cannot_be_completed_does_not_count(machine, trees, wanted, completed):
    completed[1].append(Result(code=1, stdout="", stderr="Traceback\nCompileError: no such variable\n"))
    with pytest.raises(ReleaseError, match="cannot be built: CompileError: no such variable"):
        trees.build(wanted, print)
    assert trees.all() == []
    assert machine.list_folder("/opt/keystone") == []


def test_a_release_that_the_charm_does_not_have_is_refused_with_those_that_it_has(machine, packaging, build):
    with pytest.raises(
        ReleaseError, match=r"2027.1 cannot be had with python3.13: this charm has 2025.2 for python3.13, "
    ):
        build("2027.1")
    packaging.set_python("python3.15")
    with pytest.raises(ReleaseError, match=r"cannot be had with python3.15: .* 2026.1 for python3.14"):
        build("2026.1")


@pytest.mark.parametrize("fetched", [False, True])
def test_no_registry_is_a_reason_and_leaves_nothing_that_counts(machine, packaging, trees, build, fetched):
    if fetched:
        build("2025.2")
    before = machine.list_folder("/opt/keystone")
    packaging.offline = True
    with pytest.raises(
        ReleaseError, match=r"(?i)2026.1 cannot be built: error: .*; is the package index reachable"
    ):
        build()
    assert machine.list_folder("/opt/keystone") == before
    packaging.offline = False
    assert build() in trees.all()


def test_the_bill_of_materials_names_what_is_installed_and_what_is_linked_in(machine, build):
    machine.have("/etc/os-release", "ID=debian\nNAME=x\n")
    machine.packages["python3-rados"] = "1:18.2.7+ds-1"
    tree = build("2026.1", "python3-rados")
    bill = json.loads(machine.read(f"/opt/keystone/{tree.name}/sbom.cdx.json"))
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == (
        "keystone",
        "2026.1",
    )
    assert [component["purl"] for component in bill["components"]] == [
        "pkg:pypi/keystone@29.0.0",
        "pkg:pypi/webob@1.8",
        "pkg:deb/debian/python3-rados@1%3A18.2.7%2Bds-1",
    ]
    refused = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))
    assert refused is None


@pytest.mark.parametrize(
    ("fields", "licences"),
    [
        ("License-Expression: MIT OR Apache-2.0\n", [{"expression": "MIT OR Apache-2.0"}]),
        (
            "Classifier: License :: OSI Approved :: BSD License\nClassifier: Topic :: x\n",
            [{"license": {"name": "BSD License"}}],
        ),
        ("License: a page of words\n", None),
    ],
)
def test_a_licence_is_told_as_the_package_declares_it(fields, licences):
    component = release._installed(
        f"Metadata-Version: 2.1\nName: Foo_Bar.x\nVersion: 1.0\n{fields}\nLong words\n"
    )
    assert component.get("licenses") == licences
    assert component["purl"] == "pkg:pypi/foo-bar-x@1.0"


# Switching


def test_current_is_switched_forth_and_back(machine, trees, build):
    old = build("2025.2")
    assert trees.switch(old.name)
    new = build("2026.1")
    assert trees.current == old
    assert trees.switch(new.name)
    assert (trees.current, trees.previous) == (new, old)
    assert machine.nodes["/opt/keystone/current"].link == new.name
    machine.log.clear()
    assert not trees.switch(new.name)
    assert machine.log == []
    assert trees.switch(trees.previous.name)
    assert (trees.current, trees.previous) == (old, new)


def test_what_is_no_whole_tree_is_not_switched_to(machine, trees, build):
    tree = build()
    trees.switch(tree.name)
    machine.have("/opt/keystone/2027.1-half/bin/python", "program")
    for name in ("2027.1-half", ".building-2027.1", "elsewhere"):
        with pytest.raises(
            ReleaseError, match=f"there is no tree {name} of keystone; there are: {tree.name}"
        ):
            trees.switch(name)
    assert trees.current == tree


def test_the_tree_in_use_and_the_newest_beside_it_are_kept(machine, trees, build, locks):
    names = []
    for version in range(4):
        (locks / "2026.1/python3.13.txt").write_text(f"keystone==29.0.{version} --hash=sha256:{version}\n")
        names.append(build().name)
        if version == 1:
            trees.switch(names[1])
    machine.have("/opt/keystone/.building-2026.1-dead/bin/python", "program")
    gone = trees.prune()
    assert sorted(gone) == sorted([names[0], names[2], ".building-2026.1-dead"])
    assert {tree.name for tree in trees.all()} == {names[1], names[3]}
    assert trees.current.name == names[1]
    machine.log.clear()
    assert trees.prune() == []
    assert machine.log == []


def test_the_cache_of_a_release_goes_with_its_last_tree(machine, trees, build, locks):
    nova = Releases(machine, "nova")
    for name in ("2025.2", "2026.1"):
        machine.have(f"/opt/openinfra/cache/{name}/wheel", "wheel")
    build("2025.2", into=nova)
    for name in ("2025.2", "2026.1"):
        trees.switch(build(name).name)
    (locks / "2026.1/python3.13.txt").write_text("keystone==29.0.1 --hash=sha256:dd\n")
    trees.switch(build().name)
    trees.prune()
    assert machine.exists("/opt/openinfra/cache/2025.2")
    nova.remove()
    assert not machine.exists("/opt/openinfra/cache/2025.2")
    assert machine.exists("/opt/openinfra/cache/2026.1")


def test_removal_leaves_nothing_once_the_last_application_has_gone(machine, trees, build):
    nova = Releases(machine, "nova")
    build()
    build(into=nova)
    trees.remove()
    assert not machine.exists("/opt/keystone")
    assert machine.exists("/opt/openinfra")
    assert nova.all()
    nova.remove()
    assert not machine.exists("/opt")


# Staleness


def test_on_another_python_a_tree_is_built_anew(machine, packaging, trees, build, locks):
    old = build()
    trees.switch(old.name)
    packaging.set_python("python3.14")
    assert not trees.is_built(release.find(machine, locks, "2026.1"))
    new = build()
    assert new.name != old.name
    assert machine.list_folder(f"/opt/keystone/{new.name}/lib") == ["python3.14"]


def test_with_another_binding_a_tree_is_built_anew(machine, trees, build, locks):
    old = build("2026.1", "python3-rados")
    machine.packages["python3-rados"] = "19.2.0"
    assert not trees.is_built(release.find(machine, locks, "2026.1", bindings=["python3-rados"]))
    assert build("2026.1", "python3-rados").name != old.name


# Interruptions


def play_until(changes, locks, event=None):
    """Build on a fresh machine that has a release in use, until so many changes are made; return what is left."""
    machine = MemoryMachine()
    packaging = Packaging(machine)
    packaging.files = {"python3-rados": RADOS}
    machine.bring(packaging)
    machine.packages["python3-rados"] = "18.2.7"
    trees = Releases(machine, "keystone")
    trees.switch(trees.build(release.find(machine, locks, "2025.2"), lambda _: None).name)
    wanted = release.find(machine, locks, "2026.1", bindings=["python3-rados"])
    killed = False
    fuse = Fuse(changes, event) if event else Fuse(changes)
    with machine.fused(fuse):
        try:
            trees.build(wanted, lambda _: None)
            trees.switch(wanted.tree)
        except Killed:
            killed = True
    return machine, trees, wanted, killed


def release_in_use(trees):
    """The release that `current` leads to."""
    return trees.current.release if trees.current else None


def is_whole(machine, tree):
    """Whether a tree has all that its lock and its bindings say."""
    path = f"/opt/keystone/{tree.name}"
    names = {
        line.partition("==")[0]
        for line in machine.read(f"{path}/requirements.txt").splitlines()
        if "==" in line
    }
    site = machine.list_folder(f"{path}/lib/python3.13/site-packages")
    contents = [machine.read(f"{path}/lib/python3.13/site-packages/{name}.py") for name in names]
    bindings = [name for name in site if name.startswith("rados")]
    return all(contents) and len(bindings) == len(tree.bindings)


@pytest.mark.parametrize("power", [False, True])
def test_whenever_a_build_is_interrupted_there_are_whole_trees_only(locks, power):
    interrupted = built = torn = 0
    for changes in range(200):
        machine, trees, wanted, killed = play_until(changes, locks)
        if not killed:
            break
        interrupted += 1
        if power:
            machine.power_off()
            machine.power_on()
        built += trees.is_built(wanted)
        assert all(is_whole(machine, tree) for tree in trees.all())
        torn += len(machine.torn)
        assert release_in_use(trees) in {"2025.2", "2026.1"}
        trees.switch(trees.build(wanted, lambda _: None).name)
        assert release_in_use(trees) == "2026.1"
        assert all(is_whole(machine, tree) for tree in trees.all())
        trees.prune()
        assert machine.list_folder("/opt/keystone") == sorted(
            [*(tree.name for tree in trees.all()), "current"]
        )
    assert interrupted > 15
    assert 0 < built < interrupted
    # uv's cache was torn, and none of it has come into a tree.
    assert bool(torn) == power


def test_a_power_loss_after_the_build_loses_nothing(machine, trees, build):
    tree = build("2026.1", "python3-rados")
    machine.power_off()
    machine.power_on()
    assert trees.all() == [tree]
    assert is_whole(machine, tree)
    assert machine.torn == []


# The job


def test_the_job_builds_with_progress_and_ends_with_the_trees_name(machine, trees, locks):
    jobs = Jobs(machine, "keystone")
    wanted = release.find(machine, locks, "2026.1", bindings=["python3-rados"])
    record = jobs.start("openinfra_charm.openstack.jobs.build_release", **wanted.arguments)
    assert record.id == "build-release-1"
    assert main("keystone", record.id) == 0
    done = jobs.find(record.id)
    assert done is not None
    assert (done.state, done.progress) == ("done", f"{wanted.tree} is built")
    assert trees.is_built(wanted)


def test_what_was_built_and_has_gone_or_changed_is_built_by_another_job(machine, trees, locks):
    jobs = Jobs(machine, "keystone")
    lock = locks / "2026.1/python3.13.txt"
    for number, text in enumerate(
        (lock.read_text(), lock.read_text(), "keystone==29.0.1 --hash=sha256:dd\n"), 1
    ):
        lock.write_text(text)
        wanted = release.find(machine, locks, "2026.1")
        assert not trees.is_built(wanted)
        record = jobs.start("openinfra_charm.openstack.jobs.build_release", **wanted.arguments)
        assert record.id == f"build-release-{number}"
        main("keystone", record.id)
        assert trees.is_built(wanted)
        trees.remove()


def test_a_job_that_cannot_build_says_why_and_the_next_hook_tries_again(machine, packaging, trees, locks):
    jobs = Jobs(machine, "keystone")
    wanted = release.find(machine, locks, "2026.1")
    packaging.offline = True
    record = jobs.start("openinfra_charm.openstack.jobs.build_release", **wanted.arguments)
    assert main("keystone", record.id) == 1
    failed = jobs.find(record.id)
    assert failed is not None
    assert failed.state == "failed"
    assert failed.progress.startswith(
        "2026.1 cannot be built: ERROR: No matching distribution found for uv; "
    )
    packaging.offline = False
    again = jobs.start("openinfra_charm.openstack.jobs.build_release", **wanted.arguments)
    assert again.id == "build-release-2"
    assert main("keystone", again.id) == 0
    assert trees.is_built(wanted)


# How registries are reached


def test_registries_are_reached_as_the_machine_says(machine):
    assert environment(machine) == {
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt",
    }
    machine.have("/etc/juju-proxy.conf", "export https_proxy=http://old:3128\nexport no_proxy=10.0.0.1\n")
    machine.have(
        "/etc/environment",
        '# comment\nPATH="/usr/bin"\nhttps_proxy="http://proxy:3128"\nUV_DEFAULT_INDEX=https://mirror/simple\n'
        "SSL_CERT_FILE=/etc/ssl/own.pem\nLANG=C\n",
    )
    assert environment(machine) == {
        "SSL_CERT_FILE": "/etc/ssl/own.pem",
        "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt",
        "https_proxy": "http://proxy:3128",
        "no_proxy": "10.0.0.1",
        "UV_DEFAULT_INDEX": "https://mirror/simple",
    }


def test_the_record_is_readable_by_later_versions(machine, build):
    tree = build()
    record = json.loads(machine.read(f"/opt/keystone/{tree.name}/release.json"))
    assert record.keys() == {"release", "lock", "python", "bindings", "built"}
