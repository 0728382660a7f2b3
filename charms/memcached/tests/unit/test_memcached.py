"""memcached on a machine in memory, and the program that speaks to it on a socket."""

import runpy
import socket
import ssl
import sys
import threading
from pathlib import Path

import authority
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import memcached
from memcached import Memcached, NoAnswerError, memory_max
from openinfra_charm.daemon import registry
from openinfra_charm.daemon.owned import Owned
from state import Config, State

ASK = Path(memcached.__file__).parent / "files/memcached-ask"


@pytest.fixture
def state(defaults, machine):
    return State(config=Config.parse(defaults), address=machine.address)


def settle(machine, state):
    """Reconcile as the charm does."""
    workload = Memcached(machine, "memcached")
    Owned(machine, "memcached/0", workload).claim()
    workload.install()
    workload.render(state)
    workload.apply()
    return workload


def test_it_listens_on_the_units_address_only(machine, state):
    workload = settle(machine, state)
    lines = machine.read(memcached.CONFIG).splitlines()
    assert {"-l 10.0.0.10", "-p 11211", "-U 0", "-m 512", "-c 4096", "-t 4", "-u memcache"} <= set(lines)
    assert not [line for line in lines if line.startswith("-o")]
    assert machine.services == {memcached.UNIT: "active"}
    assert machine.enabled == {memcached.UNIT}
    assert workload.is_ready()
    assert workload.version() == "1.6.38"


def test_ipv6_addresses_stand_in_brackets(machine, state):
    Memcached(machine, "memcached").render(State(config=state.config, address="fd00::10"))
    assert "-l [fd00::10]\n" in machine.read(memcached.CONFIG)


def test_idle_connections_are_closed_where_it_is_wanted(machine, defaults):
    config = Config.parse({**defaults, "idle-timeout": 90})
    Memcached(machine, "memcached").render(State(config=config, address=machine.address))
    assert "-o idle_timeout=90\n" in machine.read(memcached.CONFIG)


def test_it_comes_back_by_itself_and_dies_before_others(machine, state):
    settle(machine, state)
    drop_in = machine.read(memcached.DROP_IN)
    assert "Restart=always\n" in drop_in
    assert "StartLimitIntervalSec=0\n" in drop_in
    assert "MemoryMax=832M\n" in drop_in
    assert "OOMScoreAdjust=500\n" in drop_in
    assert memory_max(state) == 832
    assert memory_max(State(config=state.config, address=state.address, tls=True)) == 1088


def test_with_tls_it_may_read_its_users_key(machine, state):
    Memcached(machine, "memcached").render(State(config=state.config, address=state.address, tls=True))
    lines = machine.read(memcached.CONFIG).splitlines()
    assert {"-Z", "-o ssl_chain_cert=/etc/memcached/tls/chain.pem,ssl_key=/etc/memcached/tls/key.pem"} <= set(
        lines
    )
    assert "\nCapabilityBoundingSet=CAP_DAC_READ_SEARCH\n" in machine.read(memcached.DROP_IN)


def test_a_second_time_changes_nothing(machine, state):
    settle(machine, state)
    machine.log.clear()
    settle(machine, state)
    assert machine.log == []


def test_one_that_ran_before_the_charm_runs_with_its_configuration_afterwards(machine, state):
    machine.install_packages(["memcached"])
    machine.start_services(memcached.UNIT)
    assert "-l" not in machine.cache.options
    settle(machine, state)
    assert machine.cache.options["-l"] == "10.0.0.10"
    assert machine.enabled == {memcached.UNIT}


def test_another_configuration_wants_a_restart_that_loses_the_items(machine, state, defaults):
    workload = settle(machine, state)
    machine.cache.items = 5
    assert not workload.outdated()
    changed = State(config=Config.parse({**defaults, "memory-limit": 64}), address=state.address)
    assert workload.render(changed) == {memcached.CONFIG, memcached.DROP_IN}
    workload.apply()
    assert workload.outdated()
    assert machine.cache.items == 5
    workload.restart()
    assert machine.cache.options["-m"] == "64"
    assert machine.cache.items == 0
    assert not workload.outdated()
    assert machine.log.index("reload systemd") < machine.log.index(f"restart {memcached.UNIT}")


def test_a_daemon_that_is_slow_is_waited_for(machine, state):
    machine.start_seconds = 7
    workload = settle(machine, state)
    assert not workload.is_ready()
    assert not workload.wait_until_ready(3)
    assert workload.wait_until_ready(10)


def test_a_daemon_that_does_not_answer_is_told(machine, state):
    workload = settle(machine, state)
    machine.services[memcached.UNIT] = "failed"
    with pytest.raises(NoAnswerError, match="Connection refused"):
        workload.stats()
    with pytest.raises(NoAnswerError, match="Connection refused"):
        workload.flush()


def test_the_machine_is_healthy_after_its_start_when_the_daemon_answers(machine, state):
    settle(machine, state)
    check = "/usr/lib/openinfra/after-start.d/memcached"
    assert machine.run(check).code == 0
    machine.services[memcached.UNIT] = "failed"
    assert machine.run(check, check=False).code == 1


def test_removal_leaves_nothing(machine, state):
    Owned(machine, "memcached/0", settle(machine, state)).remove()
    left = [path for path in machine.nodes if "memcached" in path]
    assert left == []
    assert machine.packages == {}
    assert machine.services == {memcached.UNIT: "inactive"}
    assert machine.enabled == set()


def test_the_package_stays_for_another_application(machine, state):
    workload = settle(machine, state)
    machine.write(f"{registry.PACKAGES}/horizon", "memcached\n")
    Owned(machine, "memcached/0", workload).remove()
    assert machine.packages == {"memcached": "1.6.38-1"}


# The program that speaks to the daemon


@pytest.fixture
def ask(tmp_path, capsys):
    """Return a function that has the real program send a command to a server that answers with these bytes."""

    def ask(command, answer):
        with socket.create_server(("127.0.0.1", 0)) as server:
            config = tmp_path / "memcached.conf"
            config.write_text(f"# comment\n-l 127.0.0.1\n-p {server.getsockname()[1]}\n-U 0\n")
            asked = []

            def serve():
                connection, _ = server.accept()
                with connection:
                    asked.append(connection.recv(100))
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            code = program(config)(command)
            thread.join()
            return code, capsys.readouterr().out, asked[0]

    return ask


def program(config):
    """Return the program's main function, with another configuration file."""
    main = runpy.run_path(str(ASK))["main"]
    main.__globals__["CONFIG"] = str(config)
    return main


def test_an_answer_is_read_to_its_end(ask):
    code, printed, asked = ask("stats", b"STAT pid 1\r\nSTAT version 1.6.38\r\nEND\r\nmore\r\n")
    assert (code, printed) == (0, "STAT pid 1\nSTAT version 1.6.38\nEND\n")
    assert asked == b"stats\r\n"


def test_a_certificate_that_is_not_taken_is_a_failure(ask):
    assert ask("refresh_certs", b"OK\r\n")[:2] == (0, "OK\n")
    assert ask("refresh_certs", b"Error loading the key: /key.pem\r\n")[0] == 1


def test_a_refusal_is_a_failure(ask):
    assert ask("bogus", b"ERROR\r\n")[:2] == (1, "ERROR\n")
    assert ask("flush_all", b"CLIENT_ERROR flush_all not allowed\r\n")[0] == 1


def test_a_connection_that_ends_too_early_is_a_failure(ask):
    assert ask("version", b"")[:2] == (1, "memcached has closed the connection\n")


def test_no_daemon_is_a_failure_with_a_reason(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    config = tmp_path / "memcached.conf"
    config.write_text(f"-l 127.0.0.1\n-p {port}\n")
    assert program(config)("version") == 1
    assert "memcached does not answer: " in capsys.readouterr().out


@pytest.fixture
def context(tmp_path):
    """What a daemon with a certificate that has expired serves with."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cache")])
    certificate = authority.build(name, name, key.public_key(), key, 1_000_000, days=1)
    kept = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "chain.pem").write_text(authority.pem(certificate))
    (tmp_path / "key.pem").write_bytes(kept)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    return context


@pytest.mark.parametrize("is_encrypted", [True, False], ids=["serves TLS", "waits for its restart"])
def test_the_program_speaks_tls_where_it_is_configured(tmp_path, capsys, context, is_encrypted):
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = tmp_path / "memcached.conf"
        config.write_text(f"-l 127.0.0.1\n-p {server.getsockname()[1]}\n-Z\n")

        def serve():
            connection, _ = server.accept()
            if is_encrypted:
                connection = context.wrap_socket(connection, server_side=True)
            else:
                connection.sendall(b"ERROR\r\n")
                connection.close()
                connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"VERSION 1.6.38\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        code = program(config)("version")
        thread.join()
    assert (code, capsys.readouterr().out) == (0, "VERSION 1.6.38\n")


def test_the_program_needs_nothing_but_python():
    names = set(sys.stdlib_module_names)
    imported = [
        line.split()[1] for line in ASK.read_text().splitlines() if line.startswith(("import ", "from "))
    ]
    assert imported
    assert set(imported) <= names
