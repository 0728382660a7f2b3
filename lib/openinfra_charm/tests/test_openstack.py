"""What API services share: the process, its front, and parts of configuration files."""

import configparser
import contextlib
import http.server
import importlib
import json
import socket
import socketserver
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from pymemcache.client import hash as ring

from openinfra_charm.daemon.front import Front
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.interfaces.memcache import Server
from openinfra_charm.interfaces.mysql_client import Access
from openinfra_charm.machine import Answer, CommandError, Result
from openinfra_charm.openstack import oslo
from openinfra_charm.openstack.api import Api
from openinfra_charm.openstack.files import openinfra_ask, openinfra_cache, openinfra_errors
from openinfra_charm.openstack.programs import Programs, last_line

ACCESS = Access(
    endpoints=("10.0.0.5:3306", "10.0.0.6:3306"),
    database="glance",
    username="u/1",
    password="p@ss%:$",
    version="11",
)
API, FRONT = "/etc/systemd/system/glance-api.service", "/etc/systemd/system/glance-front.service"


@pytest.fixture
def api(machine):
    api = Api(machine, "glance", {"OS_GLANCE_CONFIG_DIR": "/etc/glance"})
    api.install()
    return api


@pytest.fixture
def front(machine):
    tls = Certificate(machine, "glance", combined=True)
    machine.have(tls.combined_path, "chain and key")
    front = Front(machine, "glance", user="glance", tls=tls)
    front.render(address="fd00::1", port=19292, daemon="unix@/run/glance/api.sock", health="/healthcheck")
    return front


# The process


def test_another_api_of_a_service_has_a_unit_and_a_socket_of_its_own_and_the_firsts_user(machine, api):
    other = Api(machine, "glance", {"OPENINFRA_WSGI": "other:application"}, name="other")
    api.render(workers=1)
    other.render(workers=1)
    unit = machine.read("/etc/systemd/system/glance-other.service")
    assert "\nRequires=glance-other.socket\n" in unit
    assert "\nUser=glance\n" in unit
    assert "\nListenStream=/run/glance/other.sock\n" in machine.read(
        "/etc/systemd/system/glance-other.socket"
    )
    other.remove()
    assert machine.read("/etc/systemd/system/glance-other.service") is None
    assert machine.read(API)
    assert "glance" in machine.users


def test_another_front_has_a_unit_and_a_configuration_of_its_own(machine):
    tls = Certificate(machine, "glance", combined=True)
    machine.have(tls.combined_path, "chain and key")
    other = Front(machine, "glance", user="glance", tls=tls, name="other")
    other.render(address="10.0.0.5", port=19293, daemon="unix@/run/glance/other.sock", health="/healthcheck")
    assert "bind 10.0.0.5:19293 ssl" in machine.read("/etc/glance/other-front.cfg")
    assert "-f /etc/glance/other-front.cfg" in machine.read("/etc/systemd/system/glance-other-front.service")


def test_the_unit_runs_the_trees_server_as_the_user_with_its_environment(machine, api):
    api.render(workers=3)
    unit = machine.read(API)
    for line in (
        "User=glance",
        "Environment=OS_GLANCE_CONFIG_DIR=/etc/glance",
        "Restart=always",
        "ProtectSystem=strict",
    ):
        assert f"\n{line}\n" in unit
    assert "ExecStart=/opt/glance/current/bin/uwsgi " in unit
    assert "--processes 3" in unit
    assert "--module openinfra_wsgi:application" in unit
    assert machine.users == {"root", "glance"}


def test_it_is_outdated_with_another_tree_and_with_another_unit(api):
    api.render(workers=1)
    assert api.apply("tree-1", "config")
    assert not api.outdated("tree-1", "config")
    assert api.outdated("tree-2", "config")
    api.restart("tree-2", "config")
    assert not api.outdated("tree-2", "config")
    api.render(workers=2)
    assert api.outdated("tree-2", "config")
    assert not api.apply("tree-2", "config")


def test_an_api_that_cannot_start_is_said_to_be_started_again_and_again(machine, api):
    machine.restarting_often = {api.unit: 12}
    words = "glance-api.service (12 times) ends and is started again and again; see journalctl -u glance-api.service"
    assert api.problem() == words


def test_its_problem_is_what_it_says_itself(machine, api):
    assert api.problem() == "glance-api.service does not answer"
    answers = {
        200: Answer(status=200, headers={}, body="healthy"),
        503: Answer(status=503, headers={}, body="no database\n"),
    }
    machine.sockets[api.socket] = lambda _: answers[503]
    assert api.problem() == "no database"
    before = machine.clock
    assert api.problem(3) == "no database"
    assert machine.clock - before == 3
    machine.sockets[api.socket] = lambda _: answers[200]
    assert api.problem() == ""
    assert api.problem(3) == ""


def test_programs_run_as_the_user_without_the_charms_own_modules(machine):
    machine.handlers["runuser"] = lambda argv, _: None
    Programs(machine, "glance").run("glance-manage", "db_sync", tree="2026.1-0", env={"PASSWORD": "x"})
    assert machine.argv[-1] == "runuser -u glance -- /opt/glance/2026.1-0/bin/glance-manage db_sync"
    assert machine.env == {"PASSWORD": "x", "PYTHONPATH": ""}


def test_nothing_of_the_process_is_left(machine, api):
    api.render(workers=1)
    api.apply("tree")
    api.remove()
    assert not [path for path, node in machine.nodes.items() if node.is_file and "glance" in path]
    assert machine.users == {"root"}


# The front


def test_the_front_takes_new_things_by_a_reload(machine, front):
    front.apply()
    machine.log.clear()
    front.apply()
    assert machine.log == []
    machine.have("/etc/glance/tls/combined.pem", "a new chain")
    front.apply()
    assert "reload glance-front.service" in machine.log
    front.render(address="10.0.0.1", port=19292, daemon="unix@/run/glance/api.sock", health="/healthcheck")
    front.apply()
    assert machine.starts["glance-front.service"] == 1


def test_the_front_listens_on_one_address(machine, front):
    assert "bind [fd00::1]:19292 ssl crt /etc/glance/tls/combined.pem" in machine.read(
        "/etc/glance/front.cfg"
    )
    assert "User=glance" in machine.read(FRONT)


@pytest.mark.parametrize("claimed", [True, False])
def test_the_packages_own_service_is_left_to_whom_it_belongs(machine, claimed):
    machine.enabled.add("haproxy.service")
    if claimed:
        machine.have("/var/lib/openinfra/owners/haproxy", "gateway/0\n")
    Front(machine, "glance", user="glance", tls=Certificate(machine, "glance")).keep_packaged_stopped()
    assert ("haproxy.service" in machine.enabled) == claimed


# Configuration


def test_a_password_comes_through_url_and_file_as_it_is():
    config = configparser.RawConfigParser()
    config.read_string(oslo.sections(oslo.database(ACCESS, ca_path="/etc/glance/database-ca.pem")))
    assert config["database"]["connection"] == (
        "mysql+pymysql://u%2F1:p%40ss%25%3A%24@10.0.0.5:3306/glance?charset=utf8mb4&connect_timeout=5"
        "&ssl_ca=/etc/glance/database-ca.pem"
    )
    assert "ssl" not in oslo.database_url(ACCESS)


def test_an_api_waits_for_an_answer_no_longer_than_it_says_and_other_programs_as_long_as_it_takes():
    parameters = oslo.database(ACCESS)["database"]["connection_parameters"]
    assert parameters == f"read_timeout={oslo.ANSWER_SECONDS}&write_timeout={oslo.ANSWER_SECONDS}"
    # oslo.config's way of overriding an option: OS_<GROUP>__<OPTION>
    assert oslo.patient(["database", "api_database"]) == {
        "OS_DATABASE__CONNECTION_PARAMETERS": "",
        "OS_API_DATABASE__CONNECTION_PARAMETERS": "",
    }


def test_a_dollar_is_no_reference():
    assert oslo.sections({"x": {"key": "a$b"}}) == "[x]\nkey = a$$b\n"


def test_the_ring_is_in_its_order_and_encrypted_where_it_can_be():
    servers = [Server(host="10.0.0.9", port=11211), Server(host="fd00::1", port=11211)]
    section = oslo.cache(servers)["cache"]
    assert section["memcache_servers"] == "10.0.0.9:11211,[fd00::1]:11211"
    assert "tls_enabled" not in section
    assert oslo.cache(servers, ca_path="/ca.pem")["cache"]["tls_cafile"] == "/ca.pem"
    assert oslo.cache([])["cache"] == {"enabled": False}


@pytest.fixture
def silent():
    """The address of a cache that takes connections and says nothing, as one does whose machine is cut off."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def test_a_cache_that_says_nothing_is_passed_over(silent):
    client = ring.HashClient([silent])
    assert type(client) is openinfra_cache.PromptClient
    begun = time.monotonic()
    assert client.get("key") is None
    assert client.set("key", "value") is False
    assert client.get("other") is None
    assert time.monotonic() - begun < 5 * openinfra_cache.SECONDS


# Asking a daemon over its socket, on this machine


class Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("X-Subject-Token", self.headers["X-Auth-Token"])
        self.end_headers()
        self.wfile.write(self.path.encode() + body)

    def address_string(self):
        return "socket"

    def log_request(self, code="-", size="-"):
        """Write nothing: nobody is at a terminal."""


def test_a_daemon_is_asked_over_its_socket(real, tmp_path):
    path = str(tmp_path / "api.sock")
    with socketserver.UnixStreamServer(path, Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer = real.ask(path, "POST", "/v3/users?name=a", headers={"X-Auth-Token": "t"}, body="{}")
        server.shutdown()
    assert (answer.status, answer.body) == (201, "/v3/users?name=a{}")
    assert answer.headers["x-subject-token"] == "t"


def test_a_daemon_that_is_not_there_is_an_oserror(real, tmp_path):
    with pytest.raises(OSError):
        real.ask(str(tmp_path / "none.sock"), "GET", "/")


def call(application):
    """Ask a WSGI application; return its status, headers and body."""
    told = []
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/v3/projects"}
    body = b"".join(
        application(environ, lambda status, headers, _=None: told.append((status, dict(headers))))
    )
    (status, headers), *_ = told
    return status, headers, body


def test_an_error_that_nobody_handles_is_the_services_own_500(caplog):
    def fails(_environ, _start_response):
        raise ValueError("Incorrect string value")

    status, headers, body = call(openinfra_errors.guarded(fails))
    assert status == "500 Internal Server Error"
    assert headers["Content-Length"] == str(len(body))
    assert json.loads(body)["error"]["code"] == 500
    assert b"Incorrect string value" not in body
    assert "POST /v3/projects failed" in caplog.text
    assert "Incorrect string value" in caplog.text


def test_an_answer_is_handed_on_as_it_is():
    def works(_environ, start_response):
        start_response("201 Created", [("X-Subject-Token", "token")])
        return [b"made"]

    assert call(openinfra_errors.guarded(works)) == ("201 Created", {"X-Subject-Token": "token"}, b"made")


@pytest.fixture
def load_wsgi(monkeypatch, tmp_path):
    """Return a function that loads the module that serves, around an API and what says whether it can work."""

    def load(service, problem):
        parts = {"openinfra_errors": openinfra_errors, "glance_api": SimpleNamespace(application=service)}
        parts["openinfra_health"] = SimpleNamespace(problem=problem)
        for name, part in parts.items():
            monkeypatch.setitem(sys.modules, name, part)
        monkeypatch.setenv("OPENINFRA_PAUSED", str(tmp_path / "paused"))
        monkeypatch.setenv("OPENINFRA_WSGI", "glance_api:application")
        name = f"{openinfra_errors.__package__}.openinfra_wsgi"
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


def ask(module, path):
    answers = []
    body = b"".join(
        module.application({"PATH_INFO": path}, lambda status, _, __=None: answers.append(status))
    )
    return answers[0], body


def test_the_health_is_beside_the_api_and_asked_for_once_a_second(load_wsgi, monkeypatch):
    def serves(_environ, start_response):
        start_response("201 Created", [])
        return [b"made"]

    asked, now = [], [1000.0]
    module = load_wsgi(serves, lambda: asked.append(1) or "no database")
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    assert ask(module, "/v2/images") == ("201 Created", b"made")
    for _ in range(5):
        assert ask(module, "/openinfra/health") == ("503 Service Unavailable", b"no database\n")
    assert len(asked) == 1
    now[0] += 2
    ask(module, "/openinfra/health")
    assert len(asked) == 2


def test_a_paused_unit_says_so_to_the_gateway_and_serves_on(load_wsgi, tmp_path):
    module = load_wsgi(lambda _environ, start_response: start_response("200 OK", []) or [b"yes"], lambda: "")
    assert ask(module, "/openinfra/health") == ("200 OK", b"healthy\n")
    module._known = (0.0, "")
    (tmp_path / "paused").touch()
    assert ask(module, "/openinfra/health") == ("503 Service Unavailable", b"paused\n")
    assert ask(module, "/") == ("200 OK", b"yes")


# What units of a new release are asked for


class Keystone(http.server.BaseHTTPRequestHandler):
    """Gives a token to who has the password."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["auth"]
        user = asked["identity"]["password"]["user"]
        if user["password"] != "p$ss":
            self._say(401, {"error": {"code": 401, "message": "not you"}})
            return
        scope = asked["scope"]["project"]
        assert (user["name"], user["domain"]["name"]) == ("svc", "service_domain")
        assert (scope["name"], scope["domain"]["name"]) == ("services", "service_domain")
        self._say(201, {"token": {"methods": ["password"], "expires_at": "2999-01-01T00:00:00.000000Z"}})

    def _say(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Subject-Token", "a-token")
        self.end_headers()
        self.wfile.write(text)

    def log_request(self, code="-", size="-"):
        """Write nothing."""


class Images(http.server.BaseHTTPRequestHandler):
    """Answers who has the token."""

    def do_GET(self):
        known = (self.path, self.headers["X-Auth-Token"]) == ("/v2/images?limit=1", "a-token")
        self.send_response(200 if known else 401)
        self.end_headers()

    def address_string(self):
        return "socket"

    def log_request(self, code="-", size="-"):
        """Write nothing."""


@pytest.fixture
def serve():
    """Return a function that has a server answer until the end of the test."""
    with contextlib.ExitStack() as stack:

        def serve(server):
            stack.enter_context(server)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return server

        yield serve


@pytest.fixture
def keystone(serve):
    """The URL of a Keystone."""
    server = serve(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keystone))
    return f"http://127.0.0.1:{server.server_address[1]}/v3"


@pytest.fixture
def images(serve, tmp_path):
    """An API on a socket."""
    serve(socketserver.UnixStreamServer(str(tmp_path / "api.sock"), Images))


@pytest.fixture
def asked(keystone, tmp_path):
    """Return a function that asks as an API's own user, who has a password; it returns the exit code and what was said."""

    def asked(name, path, password="p$$ss"):
        config = tmp_path / "glance.conf"
        config.write_text(
            f"[keystone_authtoken]\nauth_url = {keystone}\nusername = svc\npassword = {password}\n"
            "user_domain_name = service_domain\nproject_name = services\nproject_domain_name = service_domain\n"
            "cafile = /nowhere/ca.pem\n"
        )
        command = [sys.executable, openinfra_ask.__file__, str(config), name, path]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    return asked


@pytest.mark.usefixtures("images")
def test_an_api_is_asked_as_its_own_user(asked):
    assert asked("api.sock", "/v2/images?limit=1") == (0, "")


@pytest.mark.parametrize(
    ("place", "path", "password", "why"),
    [
        ("api.sock", "/v1", "p$$ss", "/v1 is answered 401 to a token of its own user"),
        ("none.sock", "/v1", "p$$ss", "/v1 is not answered: "),
        ("api.sock", "/v1", "another", "Keystone gives its user no token: "),
    ],
)
@pytest.mark.usefixtures("images")
def test_why_it_does_not_answer_its_own_user_is_told(asked, place, path, password, why):
    code, said = asked(place, path, password)
    assert code == 1
    assert said.startswith(why)


class SqlError(Exception):
    """What SQLAlchemy raises."""


class Engine:
    """A database's, as SQLAlchemy has it. `fails` is what a query raises, or a new connection where `refuses` is set."""

    def __init__(self, url):
        self.url = url
        self.fails = self.refuses = False
        self.open = []

    def connect(self):
        if self.refuses:
            raise SqlError
        self.open.append(connection := Connection(self))
        return connection


class Connection:
    def __init__(self, engine):
        self.engine, self.cut, self.invalid = engine, False, False

    def execute(self, _):
        if self.engine.fails or self.cut:
            raise SqlError
        return SimpleNamespace(first=lambda: None)

    def invalidate(self):
        self.invalid = True

    def close(self):
        # It would roll back otherwise, which fails where queries do, and the connection would be lost.
        assert self.invalid
        self.engine.open.remove(self)


@pytest.fixture
def health(monkeypatch, tmp_path):
    """Return a function that loads the module, for databases in such sections; and their engines."""

    def load(*sections):
        engines = []
        create = lambda url, **_: engines.append(Engine(url)) or engines[-1]  # noqa: E731
        exc, pool = SimpleNamespace(SQLAlchemyError=SqlError), SimpleNamespace(NullPool=None)
        module = SimpleNamespace(create_engine=create, text=str, exc=exc, pool=pool)
        monkeypatch.setitem(sys.modules, "sqlalchemy", module)
        lines = (
            f"[{name}]\nconnection = mysql://host/{name}?p=$$x\nconnection_parameters = read_timeout=5"
            for name in sections
        )
        (tmp_path / "nova.conf").write_text("\n".join(lines))
        monkeypatch.setenv("OPENINFRA_CONFIG", str(tmp_path / "nova.conf"))
        monkeypatch.setenv("OPENINFRA_DATABASES", ",".join(sections))
        name = f"{openinfra_errors.__package__}.openinfra_health"
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name).problem, engines

    return load


def test_a_service_can_work_when_all_its_databases_can(health):
    problem, engines = health("api_database", "database")
    assert [engine.url for engine in engines] == [
        "mysql://host/api_database?p=$x&read_timeout=5", "mysql://host/database?p=$x&read_timeout=5",
    ]  # fmt: skip
    assert problem() == ""
    engines[1].refuses = engines[1].fails = True
    assert problem() == "database: SqlError"
    assert health()[0]() == ""


def test_the_health_keeps_its_connection_and_takes_another_one_when_it_was_cut(health):
    problem, (engine,) = health("database")
    assert (problem(), problem()) == ("", "")
    (kept,) = engine.open
    kept.cut = True
    assert problem() == ""
    assert kept not in engine.open
    assert len(engine.open) == 1


def test_a_member_without_quorum_costs_no_connection(health):
    problem, (engine,) = health("database")
    problem()
    engine.fails = True
    assert {problem() for _ in range(3)} == {"database: SqlError"}
    assert engine.open == []
    engine.fails = False
    assert problem() == ""


def test_an_operators_lines_come_once():
    config, lines = "[token]\nexpiration = 1\n", "[cors]\nallowed_origin = x\n\n"
    once = oslo.extended(config, lines)
    assert once == "[token]\nexpiration = 1\n\n# From the option extra-config\n[cors]\nallowed_origin = x\n"
    assert oslo.extended(once, lines) == once
    assert oslo.extended(config, " \n") == config


SQL_ERROR = """\
runuser ended with exit code 1: 2026-11-30 07:37:43 CRITICAL keystone [-] Unhandled error: sqlalchemy.exc.OperationalError: \
(pymysql.err.OperationalError) (1050, "Table 'note' already exists")
2026-11-30 07:37:43 ERROR keystone [SQL:
2026-11-30 07:37:43 ERROR keystone CREATE TABLE note (
2026-11-30 07:37:43 ERROR keystone (Background on this error at: https://sqlalche.me/e/20/e3q8)
2026-11-30 07:37:43 ERROR keystone
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            SQL_ERROR,
            "OperationalError: (pymysql.err.OperationalError) (1050, \"Table 'note' already exists\")",
        ),
        ("Traceback:\n  File one\nKeyError: 'x'\n", "KeyError: 'x'"),
        ("one\nno such option: --three\n\n", "no such option: --three"),
    ],
)
def test_what_a_program_has_failed_of_is_told_in_a_line(said, told):
    assert last_line(TimeoutError(said)).endswith(told)


def test_what_a_program_says_of_its_failure_may_be_in_its_output(machine):
    machine.handlers["runuser"] = lambda _argv, _stdin: Result(code=4, stdout="no such luck\n", stderr="")
    with pytest.raises(CommandError, match="runuser ended with exit code 4: no such luck"):
        Programs(machine, "notes").run("notes.py")
