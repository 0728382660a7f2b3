"""A TLS front: what it takes from whom, what it tells the program behind it, and what it logs."""

import pytest

from openinfra_charm.front import Front
from openinfra_charm.testing import MemoryMachine
from openinfra_charm.tls import Certificate


@pytest.fixture
def front():
    machine = MemoryMachine()
    return Front(machine, "web", user="web", tls=Certificate(machine, "web", combined=True))


def lines(front, **more):
    front.render(address="10.0.0.11", port=15000, socket="/run/web.sock", health="/health", **more)
    text = front._machine.read("/etc/web/front.cfg")
    return [
        line.strip() for line in text.partition("frontend api")[2].partition("backend api")[0].splitlines()
    ]


def test_it_ends_tls_on_its_address(front):
    binds = [line for line in lines(front) if line.startswith("bind ")]
    assert binds == ["bind 10.0.0.11:15000 ssl crt /etc/web/tls/combined.pem alpn http/1.1"]
    assert not front.takes_proxied


def test_only_the_gateway_may_say_whose_a_connection_is(front):
    shown = lines(front, proxied=25000, sources=("10.0.0.7", "fd00::7"))
    assert "bind 10.0.0.11:25000 accept-proxy ssl crt /etc/web/tls/combined.pem alpn http/1.1" in shown
    assert "tcp-request connection reject if { dst_port 25000 } !{ src 10.0.0.7 fd00::7 }" in shown
    assert front.takes_proxied


def test_nobody_may_while_there_is_no_gateway(front):
    assert "tcp-request connection reject if { dst_port 25000 }" in lines(front, proxied=25000)


def test_what_a_client_says_of_itself_is_dropped(front):
    shown = lines(front)
    dropped = [line for line in shown if "del-header" in line]
    assert dropped == [
        "http-request del-header X-Forwarded- -m beg",
        "http-request del-header Forwarded",
        "http-request del-header X-Real-IP",
    ]
    assert shown.index("http-request set-header X-Forwarded-Proto https") > shown.index(dropped[-1])


def test_requests_are_logged_without_what_may_be_secret(front):
    shown = lines(front)
    assert 'log-format "%ci:%cp %HM %HP %ST, %B bytes in %Ta ms"' in shown
    assert "http-request set-log-level silent if { path /health }" in shown
    # Quiet, it would close what it logs to.
    assert " -q" not in next(
        line
        for line in front._machine.read("/etc/systemd/system/web-front.service").splitlines()
        if "ExecStart=" in line
    )
    assert "log stdout format raw daemon info" in front._machine.read("/etc/web/front.cfg")
