"""Locking: what OpenStack's constraints say, what overrides and pins change, and what nobody may leave open."""

import json
from pathlib import Path

import pytest

from openinfra_model.devtools import pack, relock
from openinfra_model.devtools.relock import RelockError

RELEASES = """\
packages = ["probe"]
exclude = ["testing"]
pins = ["certificates==3"]

[releases."2026.1"]
pythons = ["3.13"]
pins = ["probe==29.1.0"]
"""
CONSTRAINTS = (
    "Fast.Code===1.0\ntyping===1;python_version<'3.12'\ntyping===2;python_version>='3.12'\nold===1\n"
)


class Index:
    """Stand in for uv: it has what the constraints name, each with a wheel for any machine or one for each."""

    def __init__(self):
        self.compiled_for = {"fast-code": "each"}
        self.only_on = {}
        self.unnamed = {}
        self.calls = []
        self.constraints = []

    def __call__(self, folder: Path, *arguments):
        platform = arguments[arguments.index("--python-platform") + 1].partition("-")[0]
        self.calls.append(arguments)
        self.constraints = (folder / "constraints").read_text().splitlines()
        versions = dict(self.unnamed)
        for line in self.constraints:
            name, _, version = line.partition("==")
            versions[name.lower().replace(".", "-")] = version.strip("=").partition(";")[0]
        text = ""
        for name, version in versions.items():
            if self.only_on.get(name, platform) == platform:
                digest = f"{name}-{platform}" if name in self.compiled_for else name
                wheel = f"{{ hashes = {{ sha256 = {json.dumps(digest)} }} }}"
                text += f'[[packages]]\nname = "{name}"\nversion = "{version}"\nwheels = [{wheel}]\n'
        (folder / "pylock.toml").write_text(text)


@pytest.fixture
def index(monkeypatch):
    index = Index()
    monkeypatch.setattr(pack, "uv", index)
    return index


@pytest.fixture
def root(tmp_path):
    files = {
        "charms/probe/releases.toml": RELEASES,
        "security-overrides.txt": "# CVE-1\nold==1.10\n",
        "constraints.txt": CONSTRAINTS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(root, *names, constraints=None):
    given = [f"2026.1={root / 'constraints.txt'}"] if constraints is None else constraints
    return list(relock.lock(root, names, given))


LOCK = "charms/probe/src/releases/2026.1/python3.13.txt"


def test_a_lock_has_each_package_once_with_the_wheels_of_both_machines(root, index):
    assert run(root) == [f"{LOCK}: locked, 5 packages"]
    assert (root / LOCK).read_text() == (
        "# Made by ./openinfra relock probe from releases.toml, security-overrides.txt and OpenStack's upper-constraints of\n"
        "# 2026.1: wheels for Python 3.13 on x86_64 and aarch64.\n"
        "certificates==3 \\\n    --hash=sha256:certificates\n"
        "fast-code==1.0 \\\n    --hash=sha256:fast-code-aarch64 \\\n    --hash=sha256:fast-code-x86_64\n"
        "old==1.10 \\\n    --hash=sha256:old\n"
        "probe==29.1.0 \\\n    --hash=sha256:probe\n"
        "typing==2 \\\n    --hash=sha256:typing\n"
    )


def test_the_same_input_gives_the_same_bytes(root, index):
    run(root)
    before = (root / LOCK).read_bytes()
    assert run(root, "probe") == [f"{LOCK}: unchanged, 5 packages"]
    assert (root / LOCK).read_bytes() == before


def test_only_wheels_are_taken_and_what_is_excluded_is_said(root, index):
    run(root)
    assert {"--only-binary", "--excludes", "--no-config"} <= set(index.calls[0])
    assert [call[call.index("--python-platform") + 1] for call in index.calls] == [
        "x86_64-manylinux_2_39",
        "aarch64-manylinux_2_39",
    ]


def test_an_override_takes_the_place_of_an_older_version_only(root, index):
    run(root)
    assert "old==1.10" in index.constraints
    assert "old===1" not in index.constraints
    (root / "constraints.txt").write_text(CONSTRAINTS.replace("old===1", "old===1.11"))
    run(root)
    assert "old===1.11" in index.constraints
    assert "old==1.10" not in index.constraints


def test_what_nobody_has_pinned_is_refused_by_name(root, index):
    index.unnamed = {"loose": "7"}
    with pytest.raises(
        RelockError, match=r"^probe 2026.1 for Python 3.13: pinned nowhere; .*releases.toml: loose==7$"
    ):
        run(root)
    assert not (root / LOCK).exists()


def test_what_one_machine_alone_needs_is_for_that_one_alone(root, index):
    index.only_on = {"fast-code": "aarch64"}
    run(root)
    assert "fast-code==1.0 ; platform_machine == 'aarch64' \\\n" in (root / LOCK).read_text()


def test_what_uv_refuses_is_told_with_release_python_and_machine(root, monkeypatch):
    def refuse(*_):
        raise pack.PackError("uv pip failed with exit code 1: testing==2 has no usable wheels")

    monkeypatch.setattr(pack, "uv", refuse)
    with pytest.raises(
        RelockError,
        match=r"^probe 2026.1 for Python 3.13 on x86_64: .*testing==2 has no usable wheels; pin or exclude it",
    ):
        run(root)


def test_a_lock_that_is_not_named_any_more_goes(root, index):
    run(root)
    (root / "charms/probe/releases.toml").write_text(RELEASES.replace("3.13", "3.14"))
    assert run(root)[-1] == f"{LOCK}: removed"
    assert not (root / LOCK).exists()


@pytest.mark.parametrize(
    ("names", "constraints", "words"),
    [
        (("nothing",), None, "charms/nothing/releases.toml; charms that have one: probe"),
        ((), ["2026.1"], "name the release too"),
        ((), ["2027.1=x"], "no such release; there are: 2026.1"),
        ((), ["2026.1=/nowhere"], "cannot be read from /nowhere"),
    ],
)
def test_wrong_words_are_refused_with_the_right_ones(root, index, names, constraints, words):
    with pytest.raises(RelockError, match=words):
        run(root, *names, constraints=constraints)


@pytest.mark.parametrize(
    "text", ["packages = [", 'packages = ["probe"]\n', RELEASES.replace("pythons", "python")]
)
def test_a_file_that_is_not_of_its_form_is_named(root, index, text):
    (root / "charms/probe/releases.toml").write_text(text)
    with pytest.raises(RelockError, match=r"^charms/probe/releases.toml: cannot be used"):
        run(root)
