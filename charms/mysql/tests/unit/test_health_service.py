"""What a load balancer is told of this machine's server."""

import http.client
import importlib.util
import threading
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "src/files/health-service.py"


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Return a function that gives the server's status and returns the answers for `/` and `/synced`."""
    spec = importlib.util.spec_from_file_location("health_service_program", PROGRAM)
    assert spec
    assert spec.loader
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    told = tmp_path / "status"
    clear = tmp_path / "files"
    clear.write_text("")
    monkeypatch.setattr(program, "CLIENT", ("cat", str(told)))
    monkeypatch.setattr(program, "FRESH", -1)
    server = program.Server("127.0.0.1", 0, str(clear))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(*, state="Synced", primary=True, others=False):
        monkeypatch.setattr(server, "others_synced", lambda _: others)
        told.write_text(
            f"wsrep_ready\t{'ON' if primary else 'OFF'}\nwsrep_cluster_status\t{'Primary' if primary else 'non-Primary'}\n"
            f"wsrep_local_state_comment\t{state}\n"
        )
        answers = []
        for path in ("/", "/synced"):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
            connection.request("GET", path)
            answers.append(connection.getresponse().status)
            connection.close()
        return answers

    yield ask
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "answers"),
    [
        ({}, [200, 200]),
        ({"primary": False}, [503, 503]),
        ({"state": "Joined"}, [503, 503]),
        ({"state": "Donor/Desynced"}, [200, 503]),
        ({"state": "Donor/Desynced", "others": True}, [503, 503]),
    ],
)
def test_clients_are_sent_where_all_is_complete(ask, status, answers):
    assert ask(**status) == answers
