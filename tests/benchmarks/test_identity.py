"""How fast tokens are issued: as clients get them, against Keystone's own process without anything before it."""

import json
import shlex
import statistics
from pathlib import Path

import pytest

from tests.integration.clients import Clients

from .figures import Figure

PROGRAM = (Path(__file__).parent / "tokens.py").read_text()
ROUNDS = 3
SECONDS = 15
CLIENTS = 4
SOCKET = "/run/keystone/api.sock"
CA = "/root/ca.pem"


@pytest.fixture(scope="module")
def times(deployed, tmp_path_factory) -> dict[str, list[float]]:
    """The seconds that each token took, by way: the same program on Keystone's machine, by turns through the gateway and not."""
    site = deployed.site
    clients = Clients(site, tmp_path_factory.mktemp("clients"))
    unit = site.leader("keystone")
    request = shlex.quote(json.dumps(clients.token_request))
    site.shell(
        unit,
        f"cat > /root/tokens.py <<'END'\n{PROGRAM}END\ncat > {CA} <<'END'\n{Path(clients.ca).read_text()}END",
    )
    ways = {"the gateway": clients.cloud["auth"]["auth_url"], "uWSGI": SOCKET}
    seen = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, where in ways.items():
            command = f"printf %s {request} | python3 /root/tokens.py {where} {CA} {SECONDS} {CLIENTS}"
            seen[way] += json.loads(site.shell(unit, command))
    return seen


def test_time_for_each_token(times, figures):
    rates = {way: len(seconds) / (ROUNDS * SECONDS) for way, seconds in times.items()}
    figures.check(
        Figure(
            what=f"A token through the gateway and TLS, {CLIENTS} clients at once",
            measured=1000 / rates["the gateway"],
            baseline=1000 / rates["uWSGI"],
            of="Keystone's own uWSGI on its socket",
            unit="ms",
            budget=1.25,
            details=tuple(f"{way}: {rate:.1f} tokens a second" for way, rate in rates.items()),
        )
    )


def test_the_slowest_of_a_hundred_tokens(times, figures):
    slowest = {way: statistics.quantiles(seconds, n=100)[-1] * 1000 for way, seconds in times.items()}
    figures.check(
        Figure(
            what="The slowest of a hundred tokens (p99)",
            measured=slowest["the gateway"],
            baseline=slowest["uWSGI"],
            of="Keystone's own uWSGI on its socket",
            unit="ms",
            budget=1.5,
        )
    )
