"""The locks against known vulnerabilities, as OSV (https://osv.dev) has them today.

Without a way to OSV they cannot be looked up: then each is skipped, with the reason. PIP_AUDIT_OSV_URL names a mirror.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("charms/*/src/releases/*/*.txt"))
OSV = os.environ.get("PIP_AUDIT_OSV_URL") or "https://api.osv.dev/v1/query"
# A version that has been vulnerable for ever: whoever does not find that finds nothing.
KNOWN = "requests==2.19.0"


def ask(url):
    """Return what a service answers to a harmless question."""
    query = {"package": {"name": "requests", "ecosystem": "PyPI"}, "version": "2.19.0"}
    request = urllib.request.Request(url, json.dumps(query).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


@pytest.fixture(scope="session")
def osv():
    """The address of OSV, if it answers."""
    try:
        ask(OSV)
    except (urllib.error.URLError, TimeoutError) as error:
        pytest.skip(f"NOT AUDITED: {OSV} cannot be reached from here ({error})")
    return OSV


def audit(url, requirements):
    """Return the vulnerabilities of a lock's packages, in words."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--disable-pip",
            "--no-deps", "--vulnerability-service", "osv", "--osv-url", url, "--requirement", str(requirements),
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return [
        f"{package['name']} {package['version']}: {', '.join([found['id'], *found['aliases']])}, "
        f"fixed in {', '.join(found['fix_versions']) or 'nothing'}"
        for package in json.loads(done.stdout)["dependencies"]
        for found in package.get("vulns", [])
    ]


def test_a_known_vulnerability_is_found(osv, tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"{KNOWN}\n")
    assert any("requests 2.19.0: " in words for words in audit(osv, requirements))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT / "charms")))
def test_no_package_of_a_lock_has_a_known_vulnerability(osv, lock):
    found = "\n".join(audit(osv, lock))
    assert not found, f"add to security-overrides.txt what has a fix, then ./openinfra relock:\n{found}"
