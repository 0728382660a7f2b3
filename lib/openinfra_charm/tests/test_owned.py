"""A daemon that a machine runs once: who owns it, what others hear, what is left when it goes; and its pause."""

import ops
import pytest

from openinfra_charm.daemon import registry
from openinfra_charm.daemon.owned import Owned
from openinfra_charm.daemon.pause import Pause
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.model.actions import ActionError
from openinfra_charm.model.status import NeedsOperatorError

CACHED, FRONT = "cached.service", "cached-front.service"


class Cache:
    """A workload of two services."""

    def __init__(self, machine, application="cache"):
        self._machine = machine
        self._application = application
        self.services = Services(machine, application)
        self.programs = {CACHED: "cached", FRONT: "haproxy"}
        self.footprint = Footprint(
            daemon="cached", does="runs cached on this machine", paths=("/etc/cached.conf", "/etc/cache")
        )

    def install(self):
        registry.install(self._machine, self._application, ("cached",))
        registry.leave_check(self._machine, "after-start", self._application, "true")
        for path in ("/etc/cached.conf", "/etc/cache/key.pem"):
            self._machine.write(path, "text")

    def apply(self):
        self.services.ensure_running([Service(unit=CACHED), Service(unit=FRONT)])

    def stop(self):
        self.services.stop(CACHED, FRONT)


@pytest.fixture
def cache(machine):
    return Cache(machine)


@pytest.fixture
def owned(machine, cache):
    owned = Owned(machine, "cache/0", cache)
    owned.claim()
    cache.install()
    cache.apply()
    return owned


@pytest.fixture
def second(machine):
    return Owned(machine, "sessions/0", Cache(machine, "sessions"))


def test_the_first_one_has_it_and_the_second_is_told_who(owned, second):
    assert owned.is_mine
    with pytest.raises(NeedsOperatorError, match="cache/0 runs cached on this machine already"):
        second.claim()
    assert not second.is_mine
    owned.require("flush-all")
    with pytest.raises(
        ActionError, match=r"^cache/0 runs cached on this machine: juju run cache/0 flush-all$"
    ):
        second.require("flush-all")


def test_an_action_before_anybody_has_it_says_where_to_look(second):
    with pytest.raises(
        ActionError, match="no unit runs cached on this machine yet: see the status of sessions/0"
    ):
        second.require("flush-all")


def test_who_does_not_have_it_stops_and_removes_nothing(machine, owned, second):
    before = dict(machine.nodes)
    machine.log.clear()
    second.stop()
    second.remove()
    assert (machine.log, machine.nodes) == ([], before)
    assert owned.is_mine


def test_nothing_is_left(machine, owned):
    owned.remove()
    assert [path for path, node in machine.nodes.items() if node.is_file] == []
    assert (machine.packages, machine.enabled) == ({}, set())
    assert set(machine.services.values()) == {"inactive"}


def test_a_removal_that_was_interrupted_is_finished(machine, owned, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(registry, "uninstall", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            owned.remove()
    owned.remove()
    assert [path for path, node in machine.nodes.items() if node.is_file] == []


def test_what_runs_is_no_problem(owned):
    assert owned.was_started
    assert owned.problems() == []


@pytest.mark.parametrize(
    ("down", "words"),
    [
        ([CACHED], "cached does not run; see juju ssh cache/0 journalctl -u cached.service"),
        (
            [FRONT, CACHED],
            "haproxy and cached do not run; see juju ssh cache/0 journalctl -u cached-front.service -u cached.service",
        ),
    ],
)
def test_what_does_not_run_is_named_and_where_to_look(machine, down, words, owned):
    machine.services |= dict.fromkeys(down, "failed")
    again = Owned(machine, "cache/0", Cache(machine))
    assert again.problems() == [ops.BlockedStatus(words)]


def test_what_is_stopped_is_no_problem(owned, cache):
    cache.stop()
    assert (owned.was_started, owned.problems()) == (False, [])


def test_a_pause_outlasts_a_restart_of_the_machine(machine, owned, cache):
    paused = Pause("cache/0", cache)
    assert paused.begin().summary == "paused; start it again with: juju run cache/0 resume"
    machine.power_off()
    machine.power_on()
    assert paused
    assert machine.services.get(CACHED) != "active"
    assert owned.problems() == []
    assert paused.status == ops.MaintenanceStatus("paused; start it again: juju run cache/0 resume")
    assert paused.end().summary == "started"
    assert (bool(paused), machine.services[CACHED]) == (False, "active")


def test_a_second_pause_or_resume_changes_nothing(machine, owned, cache):
    paused = Pause("cache/0", cache)
    machine.log.clear()
    assert paused.end().summary == "not paused; nothing to do"
    assert machine.log == []
    paused.begin()
    machine.log.clear()
    paused.begin()
    assert machine.log == []
