"""Servers that could not be started with their machine are started again, by a program that needs no Juju."""

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "src/files/openinfra_resume.py"


@pytest.fixture
def program():
    spec = importlib.util.spec_from_file_location("openinfra_resume", PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Nova:
    """Nova's API; `heals` is after how many tries a server runs, by its id."""

    def __init__(self, servers, heals, silent=0):
        self.time = 1_000_000.0
        self.reported = self.time
        self.states = servers
        self.heals = dict(heals)
        self.tries = []
        self.silent = silent

    def service(self):
        if self.silent:
            self.silent -= 1
            raise LookupError("no answer")
        self.reported = self.time + 1
        return {
            "state": "up",
            "updated_at": datetime.fromtimestamp(self.reported, tz=UTC)
            .replace(tzinfo=None)
            .isoformat(timespec="microseconds"),
        }

    def servers(self):
        return [
            {"id": one, "name": one, "status": status, "power": power, "task": None, "instance": one}
            for one, (status, power) in self.states.items()
        ]

    def start_again(self, server):
        self.tries.append(server)
        self.heals[server] -= 1
        if not self.heals[server]:
            self.states[server] = ("ACTIVE", 1)

    def active(self):
        return {one for one, (status, _) in self.states.items() if status == "ACTIVE"}

    def sleep(self, seconds):
        self.time += seconds


def run(program, nova):
    return program.resume(nova, nova.active, (LookupError,), sleep=nova.sleep, now=lambda: nova.time)


def test_what_ran_and_failed_is_started_until_it_runs(program):
    nova = Nova({"web": ("ERROR", 1), "db": ("ERROR", 1), "fine": ("ACTIVE", 1)}, {"web": 1, "db": 3})
    assert run(program, nova) == []
    assert sorted(nova.tries) == ["db", "db", "db", "web"]


def test_what_was_off_or_broken_before_is_left_alone(program):
    nova = Nova({"off": ("SHUTOFF", 4), "broken": ("ERROR", 0)}, {})
    assert run(program, nova) == []
    assert nova.tries == []


def test_what_never_comes_is_told(program):
    nova = Nova({"web": ("ERROR", 1)}, {"web": 99})
    assert [one["id"] for one in run(program, nova)] == ["web"]
    assert len(nova.tries) == program.ROUNDS


def test_an_api_that_comes_late_is_waited_for(program):
    nova = Nova({"web": ("ERROR", 1)}, {"web": 1}, silent=5)
    assert run(program, nova) == []
    assert nova.tries == ["web"]


def test_a_service_counts_that_has_reported_since(program):
    service = {"state": "up", "updated_at": "2026-11-30T21:00:00.000000"}
    then = datetime(2026, 11, 30, 21, tzinfo=UTC).timestamp()
    assert program.is_up(service, then - 5)
    assert not program.is_up(service, then + 5)
    assert not program.is_up({**service, "state": "down"}, then - 5)
    assert not program.is_up(None, then)


def test_it_runs_once_for_each_start_of_the_machine(program, tmp_path):
    mark = tmp_path / "resumed"
    mark.write_text("")
    assert program.main("nowhere", str(tmp_path), str(mark), str(tmp_path / "resume.json")) == 0
    assert not (tmp_path / "resume.json").exists()
