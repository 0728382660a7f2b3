"""The programs that run inside machines, run here against a socket as the controller would hold it."""

from __future__ import annotations

import ast
import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openinfra_model.inside import hook_tool, machine_agent

TOOL = (sys.executable, "-IS", hook_tool.__file__)


@given(st.lists(st.binary()))
def test_netstrings_carry_anything(fields):
    assert hook_tool.decode(hook_tool.encode([os.fsdecode(field) for field in fields])) == fields


@pytest.mark.parametrize(
    "message", [b"5:abc,", b"3:abc", b"x:abc,", b"3:abcd,", b"6:5:abc,,", b"0:,0:,", b""]
)
def test_cut_off_netstrings_are_refused(message):
    with pytest.raises(ValueError):
        hook_tool.decode(message)


class ToolServer:
    """Answers one tool with a fixed answer and keeps its question."""

    def __init__(self, path: Path, answer: list[str]) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.address)
        self._socket.listen()
        self._answer = answer
        self.question: list[str] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            stream = connection.makefile("rb")
            size = b""
            while not size.endswith(b":"):
                size += stream.read(1)
            question = hook_tool.decode(size + stream.read(int(size[:-1]) + 1))
            self.question = [os.fsdecode(field) for field in question]
            connection.sendall(hook_tool.encode(self._answer))

    def close(self) -> None:
        self._thread.join(timeout=10)
        self._socket.close()


def run_tool(tmp_path, *words, answer=("0", "", ""), stdin=""):
    """Run a tool as a charm does; return the finished process and the question that arrived."""
    server = ToolServer(tmp_path / "agent.socket", list(answer))
    done = subprocess.run(
        [*TOOL, f"/tools/{words[0]}", *words[1:]],
        env={"JUJU_CONTEXT_ID": "tiny/0-install-1", "JUJU_AGENT_SOCKET_ADDRESS": server.address},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    server.close()
    return done, server.question


def test_a_tool_shows_the_answer_and_ends_with_its_code(tmp_path):
    done, question = run_tool(
        tmp_path, "config-get", "--format=json", "kéy", answer=("2", "out\n", "ERROR no\n")
    )
    assert question == ["tiny/0-install-1", "", "config-get", "--format=json", "kéy"]
    assert (done.returncode, done.stdout, done.stderr) == (2, "out\n", "ERROR no\n")


@pytest.mark.parametrize("words", [("--file", "-"), ("--file=-",)])
def test_standard_input_is_sent_only_where_it_is_asked_for(tmp_path, words):
    _, question = run_tool(tmp_path, "relation-set", *words, "-r", "1", stdin="a: b")
    assert question[1:] == ["a: b", "relation-set", "--file", "-", "-r", "1"]


def test_a_lone_dash_does_not_read_standard_input(tmp_path):
    _, question = run_tool(tmp_path, "relation-get", "-r", "1", "-", "tiny/0", stdin="ignored")
    assert question[1:] == ["", "relation-get", "-r", "1", "-", "tiny/0"]


def test_a_files_content_is_sent_in_the_files_place(tmp_path):
    content = tmp_path / "content"
    content.write_bytes(b"\xff\x00secret")
    _, question = run_tool(tmp_path, "secret-add", f"key#file={content}")
    assert question[3] == f"key#base64={base64.b64encode(content.read_bytes()).decode()}"


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "[Errno 2] No such file or directory"), (b"\xff", "it is not UTF-8")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, problem):
    path = tmp_path / "content"
    if content:
        path.write_bytes(content)
    command = [*TOOL, "/tools/relation-set", "--file", path]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"ERROR relation-set: cannot read {path}: {problem}")


def test_outside_a_hook_a_tool_says_so():
    done = subprocess.run([*TOOL, "/tools/is-leader"], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "ERROR is-leader: works inside a hook only: JUJU_CONTEXT_ID is not set\n"


def test_juju_exec_needs_no_hook(tmp_path, monkeypatch):
    server = ToolServer(tmp_path / "controller.socket", ["3", "out\n", ""])
    monkeypatch.setattr(hook_tool, "MACHINE_SOCKET", server.address)
    monkeypatch.setattr(sys, "argv", ["hook_tool.py", "/usr/bin/juju-exec", "-u", "tiny/0", "true"])
    with pytest.raises(SystemExit) as ended:
        hook_tool.main()
    server.close()
    assert ended.value.code == 3
    assert server.question == ["", "", "juju-exec", "-u", "tiny/0", "true"]


class Machine:
    """An agent in a thread, and the controller's end of its connection."""

    def __init__(self, monkeypatch) -> None:
        monkeypatch.setattr(machine_agent, "interfaces", list)
        self._ours, theirs = socket.socketpair()
        self._lines = self._ours.makefile("r")
        self._agent = threading.Thread(target=machine_agent.Agent(theirs).serve)
        self._agent.start()
        self.hello = self.hear()["hello"]

    def run(self, number, *argv, **environment):
        self.say(
            {"run": number, "argv": argv, "env": {"PATH": os.environ["PATH"], **environment}, "cwd": "/"}
        )

    def say(self, message):
        self._ours.sendall(json.dumps(message).encode() + b"\n")

    def hear(self):
        return json.loads(self._lines.readline())

    def close(self):
        self._ours.shutdown(socket.SHUT_RDWR)
        self._agent.join(timeout=10)
        assert not self._agent.is_alive()


@pytest.fixture
def machine(monkeypatch):
    machine = Machine(monkeypatch)
    yield machine
    machine.close()


def test_an_agent_says_who_it_is(machine):
    assert machine.hello["hostname"] == socket.gethostname()
    assert machine.hello["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_an_agent_tells_output_as_it_comes_and_the_exit_code_last(machine):
    machine.run("7", "sh", "-c", "echo $OURS; echo problem >&2; exit 3", OURS="ours")
    heard = [machine.hear(), machine.hear()]
    assert {"output": "7", "stream": "stdout", "text": "ours\n"} in heard
    assert {"output": "7", "stream": "stderr", "text": "problem\n"} in heard
    assert machine.hear() == {"exit": "7", "code": 3}


def test_a_process_has_the_variables_that_it_is_given_and_no_others(machine):
    """Juju's hooks have none of the machine's own, such as SSL_CERT_FILE of /etc/environment (a real 4.0.14)."""
    machine.run("1", sys.executable, "-c", "import os; print(sorted(os.environ))", OURS="yes")
    heard = machine.hear()["text"]
    assert set(ast.literal_eval(heard)) <= {"OURS", "PATH", "LC_CTYPE"}  # the last is Python's own


def test_processes_run_beside_each_other(machine):
    machine.run("slow", "sh", "-c", "sleep 5")
    machine.run("fast", "true")
    assert machine.hear() == {"exit": "fast", "code": 0}
    machine.say({"stop": "slow"})
    assert machine.hear() == {"exit": "slow", "code": 128 + 15}


def test_a_stop_reaches_the_children_too(machine):
    machine.run("1", "sh", "-c", "sleep 60 & echo $!; wait")
    child = int(machine.hear()["text"])
    machine.say({"stop": "1"})
    assert machine.hear()["exit"] == "1"
    # Killed it is; a busy machine may take a moment to end it.
    limit = time.monotonic() + 10
    while is_running(child):
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_what_does_not_end_when_it_is_asked_to_is_killed(machine, monkeypatch):
    monkeypatch.setattr(machine_agent, "KILL_SECONDS", 0.3)
    machine.run("1", "sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.1; done")
    machine.hear()
    machine.say({"stop": "1"})
    assert machine.hear() == {"exit": "1", "code": 128 + 9}


def test_a_stop_that_comes_when_the_process_has_ended_is_no_error(machine, monkeypatch):
    def gone(*_: object) -> None:
        raise ProcessLookupError

    machine.run("1", "sleep", "0.5")
    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", gone)
        machine.say({"stop": "1"})
        assert machine.hear() == {"exit": "1", "code": 0}
    machine.run("2", "true")
    assert machine.hear() == {"exit": "2", "code": 0}


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_what_cannot_be_started_is_an_exit_of_127(machine):
    machine.run("1", "/no/such/program")
    assert "No such file" in machine.hear()["text"]
    assert machine.hear() == {"exit": "1", "code": 127}


def test_a_daemon_that_keeps_the_output_open_does_not_hold_the_exit_up(machine):
    machine.run("1", "sh", "-c", "setsid sleep 30 & echo $!")
    daemon = int(machine.hear()["text"])
    assert machine.hear() == {"exit": "1", "code": 0}
    os.kill(daemon, 9)


def test_what_a_daemon_prints_later_is_not_told(machine):
    machine.run("1", "sh", "-c", "setsid sh -c 'sleep 2.5; echo late' & exit 0")
    assert machine.hear() == {"exit": "1", "code": 0}
    time.sleep(1)
    machine.run("2", "echo", "next")
    assert machine.hear() == {"output": "2", "stream": "stdout", "text": "next\n"}
