"""What every archive keeps to."""

from __future__ import annotations

import os
import subprocess
import zipfile

import pytest

from openinfra_model.devtools.pack import pack

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def test_covers_every_platform(source, charm):
    targets = {
        (base.name, base.channel, architecture) for base in charm.bases for architecture in base.architectures
    }

    default = source.project.get("base", "")
    for label in source.project["platforms"]:
        base, _, architecture = label.rpartition(":")
        name, _, channel = (base or default).partition("@")
        assert (name, channel, architecture) in targets, label


def test_needs_no_newer_juju_than_the_oldest_that_is_maintained(charm):
    assert "juju >= 3.6" in charm.assumes


def test_holds_nothing_compiled_and_no_tests(packed):
    with zipfile.ZipFile(packed.path) as archive:
        names = archive.namelist()

    assert "dispatch" in names
    assert "src/charm.py" in names
    assert {"README.md", "LICENSE", "icon.svg"} <= set(names)
    unwanted = [
        name
        for name in names
        if name.endswith((".pyc", ".so")) or {"tests", "testing"} & set(name.split("/")[:-1])
    ]
    assert [name for name in unwanted if "/ops/" not in name] == []


def test_waits_for_no_unit_to_join(unpacked):
    """Its `dispatch` leaves that hook out, as the one that follows is about the same unit."""
    text = (unpacked / "src/charm.py").read_text()
    assert "relation_joined" not in text
    assert '"joined"' not in text


@pytest.mark.parametrize("python", PYTHONS)
def test_runs_on(python, unpacked):
    find = ["uv", "python", "find", "--no-python-downloads", "--no-project", "--system", python]
    found = subprocess.run(find, capture_output=True, text=True, check=False).stdout.strip()
    if not found:
        pytest.skip(f"Python {python} is not installed")
    paths = os.pathsep.join(str(unpacked / name) for name in ("lib", "src", "venv"))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}

    src = unpacked / "src"
    files = [
        path for path in src.rglob("*.py") if path.parent == src or (path.parent / "__init__.py").exists()
    ]
    modules = sorted(".".join(path.relative_to(src).with_suffix("").parts) for path in files)
    script = (
        f"import {', '.join(modules)}\n"
        "import jinja2, yaml; print(yaml.__with_libyaml__, jinja2.Template('{{ 1 + 1 }}').render())"
    )
    done = subprocess.run(
        [found, "-S", "-c", script], env=environment, capture_output=True, text=True, check=False
    )

    assert done.stdout == "False 2\n", done.stderr


def test_is_the_same_wherever_it_is_packed(site, copy_site):
    elsewhere = copy_site()
    umask = os.umask(0o077)
    try:
        again = {packed.name: packed.sha256 for packed in pack(elsewhere)}
    finally:
        os.umask(umask)

    assert again == {packed.name: packed.sha256 for packed in pack(site)}
