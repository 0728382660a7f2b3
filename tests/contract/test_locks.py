"""The locks of OpenStack's releases: what releases.toml names is there, whole, and no override is forgotten."""

import itertools
import re
from pathlib import Path

import pytest
from packaging.version import Version

from openinfra_model.devtools import relock

ROOT = Path(__file__).parents[2]
LOCKS = [
    (release, ROOT / "charms" / release.charm / "src/releases" / release.name / f"python{python}.txt")
    for path in sorted(ROOT.glob("charms/*/releases.toml"))
    for release in relock.releases(ROOT, path.parent.name)
    for python in release.pythons
]
REQUIREMENT = re.compile(r"([a-z0-9-]+)==(\S+)( ; platform_machine == '\w+')? \\")


def read(lock):
    """Return the versions that a lock has, and how many hashes each has."""
    versions, hashes = {}, {}
    name = ""
    for line in lock.read_text().splitlines():
        if line.startswith("#"):
            continue
        if match := REQUIREMENT.fullmatch(line):
            name = match[1]
            assert name not in versions, name
            versions[name], hashes[name] = match[2], 0
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
            hashes[name] += 1
    return versions, hashes


@pytest.fixture(params=LOCKS, ids=lambda item: str(item[1].relative_to(ROOT / "charms")))
def locked(request):
    release, path = request.param
    return release, *read(path)


def pins(lines):
    return {
        re.sub(r"[-_.]+", "-", name).lower(): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", "\n".join(lines), re.MULTILINE)
    }


def test_there_are_the_locks_that_are_named_and_no_other():
    assert {path for _, path in LOCKS} == set(ROOT.glob("charms/*/src/releases/*/*.txt"))


def test_every_package_has_a_hash(locked):
    _, versions, hashes = locked
    assert versions
    assert all(hashes[name] for name in versions)


def test_what_is_asked_for_is_locked_and_what_is_excluded_is_not(locked):
    release, versions, _ = locked
    wanted = {re.sub(r"[-_.]+", "-", name).lower() for name in release.packages}
    assert wanted <= versions.keys()
    assert not set(release.exclude) & versions.keys()
    assert {name: version for name, version in pins(release.pins).items() if name in wanted}.items() <= (
        versions.items()
    )


def test_nothing_is_older_than_its_security_override(locked):
    _, versions, _ = locked
    overrides = pins((ROOT / "security-overrides.txt").read_text().splitlines())
    assert overrides
    older = {
        name: versions[name]
        for name, version in overrides.items()
        if name in versions and Version(versions[name]) < Version(version)
    }
    assert not older, "./openinfra relock"


def test_every_override_says_why():
    lines = (ROOT / "security-overrides.txt").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if "==" in line and not line.startswith("#"):
            assert before.startswith("# "), line
