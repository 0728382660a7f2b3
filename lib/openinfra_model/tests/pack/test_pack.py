"""Packing: the same input gives the same bytes, and the bytes are a charm that Juju takes and Python runs."""

import argparse
import os
import subprocess
import zipfile

import pytest

from openinfra_model.charm import Base
from openinfra_model.charm_archive import read_archive
from openinfra_model.cli import developer
from openinfra_model.cli.client import Client
from openinfra_model.devtools import pack

PROJECT = """\
name: openinfra-probe
title: Probe
type: charm
summary: A probe
description: "y"
platforms:
  ubuntu@24.04:amd64:
  ubuntu@24.04:arm64:
  next: {build-on: [amd64], build-for: ["ubuntu@26.04:all"]}
parts: {charm: {plugin: dump, source: .}}
links: {documentation: "https://example.org", contact: me@example.org, source: ["https://example.org/git"]}
config: {options: {count: {type: int, default: 3, description: c}}}
actions: {echo: {description: Say it, additionalProperties: false}}
"""


@pytest.fixture
def root(tmp_path):
    """A repository with one charm, whose dependencies are there already."""
    files = {
        "uv.lock": "",
        "lib/openinfra_charm/pyproject.toml": "",
        "lib/openinfra_charm/src/openinfra_charm/__init__.py": "",
        "lib/openinfra_charm/src/openinfra_charm/used/__init__.py": "",
        "lib/openinfra_charm/src/openinfra_charm/used/shared.py": "from openinfra_charm.used.word import WORD\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from openinfra_charm.used import types\n",
        "lib/openinfra_charm/src/openinfra_charm/used/word.py": "WORD = 'shared'\n",
        "lib/openinfra_charm/src/openinfra_charm/used/types.py": "",
        "lib/openinfra_charm/src/openinfra_charm/used/files/copied.txt": "copied\n",
        "lib/openinfra_charm/src/openinfra_charm/unused/__init__.py": "",
        "lib/openinfra_charm/src/openinfra_charm/unused/other.py": "",
        "charms/probe/charmcraft.yaml": PROJECT,
        "charms/probe/src/charm.py": "import own, vendored\nfrom openinfra_charm.used import shared\n"
        "print(own.WORD, vendored.WORD, shared.WORD)\n",
        "charms/probe/src/own.py": "WORD = 'own'\n",
        "charms/probe/src/__pycache__/own.cpython-311.pyc": "compiled",
        "charms/probe/src/templates/probe.conf.j2": "{{ word }}\n",
        "charms/probe/tests/unit/test_charm.py": "",
        "charms/probe/README.md": "# Probe\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Stand in for uv: what it would install, with the parts that an archive must not hold."""

    def install(_root, target):
        for name in ("vendored.py", "_fast.cpython-311-x86_64-linux-gnu.so", "tests/test_vendored.py"):
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("WORD = 'vendored'\n")
        metadata = target / "vendored-1.0.dist-info"
        (metadata / "licenses").mkdir(parents=True)
        for name in ("METADATA", "RECORD", "entry_points.txt", "licenses/LICENSE"):
            (metadata / name).write_text(name)

    monkeypatch.setattr(pack, "_install", install)


def test_two_that_pack_at_once_do_not_disturb_each_other(root, monkeypatch):
    install, other = pack._install, []

    def late(_root, target):
        install(_root, target)
        if not other:
            other.append(None)
            other[:] = pack.pack(root)

    monkeypatch.setattr(pack, "_install", late)
    (packed,) = pack.pack(root)
    assert (packed.sha256, packed.changed) == (other[0].sha256, False)
    assert len(list((root / "build/venv").iterdir())) == 1


def test_an_archive_holds_what_juju_and_the_charm_need(root):
    (packed,) = pack.pack(root)

    with zipfile.ZipFile(packed.path) as archive:
        assert archive.namelist() == [
            "README.md",
            "actions.yaml",
            "config.yaml",
            "dispatch",
            "manifest.yaml",
            "metadata.yaml",
            "src/charm.py",
            "src/own.py",
            "src/templates/probe.conf.j2",
            "venv/openinfra_charm/__init__.py",
            "venv/openinfra_charm/used/__init__.py",
            "venv/openinfra_charm/used/files/copied.txt",
            "venv/openinfra_charm/used/shared.py",
            "venv/openinfra_charm/used/word.py",
            "venv/vendored-1.0.dist-info/METADATA",
            "venv/vendored-1.0.dist-info/entry_points.txt",
            "venv/vendored-1.0.dist-info/licenses/LICENSE",
            "venv/vendored.py",
        ]


def test_charmcraft_yaml_is_split_as_charmcraft_does(root):
    (packed,) = pack.pack(root)

    charm = read_archive(packed.path)
    with zipfile.ZipFile(packed.path) as archive:
        metadata = archive.read("metadata.yaml").decode()

    assert charm.name == "openinfra-probe"
    assert charm.description == "y"
    assert charm.config["count"].default == 3
    assert list(charm.actions) == ["echo"]
    assert charm.bases == (
        Base(name="ubuntu", channel="24.04", architectures=("amd64", "arm64")),
        Base(name="ubuntu", channel="26.04", architectures=("amd64", "arm64", "ppc64el", "riscv64", "s390x")),
    )
    assert "display-name: Probe\n" in metadata
    assert "docs: https://example.org\n" in metadata
    assert "maintainers:\n- me@example.org\n" in metadata


def test_a_charm_runs_from_anywhere(root, tmp_path):
    (packed,) = pack.pack(root)
    charm = tmp_path / "unpacked"
    with zipfile.ZipFile(packed.path) as archive:
        archive.extractall(charm)
    (charm / "dispatch").chmod(0o755)

    for command, directory in (("./dispatch", charm), (str(charm / "dispatch"), tmp_path)):
        done = subprocess.run([command], cwd=directory, capture_output=True, text=True, check=True)
        assert done.stdout == "own vendored shared\n"


@pytest.mark.parametrize(("kind", "output"), [("joined", ""), ("changed", "own vendored shared\n")])
def test_a_unit_that_joins_is_looked_at_in_the_hook_that_follows(root, tmp_path, kind, output):
    (packed,) = pack.pack(root)
    with zipfile.ZipFile(packed.path) as archive:
        archive.extractall(tmp_path)
    environment = {**os.environ, "JUJU_DISPATCH_PATH": f"hooks/cluster-relation-{kind}"}
    command = ["sh", tmp_path / "dispatch"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == output


def test_the_same_input_gives_the_same_bytes(root):
    (first,) = pack.pack(root)
    source = root / "charms/probe/src/own.py"
    source.touch()
    os.utime(source, (0, 0))
    first.path.unlink()

    (second,) = pack.pack(root)

    assert second.sha256 == first.sha256


def test_writes_only_what_changed(root):
    (first,) = pack.pack(root)
    (same,) = pack.pack(root)
    (root / "charms/probe/src/own.py").write_text("WORD = 'new'\n")
    (other,) = pack.pack(root)

    assert (first.changed, same.changed, other.changed) == (True, False, True)
    assert same.sha256 == first.sha256 != other.sha256


def test_a_stage_has_all_but_what_charmcraft_writes(root):
    (staged,) = pack.stage(root)
    (root / "charms/probe/src/own.py").unlink()
    (again,) = pack.stage(root)

    assert staged == again == root / "build/stage/probe"
    names = {str(path.relative_to(staged)) for path in staged.rglob("*") if path.is_file()}
    assert {"charmcraft.yaml", "dispatch", "src/charm.py", "venv/vendored.py"} < names
    assert not names & {"metadata.yaml", "config.yaml", "actions.yaml", "manifest.yaml", "src/own.py"}
    assert os.access(staged / "dispatch", os.X_OK)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: openinfra-probe", "name: [", "not valid YAML"),
        ("type: int", "type: number", 'charms/probe: Juju would refuse the archive: .*unknown type "number"'),
        ("ubuntu@24.04:amd64:", "amd64:", 'platform "amd64": name a base'),
        ("platforms:", "plattforms:", "platforms: missing"),
    ],
)
def test_says_why_a_charm_cannot_be_packed(root, old, new, message):
    project = root / "charms/probe/charmcraft.yaml"
    project.write_text(PROJECT.replace(old, new))

    with pytest.raises(pack.PackError, match=message):
        pack.pack(root)
    assert not list(root.glob("build/*.charm"))


def test_knows_its_charms(root):
    with pytest.raises(pack.PackError, match=r'no charm "prob".*known: probe'):
        pack.pack(root, ["prob"])


def test_names_a_charm_without_a_program(root):
    (root / "charms/probe/src/charm.py").unlink()

    with pytest.raises(pack.PackError, match=r"src/charm.py: missing"):
        pack.pack(root)


def test_the_command_tells_what_it_did(root, monkeypatch, capsys):
    monkeypatch.setattr(developer, "ROOT", root)

    def told(*names, stage=False):
        developer.pack(Client(), argparse.Namespace(names=names, stage=stage))
        return capsys.readouterr().out

    assert told("probe").startswith("build/openinfra-probe.charm: packed, sha256 ")
    assert told().startswith("build/openinfra-probe.charm: unchanged, sha256 ")
    assert told(stage=True) == "build/stage/probe: ready for charmcraft pack\n"
