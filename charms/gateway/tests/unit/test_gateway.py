"""HAProxy's and keepalived's configuration for each kind of route, and the programs that speak to HAProxy."""

import http.server
import runpy
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import gateway
import haproxy
from gateway import Gateway
from openinfra_charm.interfaces.haproxy_route_tcp import Asked, Backend, Check, Health, Route
from openinfra_charm.model.addresses import Place
from state import Config, Networks, State

FILES = Path(gateway.__file__).parent / "files"
BACKENDS = (Backend(name="web/0", address="10.0.0.50"), Backend(name="web/1", address="fd00::51"))


def asked(route=None, **more):
    """Return a route of the application web."""
    plain = Asked(
        relation_id=7,
        application="web",
        route=route or Route(port=4000, backend_port=14000),
        backends=BACKENDS,
        terminate_tls=False,
        enforce_tls=False,
    )
    return replace(plain, **more)


def workload_state(machine, *routes, defaults, peers=(), options=None, **more):
    return State(
        config=Config.parse({**defaults, **(options or {})}),
        unit="gateway/3",
        networks=Networks(
            public=Place(
                interface="eth0", address=machine.address, subnets=("10.0.0.0/24",), ingress=machine.address
            ),
            internal=Place(
                interface="eth1", address="10.1.0.10", subnets=("10.1.0.0/24",), ingress="10.1.0.10"
            ),
        ),
        peers=peers,
        routes=routes,
        **more,
    )


@pytest.fixture
def settle(machine, defaults):
    """Return a function that reconciles as the charm does, and returns the workload."""

    def settle(*routes, **more):
        state = workload_state(machine, *routes, defaults=defaults, **more)
        workload = Gateway(machine, "gateway")
        workload.install()
        state, _ = workload.fit(state)
        workload.render(state)
        workload.apply(state)
        workload.share_vip(state, may_join=True)
        return workload

    return settle


@pytest.fixture
def section(machine):
    """Return a function that returns the lines of a section of HAProxy's configuration."""

    def section(head):
        lines = machine.read(gateway.CONFIG).splitlines()
        start = lines.index(head) + 1
        end = next(
            (i for i in range(start, len(lines)) if lines[i] and not lines[i].startswith(" ")), len(lines)
        )
        return [line.strip() for line in lines[start:end] if line.strip()]

    return section


def test_a_route_for_services_only_listens_in_their_network(settle, section):
    settle(asked(Route(port=8775, backend_port=18775, internal=True)))
    assert [line for line in section("frontend port-8775") if "bind" in line] == [
        "bind 10.1.0.10:8775 transparent"
    ]


def test_a_backend_is_asked_over_tls_and_its_certificate_checked(settle, section):
    settle(asked(Route(port=5000, backend_port=15000, health=Health(path="/v3", status=300))), ca="/ca.pem")
    lines = section("backend web-5000")
    assert "http-check send meth GET uri /v3 ver HTTP/1.1 hdr Host 10.0.0.10 hdr Connection close" in lines
    assert "http-check expect status 300" in lines
    assert lines[-2:] == [
        "server web-0 10.0.0.50:15000 check check-ssl verify required ca-file /ca.pem",
        "server web-1 [fd00::51]:15000 check check-ssl verify required ca-file /ca.pem",
    ]
    assert section("frontend port-5000") == [
        "option tcplog",
        "bind 10.0.0.10:5000 transparent",
        "bind 10.1.0.10:5000 transparent",
        "timeout client 3600s",
        "default_backend web-5000",
    ]


def test_without_a_ca_the_certificate_is_not_checked(settle, section):
    settle(asked(Route(port=5000, backend_port=15000, health=Health(path="/v3"))))
    assert section("backend web-5000")[-1].endswith("check check-ssl verify none")


def test_health_may_be_at_another_port_and_without_tls(settle, section):
    settle(asked(Route(port=5000, backend_port=15000, health=Health(path="/", port=9200, tls=False))))
    assert section("backend web-5000")[-2] == "server web-0 10.0.0.50:15000 check port 9200"


def test_without_a_path_a_connection_is_enough(settle, section):
    settle(asked())
    lines = section("backend web-4000")
    assert not [line for line in lines if "check" in line.split()[0] or "httpchk" in line]
    assert lines[-2] == "server web-0 10.0.0.50:14000 check"


def test_a_single_routes_sessions_are_at_one_backend_and_cut_when_it_is_down(settle, section):
    settle(asked(Route(port=13306, backend_port=3306, single=True, timeout=28800)))
    lines = section("backend web-13306")
    assert lines[-2:] == [
        "server web-0 10.0.0.50:3306 check on-marked-down shutdown-sessions rise 10 on-marked-up shutdown-backup-sessions",
        "server web-1 [fd00::51]:3306 check on-marked-down shutdown-sessions backup",
    ]
    assert "timeout server 28800s" in lines
    assert "timeout client 28800s" in section("frontend port-13306")


def test_a_published_route_is_honoured(settle, section):
    settle(
        asked(
            check=Check(interval=60, rise=5, fall=6, kind="generic", send='PING "x"\r\n', expect="+PONG"),
            balance="source",
            consistent=True,
            rate=10,
            rate_policy="silent-drop",
            retries=4,
            connect_timeout=5,
            queue_timeout=6,
            server_connections=100,
            deny=("203.0.113.7", "2001:db8::1"),
            enforce_tls=True,
            route=Route(port=4000, backend_port=14000, proxy_protocol=True),
        )
    )
    assert section("backend web-4000") == [
        "timeout server 3600s",
        "timeout connect 5s",
        "timeout queue 6s",
        "retries 4",
        "no option redispatch",
        "balance source",
        "hash-type consistent",
        "tcp-request content reject if { src 203.0.113.7 2001:db8::1 }",
        "stick-table type ipv6 size 100k expire 1m store conn_rate(1m)",
        "tcp-request content track-sc0 src",
        "tcp-request content silent-drop if { sc0_conn_rate gt 10 }",
        "option tcp-check",
        "tcp-check send-binary 50494e47202278220d0a",
        "tcp-check expect binary 2b504f4e47",
        "server web-0 10.0.0.50:14000 check inter 60s rise 5 fall 6 maxconn 100 send-proxy-v2 check-send-proxy",
        "server web-1 [fd00::51]:14000 check inter 60s rise 5 fall 6 maxconn 100 send-proxy-v2 check-send-proxy",
    ]
    assert "tcp-request content accept if { req.ssl_hello_type 1 }" in section("frontend port-4000")
    assert "tcp-request content reject" in section("frontend port-4000")


@pytest.mark.parametrize(
    ("kind", "user", "line"),
    [
        ("mysql", "haproxy", "option mysql-check user haproxy"),
        ("postgres", "haproxy", "option pgsql-check user haproxy"),
        ("redis", "", "option redis-check"),
        ("smtp", "", "option smtpchk"),
    ],
)
def test_published_checks_that_haproxy_knows(settle, section, kind, user, line):
    settle(asked(check=Check(interval=2, rise=2, fall=3, kind=kind, user=user)))
    assert line in section("backend web-4000")


def test_a_server_name_leads_to_its_route_and_none_to_the_default(settle, section):
    settle(
        asked(sni="*.example.com"),
        asked(sni="a.example.com"),
        asked(),
    )
    lines = section("frontend port-4000")
    assert lines[-3:] == [
        "use_backend web-4000-a.example.com if { req.ssl_sni -i a.example.com }",
        "use_backend web-4000-_.example.com if { req.ssl_sni -i -m end .example.com }",
        "default_backend web-4000",
    ]
    assert "tcp-request content reject" not in lines


def test_metrics_are_served_with_a_certificate_only(settle, section):
    settle()
    assert [line for line in section("frontend health") if "bind" in line] == ["bind 127.0.0.1:8404"]
    settle(certificate="/etc/gateway/tls/combined.pem")
    assert "bind 10.1.0.10:8404 transparent ssl crt /etc/gateway/tls/combined.pem" in section(
        "frontend health"
    )


def test_another_certificate_is_a_reload(settle, machine):
    settle(asked(), certificates="one")
    machine.log.clear()
    settle(asked(), certificates="two")
    assert "reload haproxy.service" in machine.log
    assert not [line for line in machine.log if "restart" in line]


def test_keepalived_speaks_to_its_peers_only(settle, machine):
    settle(peers=("10.0.0.11", "10.0.0.12"), options={"vip": "10.0.0.100, 10.0.0.101/24, fd00::100"})
    lines = [line.strip() for line in machine.read(gateway.KEEPALIVED_CONFIG).splitlines()]
    for line in (
        "state BACKUP", "nopreempt", "interface eth0", "priority 251", "unicast_src_ip 10.0.0.10", "10.0.0.11",
        "10.0.0.12", "10.0.0.100/32 dev eth0", "10.0.0.101/24 dev eth0", "fd00::100/128 dev eth0",
        'script "/usr/lib/openinfra/haproxy-serves 8404"',
    ):  # fmt: skip
        assert line in lines
    assert lines.index("virtual_ipaddress_excluded {") < lines.index("fd00::100/128 dev eth0")
    assert machine.gateway.vips == {"10.0.0.100/32", "10.0.0.101/24", "fd00::100/128"}


def test_one_that_has_no_peers_speaks_to_itself(settle, machine):
    settle(options={"vip": "10.0.0.100"})
    assert machine.gateway.peers == {"127.0.0.1"}


def test_new_peers_are_a_reload_of_keepalived(settle, machine):
    settle(options={"vip": "10.0.0.100"})
    machine.log.clear()
    settle(options={"vip": "10.0.0.100"}, peers=("10.0.0.11",))
    assert [line for line in machine.log if line.endswith("d.service") and "/" not in line] == [
        "reload keepalived.service"
    ]


def test_what_ran_before_the_charm_runs_with_its_configuration_afterwards(settle, machine):
    machine.install_packages(["haproxy"])
    machine.write(gateway.CONFIG, "frontend old\n    bind 0.0.0.0:80\n")
    machine.start_services(gateway.HAPROXY)
    assert machine.gateway.ports == {80}
    settle(asked())
    assert machine.gateway.ports == {4000}
    assert machine.enabled == {gateway.HAPROXY}


def test_limits_follow_the_option(settle, machine):
    settle(options={"connection-limit": 1000})
    drop_in = machine.read(gateway.DROP_INS[gateway.HAPROXY])
    assert "LimitNOFILE=3000\n" in drop_in
    assert "MemoryMax=334M\n" in drop_in
    assert "maxconn 1000\n" in machine.read(gateway.CONFIG)


def test_a_health_check_is_for_the_name_that_the_backend_expects(settle, section):
    """Never for the gateway's own: an object store would look for a bucket of that name."""
    named = Route(port=7480, backend_port=17480, health=Health(path="/x", host="s3.example.org"))
    unnamed = Route(port=5000, backend_port=15000, health=Health(path="/x"))
    settle(asked(named), asked(unnamed, relation_id=8), options={"public-hostname": "cloud.example.com"})
    sent = "http-check send meth GET uri /x ver HTTP/1.1 hdr Host {} hdr Connection close"
    assert sent.format("s3.example.org") in section("backend web-7480")
    assert sent.format("10.0.0.10") in section("backend web-5000")


def test_a_route_that_haproxy_does_not_take_is_named_and_the_others_go_on(machine, settle, defaults):
    bad = asked(Route(port=5000, backend_port=15000), relation_id=8, balance="no\n    such")
    workload = settle(asked(), bad)
    assert machine.gateway.ports == {4000}
    settle(asked(), bad, options={"session-timeout": 60})
    assert "timeout client 60s" in machine.read(gateway.CONFIG)
    _, (refusal,) = workload.fit(workload_state(machine, asked(), bad, defaults=defaults))
    assert refusal.asked is bad
    assert refusal.reason.startswith(
        "HAProxy does not take the route that web asks for on port 5000: backend web-5000: "
    )


def test_what_haproxy_takes_of_no_route_is_no_fault_of_theirs(machine, settle):
    """As when another version does not know a word that all have."""
    settle(asked())
    before = machine.read(gateway.CONFIG)
    all_bad = [
        asked(Route(port=port, backend_port=port + 10000), relation_id=port, balance="no\n    such")
        for port in (4000, 5000)
    ]
    with pytest.raises(haproxy.InvalidConfigError, match="unknown keyword 'such'"):
        settle(*all_bad)
    assert machine.read(gateway.CONFIG) == before


def test_a_configuration_that_haproxy_cannot_listen_for_does_not_stay(machine, settle, monkeypatch):
    """A port that is taken in the moment before the reload: what it starts with the next time is what it has."""
    settle(asked())
    before = machine.read(gateway.CONFIG)
    machine.taken = {5000}
    monkeypatch.setattr(type(machine), "can_listen", lambda *_: True)
    with pytest.raises(haproxy.InvalidConfigError, match="cannot listen"):
        settle(asked(), asked(Route(port=5000, backend_port=15000), relation_id=8))
    assert machine.read(gateway.CONFIG) == before


def test_an_invalid_configuration_names_its_route(machine, settle):
    settle(asked())
    before = machine.read(gateway.CONFIG)
    bad = asked(Route(port=5000, backend_port=15000), balance="no\n    such")
    with pytest.raises(haproxy.InvalidConfigError, match=r"backend web-5000: .*unknown keyword 'such'"):
        settle(bad)
    assert machine.read(gateway.CONFIG) == before
    assert not machine.exists(gateway.CANDIDATE)


def test_the_machine_is_healthy_after_its_start_when_haproxy_answers(settle, machine):
    settle()
    check = "/usr/lib/openinfra/after-start.d/gateway"
    assert machine.run(check).code == 0
    machine.services[gateway.HAPROXY] = "failed"
    assert machine.run(check, check=False).code == 1


# What HAProxy says. The texts are those of 3.0.


def test_its_complaint_is_put_to_the_section_of_its_line():
    config = "global\n    maxconn 1\n\nbackend web-5000\n    balance bogus\n"
    complaint = (
        "[NOTICE]   (1346) : haproxy version is 3.0.11-1+deb13u5\n"
        "[ALERT]    (1346) : config : parsing [/etc/haproxy/x.cfg:5]: unknown balance algorithm 'bogus'.\n"
        "[ALERT]    (1346) : config : Error(s) found in configuration file : /etc/haproxy/x.cfg\n"
        "[ALERT]    (1346) : config : Fatal errors found in configuration.\n"
    )
    assert str(haproxy.invalid(complaint, config)) == (
        "backend web-5000: config : parsing [/etc/haproxy/x.cfg:5]: unknown balance algorithm 'bogus'."
    )
    assert str(haproxy.invalid("out of memory\n", config)) == "out of memory"


def test_the_state_of_servers_is_read():
    answer = (
        "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state ...\n"
        "4 kb 1 a 127.0.0.2 2 8 1 1 5 15 3 4 6 0 0 0 - 15000 - 0 0 - - 0\n"
        "4 kb 2 b 127.0.0.3 2 0 1 1 51 15 3 4 6 0 0 0 - 15000 - 0 0 - - 0\n\n"
    )
    assert haproxy.drained(answer) == {("kb", "a"): True, ("kb", "b"): False}


# The programs


STATE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
4 kb 1 a 127.0.0.2 2 8 1 1 5 15 3 4 6 0 0 0 - 15000 - 0 0 - - 0
4 kb 2 b 127.0.0.3 2 0 1 1 51 15 3 4 6 0 0 0 - 15000 - 0 0 - - 0
4 kb 3 c 127.0.0.4 2 0 1 1 51 15 3 4 6 0 0 0 - 15000 - 0 9200 - - 0

"""


@pytest.fixture
def ask(tmp_path, capsys):
    """Return a function that has the real program speak to a socket that answers with this text."""

    def ask(*words, answer="", config=""):
        path = tmp_path / "admin.sock"
        (tmp_path / "haproxy.cfg").write_text(config)
        main = runpy.run_path(str(FILES / "haproxy-ask"))["main"]
        main.__globals__.update(SOCKET=str(path), CONFIG=str(tmp_path / "haproxy.cfg"))
        asked = []
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()

            def serve():
                connection, _ = server.accept()
                with connection:
                    asked.append(connection.recv(100))
                    connection.sendall(answer.encode())

            thread = threading.Thread(target=serve)
            thread.start()
            code = main(*words)
            thread.join()
        path.unlink()
        return code, capsys.readouterr().out, asked[0]

    return ask


def test_an_answer_is_printed(ask):
    assert ask("show info", answer="Pid: 7\n\n") == (0, "Pid: 7\n\n", b"show info\n")


def test_a_server_that_is_configured_otherwise_now_begins_anew(ask, tmp_path):
    config = "backend kb\n    server a 127.0.0.2:15000 check\n    server b 127.0.0.3:15001 check\n"
    config += "    server c 127.0.0.4:15000 check port 9200\n"
    assert ask("--save", str(tmp_path / "state"), answer=STATE, config=config)[0] == 0
    lines = (tmp_path / "state").read_text().splitlines()
    assert [line.split()[3] for line in lines if line.startswith("4")] == ["a", "c"]
    assert lines[0] == "1"


def test_no_haproxy_is_a_failure_with_a_reason(tmp_path, capsys):
    main = runpy.run_path(str(FILES / "haproxy-ask"))["main"]
    main.__globals__["SOCKET"] = str(tmp_path / "none.sock")
    assert main("show info") == 1
    assert "HAProxy does not answer: " in capsys.readouterr().out


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_haproxy_serves_when_it_answers_well(status, code):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_, **__):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        done = subprocess.run([FILES / "haproxy-serves", str(server.server_port)], check=False)
        thread.join()
    assert done.returncode == code


def test_haproxy_does_not_serve_when_nobody_listens_or_nobody_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert subprocess.run([FILES / "haproxy-serves", port], check=False).returncode == 1
    done = subprocess.run([FILES / "haproxy-serves", port], check=False, capture_output=True)
    assert done.returncode == 1
