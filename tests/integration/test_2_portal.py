"""A person has a server from the portal: logs in, launches one, sees it active, opens its console, reads and types there."""

from __future__ import annotations

import time
import uuid

import pytest
import requests

from .portal import Portal, browser, provide_programs
from .servers import wait_for

PROMPT = "guest"
"""What the guest's prompt begins with."""
PROMPT_SECONDS = 180
TYPED_SECONDS = 60


@pytest.fixture(scope="module")
def url(cloud) -> str:
    """Where the portal's charm says that it is."""
    return cloud.run(cloud.leader("horizon"), "get-dashboard-url")["url"]


@pytest.fixture(scope="module")
def portal(clients, url, tmp_path_factory):
    """A browser before the portal, in which the administrator is logged in."""
    provide_programs()
    with browser(tmp_path_factory.mktemp("browser"), clients.ca) as driver:
        portal = Portal(driver, url)
        auth = clients.cloud["auth"]
        portal.log_in(auth["username"], auth["password"])
        yield portal


@pytest.fixture(scope="module")
def name(administrator):
    """What the server is called, which is removed afterwards."""
    name = f"portal-{uuid.uuid4().hex[:8]}"
    yield name
    for server in administrator.compute.servers(name=name):
        administrator.compute.delete_server(server)
        administrator.compute.wait_for_delete(server, wait=120)


def test_it_is_at_the_gateway_and_for_tls_only(cloud, clients, url):
    assert url == f"https://{cloud.vip}/"
    answer = requests.get(f"{url}auth/login/", verify=clients.ca, timeout=60)
    assert answer.status_code == requests.codes.ok
    assert "frame-src 'self' https:" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Strict-Transport-Security"]
    assert "secure" in answer.headers["Set-Cookie"].lower()


def test_static_files_are_compressed_and_kept_for_good(clients, url):
    page = requests.get(f"{url}auth/login/", verify=clients.ca, timeout=60).text
    path = page.partition('rel="stylesheet"')[0].rpartition('href="')[2].partition('"')[0] or next(
        part.partition('"')[0] for part in page.split('href="')[1:] if ".css" in part.partition('"')[0]
    )
    answer = requests.get(f"{url}{path.lstrip('/')}", verify=clients.ca, timeout=60)
    assert answer.status_code == requests.codes.ok
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "gzip"


@pytest.fixture(scope="module")
def choice(guest_image, flavor, network) -> dict[str, str]:
    """What is chosen in the wizard."""
    return {"image": guest_image.name, "flavor": flavor.name, "network": network.name}


def test_a_server_is_launched_and_its_console_read(portal, administrator, choice, name):
    portal.launch(name, **choice)
    server = portal.wait_until_active(name)
    assert administrator.compute.get_server(server).status == "ACTIVE"
    portal.open_console(server)

    limit = time.monotonic() + PROMPT_SECONDS
    while PROMPT not in (read := portal.read_console()):
        assert time.monotonic() < limit, f"the console shows no prompt: {read!r}"
        time.sleep(3)

    # What is typed there is done: the guest's name is in the log of its other console then.
    typed = f"typed{uuid.uuid4().hex[:6]}"
    portal.type(f"hostname {typed}; cp /proc/sys/kernel/hostname /dev/console")
    wait_for(
        "what was typed is done by the guest",
        lambda: typed in administrator.compute.get_server_console_output(server)["output"],
        TYPED_SECONDS,
    )
    portal.read_console()
    assert portal.complaints() == []


def test_who_logs_out_is_out(portal, clients, url):
    session = portal.session
    portal.log_out()
    answer = requests.get(
        f"{url}project/", cookies={"sessionid": session}, verify=clients.ca, timeout=60, allow_redirects=False
    )
    assert answer.status_code == requests.codes.found
    assert "/auth/login/" in answer.headers["Location"]
