"""A unit that waits for its software asks for hooks, at growing intervals, until it waits no more."""

import json
from unittest import mock

import ops
import pytest
from ops import testing

from openinfra_charm.daemon.next_hook import JUJU_EXEC
from openinfra_charm.model.retry import FIRST_PAUSE, GIVE_UP, LONGEST_PAUSE, Retry
from openinfra_charm.model.status import RetriedStatus

RECORD = "/run/openinfra/openinfra-retry-mysql-0.json"


@pytest.fixture
def asked(machine):
    """After how many seconds hooks were asked for, by the systemd unit that asks."""
    found = {}

    def systemd_run(argv, _stdin):
        words = dict(word.split("=", 1) for word in argv if word.startswith("--") and "=" in word)
        assert words["--unit"] not in found
        found[words["--unit"]] = float(words["--on-active"])
        assert argv[-4:-1] == (JUJU_EXEC, "-u", "mysql/0")

    machine.handlers["systemd-run"] = systemd_run
    machine.have(JUJU_EXEC, "")
    return found


def end_of_hook(machine, *statuses):
    Retry(machine, "mysql/0").add_all(mock.Mock(spec=ops.CollectStatusEvent), statuses)


@pytest.mark.parametrize(
    ("reasons", "worst"),
    [
        ([], ops.ActiveStatus()),
        ([ops.ActiveStatus("a note")], ops.ActiveStatus("a note")),
        ([RetriedStatus("for it")], ops.WaitingStatus("for it")),
        ([ops.WaitingStatus("for it"), ops.BlockedStatus("bad")], ops.BlockedStatus("bad")),
    ],
)
def test_the_worst_reason_shows(machine, reasons, worst):
    class Reporting(ops.CharmBase):
        def __init__(self, framework):
            super().__init__(framework)
            framework.observe(self.on.collect_unit_status, self._on_collect)

        def _on_collect(self, event):
            Retry(machine, "probe/0").add_all(event, reasons)

    context = testing.Context(Reporting, {"name": "probe"})
    state = context.run(context.on.update_status(), testing.State())
    assert state.unit_status == worst


def test_who_waits_for_software_looks_again_after_as_long_as_it_has_waited(machine, asked):
    begun = machine.clock
    while machine.clock < begun + 2 * GIVE_UP:
        end_of_hook(machine, ops.WaitingStatus("for a certificate"), RetriedStatus("for the database"))
        machine.clock = (
            json.loads(machine.read(RECORD))["next"]
            if machine.clock < begun + GIVE_UP
            else begun + 2 * GIVE_UP
        )
    pauses = list(asked.values())
    assert pauses[:3] == [FIRST_PAUSE, FIRST_PAUSE, 2 * FIRST_PAUSE]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert sum(pauses[:-1]) <= GIVE_UP < sum(pauses) + LONGEST_PAUSE


def test_one_hook_is_asked_for_whatever_comes_meanwhile(machine, asked):
    for _ in range(3):
        end_of_hook(machine, RetriedStatus("for the database"))
        machine.clock += FIRST_PAUSE / 3
    assert len(asked) == 1


def test_a_hook_that_is_needed_no_more_does_not_come(machine, asked):
    end_of_hook(machine, RetriedStatus("for the database"))
    (name,) = asked
    end_of_hook(machine, ops.WaitingStatus("for a certificate"))
    assert f"stop {name}.timer" in machine.log
    assert not machine.exists(RECORD)
    machine.log.clear()
    end_of_hook(machine)
    assert machine.log == []


def test_who_waits_anew_begins_with_the_shortest_pause(machine, asked):
    end_of_hook(machine, RetriedStatus("for the database"))
    machine.clock += 10 * FIRST_PAUSE
    end_of_hook(machine)
    end_of_hook(machine, RetriedStatus("for the database"))
    assert list(asked.values()) == [FIRST_PAUSE, FIRST_PAUSE]


def test_a_machine_that_cannot_ask_waits_for_update_status(machine, asked):
    machine.lose(JUJU_EXEC)
    end_of_hook(machine, RetriedStatus("for the database"))
    assert not asked


def test_an_action_asks_for_nothing_and_stops_nothing(machine, asked, monkeypatch):
    monkeypatch.setenv("JUJU_DISPATCH_PATH", "actions/pause")
    end_of_hook(machine, RetriedStatus("for the database"))
    assert not asked
    monkeypatch.setenv("JUJU_DISPATCH_PATH", "hooks/update-status")
    # As it is where juju-exec runs a hook.
    monkeypatch.setenv("JUJU_ACTION_NAME", "juju-exec")
    end_of_hook(machine, RetriedStatus("for the database"))
    monkeypatch.setenv("JUJU_DISPATCH_PATH", "actions/pause")
    end_of_hook(machine)
    assert len(asked) == 1
    assert machine.exists(RECORD)
