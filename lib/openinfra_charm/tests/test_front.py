"""A TLS front: what it takes from whom, what it tells the program behind it, and what it logs."""

import re

import pytest

from openinfra_charm.daemon.front import TRANSFERS, Front, Limits
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.testing import MemoryMachine


@pytest.fixture
def front():
    machine = MemoryMachine()
    return Front(machine, "web", user="web", tls=Certificate(machine, "web", combined=True))


def lines(front, **more):
    options = {"daemon": "unix@/run/web.sock"} | more
    front.render(address="10.0.0.11", port=15000, health="/health", **options)
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
    forms = [re.compile(line.split()[2]) for line in dropped]
    for header in (
        "x-forwarded-for", "x-forwarded-proto", "x_forwarded_for", "x-forwarded_for", "forwarded", "x-real-ip",
        "x_real_ip",
    ):  # fmt: skip
        # HAProxy has names in lower case.
        assert any(form.search(header) for form in forms), header
    assert not any(form.search("x-amz-meta-x-forwarded-for") for form in forms)
    assert not any(form.search("x-object-meta-forwarded") for form in forms)
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
    assert "LogRateLimitIntervalSec=0\n" in front._machine.read("/etc/systemd/system/web-front.service")
    assert "log stdout len 4096 format raw daemon info" in front._machine.read("/etc/web/front.cfg")


def test_the_log_names_the_sender_where_there_is_one_to_be_found(front):
    rule = "http-request set-var(txn.who) req.hdr(x-user)"
    shown = lines(front, who=(rule,))
    assert 'log-format "%ci:%cp %[var(txn.who)] %HM %HP %ST, %U bytes up, %B bytes down in %Ta ms"' in shown
    assert rule in shown


def settings(front, **more):
    lines(front, **more)
    return [line.strip() for line in front._machine.read("/etc/web/front.cfg").splitlines()]


def test_an_api_answers_soon(front):
    shown = settings(front)
    assert {"timeout client 60s", "timeout server 120s", "hard-stop-after 60s", "tune.bufsize 16384"} <= {
        *shown
    }
    assert "option http-server-close" in shown


def test_transfers_live_for_hours_also_through_a_reload(front):
    shown = settings(front, limits=TRANSFERS)
    for line in (
        "timeout client 3600s",
        "timeout server 3600s",
        "hard-stop-after 86400s",
        "tune.bufsize 32768",
    ):
        assert line in shown
    assert "option http-server-close" not in shown
    assert "option http-buffer-request" not in shown
    assert "timeout client 5s" in settings(front, limits=Limits(client=5))


def test_the_daemon_may_listen_on_the_loopback_address(front):
    assert "server local 127.0.0.1:17481" in settings(front, daemon="127.0.0.1:17481")
    assert "server local unix@/run/web.sock" in settings(front)


def test_what_was_started_is_known(front):
    lines(front)
    assert not front.was_started
    front.apply()
    assert front.was_started
    front._machine.services[front.unit] = "failed"
    assert front.was_started
    front.stop()
    assert not front.was_started
