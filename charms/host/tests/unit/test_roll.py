"""Reboots, upgrades and maintenance across three machines, one at a time."""

import json

import ops
import pytest
from ops.testing import ActionFailed

from openinfra_charm.daemon.job import Jobs


def holder(model):
    return json.loads(model.app_data.get("turn-holder", "null"))


def finish_job(model, number, state="done", progress="1 packages upgraded"):
    """Let the unit's job end as its process would."""
    machine = model.machines[number]
    jobs = Jobs(machine, "host")
    (record,) = jobs.unfinished()
    machine.write(
        f"/var/lib/openinfra/host/jobs/{record.id}.json",
        json.dumps(
            {"id": record.id, "module": record.module, "state": state, "progress": progress, "ended": 1.0}
        ),
    )


@pytest.fixture
def jobs_run(model):
    """Let jobs be started: they run until a test ends them."""
    for machine in model.machines:

        def start(argv, _stdin, machine=machine):
            unit = next(word for word in argv if word.startswith("--unit=")).removeprefix("--unit=")
            machine.services[unit] = "active"

        machine.handlers["systemd-run"] = start


@pytest.mark.parametrize("number", [1, 2])
def test_one_machine_restarts(model, number):
    model.action(number, "reboot", all_units=False)
    assert model.restarts == [number]
    assert holder(model) is None
    assert all(status == ops.ActiveStatus() for status in model.statuses.values())


def test_the_leaders_machine_restarts_at_the_next_look(model):
    model.action(0, "reboot", all_units=False)
    assert model.statuses[0] != ops.MaintenanceStatus("restarting the machine")
    model.update_status()
    assert model.restarts == [0]


def test_all_machines_restart_one_after_another_without_waiting_for_update_status(model):
    model.action(0, "reboot", all_units=True)
    assert sorted(model.restarts) == [0, 1, 2]
    assert holder(model) is None
    assert model.machines[0].boots == 2


def test_a_finished_roll_is_not_repeated(model):
    model.action(0, "reboot", all_units=True)
    model.update_status()
    model.leader = 2
    model.update_status()
    assert sorted(model.restarts) == [0, 1, 2]


def test_a_unit_that_comes_later_is_not_rolled(model):
    model.action(0, "reboot", all_units=True)
    model.add_unit()
    model.update_status()
    assert sorted(model.restarts) == [0, 1, 2]


def test_the_roll_stops_where_it_is_not_safe(model):
    model.machines[1].leave_check("safe-to-stop", "ceph", "one OSD is down")
    model.action(0, "reboot", all_units=True)
    model.update_status()
    assert model.restarts == [0]
    expected = (
        "reboot stopped at host/1: not safe to stop: ceph: one OSD is down. "
        "Repair it, then `juju run host/leader resume-roll`; or `juju run host/leader cancel-roll`"
    )
    assert model.statuses[1] == ops.BlockedStatus(expected)
    assert model.statuses[2] == ops.BlockedStatus(expected)
    assert model.statuses[0] == ops.ActiveStatus()


def test_what_stops_with_the_machine_is_told_before_and_may_hold_it(model):
    model.machines[1].leave_check("before-stop", "ceph", "no monitor answers")
    model.action(0, "maintenance", mode="dry-run")
    model.action(0, "reboot", all_units=True)
    model.update_status()
    assert model.restarts == [0]
    assert "reboot stopped at host/1: cannot stop: ceph: no monitor answers." in model.statuses[1].message
    model.machines[1].leave_check("before-stop", "ceph")
    model.action(0, "resume-roll")
    assert model.restarts == [0, 1, 2]


def test_the_roll_goes_on_when_its_problem_is_repaired(model):
    model.machines[1].leave_check("safe-to-stop", "ceph", "one OSD is down")
    model.action(0, "reboot", all_units=True)
    model.machines[1].leave_check("safe-to-stop", "ceph")
    assert model.action(0, "resume-roll") == "host/1 will try again"
    assert model.restarts == [0, 1, 2]


def test_a_cancelled_roll_ends(model):
    model.machines[1].leave_check("safe-to-stop", "ceph", "one OSD is down")
    model.action(0, "reboot", all_units=True)
    assert model.action(0, "cancel-roll") == "cancelled for host/1, host/2"
    model.update_status()
    assert model.restarts == [0]
    assert holder(model) is None
    assert all(status == ops.ActiveStatus() for status in model.statuses.values())


def test_a_cancelled_roll_does_not_come_back_with_the_next(model):
    model.machines[1].leave_check("safe-to-stop", "ceph", "one OSD is down")
    model.action(0, "reboot", all_units=True)
    model.action(0, "cancel-roll")
    model.machines[1].leave_check("safe-to-stop", "ceph")
    model.action(2, "reboot", all_units=False)
    model.update_status()
    assert model.restarts == [0, 2]


def test_the_next_machine_waits_until_all_are_healthy(model):
    model.machines[0].leave_check("after-start", "ceph", "OSD 3 is not up")
    model.action(0, "reboot", all_units=True)
    assert model.restarts == [0]
    assert model.statuses[0] == ops.MaintenanceStatus(
        "waiting until all applications of the machine are healthy: ceph: OSD 3 is not up"
    )
    assert model.statuses[1] == ops.WaitingStatus("reboot waits for host/0")
    model.machines[0].leave_check("after-start", "ceph")
    model.update_status()
    assert sorted(model.restarts) == [0, 1, 2]


def test_a_machine_that_does_not_become_healthy_stops_the_roll(model):
    machine = model.machines[0]
    machine.leave_check("after-start", "ceph", "OSD 3 is not up")
    model.action(0, "reboot", all_units=True)
    machine.clock += 1000
    model.update_status()
    assert model.statuses[0].message.startswith(
        "reboot stopped at host/0: not healthy after its start: ceph: OSD 3 is not up."
    )
    assert model.restarts == [0]
    machine.leave_check("after-start", "ceph")
    model.action(0, "resume-roll")
    model.update_status()
    assert sorted(model.restarts) == [0, 1, 2]
    assert model.machines[0].boots == 2


def test_one_look_at_health_is_short(model):
    machine = model.machines[0]
    machine.leave_check("after-start", "ceph", "OSD 3 is not up")
    model.action(1, "reboot", all_units=False)
    before = machine.clock
    model.action(0, "reboot", all_units=False)
    model.update_status()
    assert 0 < machine.clock - before <= 60


def test_a_check_that_hangs_is_no_consent(model, monkeypatch):
    machine = model.machines[1]
    machine.leave_check("safe-to-stop", "ceph")

    def hang(*_):
        raise TimeoutError("/usr/lib/openinfra/safe-to-stop.d/ceph did not end within 30 s")

    machine.handlers["/usr/lib/openinfra/safe-to-stop.d/ceph"] = hang
    model.action(1, "reboot", all_units=False)
    assert model.restarts == []
    assert "did not end within 30 s" in model.statuses[1].message


def test_a_machine_is_asked_once_to_restart_until_it_has(model):
    model.action(1, "reboot", all_units=False)
    model.update_status()
    assert model.restarts == [1]


def test_a_second_request_is_refused(model):
    model.machines[1].leave_check("safe-to-stop", "ceph", "one OSD is down")
    model.action(1, "reboot", all_units=False)
    before = dict(model.unit_data[1])
    with pytest.raises(ActionFailed, match=r"there is a request already: host/1 \(reboot, failed\)"):
        model.action(1, "upgrade-packages", all_units=False, reboot=False)
    assert model.unit_data[1] == before


@pytest.mark.parametrize(
    ("action", "params", "command"),
    [
        ("reboot", {"all_units": True}, "reboot all-units=true"),
        ("upgrade-packages", {"all_units": True, "reboot": False}, "upgrade-packages all-units=true"),
        ("resume-roll", {}, "resume-roll"),
        ("cancel-roll", {}, "cancel-roll"),
    ],
)
def test_what_concerns_all_is_the_leaders(model, action, params, command):
    before = json.dumps([model.unit_data, model.app_data])
    with pytest.raises(ActionFailed, match=f"juju run host/leader {command}"):
        model.action(1, action, **params)
    assert json.dumps([model.unit_data, model.app_data]) == before


@pytest.mark.parametrize("action", ["resume-roll", "cancel-roll"])
def test_nothing_to_decide(model, action):
    with pytest.raises(ActionFailed, match="there is nothing to"):
        model.action(0, action)


def test_an_upgrade_is_a_job_under_the_lock(model, jobs_run):
    model.action(1, "upgrade-packages", all_units=False, reboot=False)
    assert holder(model) == "host/1"
    assert model.statuses[1] == ops.MaintenanceStatus("upgrade-1: ")
    model.action(2, "reboot", all_units=False)
    assert model.restarts == []
    finish_job(model, 1)
    model.update_status()
    assert model.restarts == [2]
    assert model.statuses[1] == ops.ActiveStatus()


def test_an_upgrade_may_end_with_a_restart_under_the_same_lock(model, jobs_run):
    model.action(1, "upgrade-packages", all_units=False, reboot=True)
    finish_job(model, 1)
    model.machines[1].leave_check("safe-to-stop", "ceph", "one OSD is down")
    model.update_status()
    assert model.restarts == []
    assert holder(model) == "host/1"
    model.machines[1].leave_check("safe-to-stop", "ceph")
    model.action(0, "resume-roll")
    assert model.restarts == [1]
    assert holder(model) is None


def test_an_upgrade_that_is_done_within_the_action_restarts_in_a_hook(model):
    machine = model.machines[0]

    def start(argv, _stdin):
        if any("-job-" in word for word in argv):
            machine.services["host-job-upgrade-1.service"] = "active"
            finish_job(model, 0)

    machine.handlers["systemd-run"] = start
    model.action(0, "upgrade-packages", all_units=False, reboot=True)
    assert model.restarts == []
    model.update_status()
    assert model.restarts == [0]


def test_an_upgrade_that_fails_stops_the_roll_and_can_be_resumed(model, jobs_run):
    model.action(0, "upgrade-packages", all_units=True, reboot=False)
    model.update_status()
    finish_job(model, 0, state="failed", progress="apt-get ended with exit code 100")
    model.update_status()
    assert model.statuses[2].message.startswith("upgrade stopped at host/0: apt-get ended with exit code 100")
    model.action(0, "resume-roll")
    model.update_status()
    for number in range(3):
        finish_job(model, number)
        model.update_status()
    assert holder(model) is None


def test_an_interrupted_upgrade_is_started_again(model, jobs_run):
    model.action(1, "upgrade-packages", all_units=False, reboot=False)
    machine = model.machines[1]
    machine.services = {
        unit: "inactive" if "-job-" in unit else state for unit, state in machine.services.items()
    }
    model.update_status()
    assert machine.services["host-job-upgrade-1.service"] == "active"


def test_maintenance_holds_the_lock(model):
    model.action(1, "maintenance", mode="enter")
    assert model.statuses[1] == ops.MaintenanceStatus(
        "in maintenance: juju run host/1 maintenance mode=leave"
    )
    model.action(2, "reboot", all_units=False)
    assert model.restarts == []
    assert model.action(1, "maintenance", mode="leave") == "host/1 is not in maintenance any more"
    assert model.restarts == [2]


def test_maintenance_is_entered_at_once_where_the_turn_is_free(model):
    assert model.action(0, "maintenance", mode="enter").startswith("host/0 is in maintenance")


def test_maintenance_waits_for_the_lock(model):
    model.action(0, "maintenance", mode="enter")
    assert "waits for the lock" in model.action(1, "maintenance", mode="enter")
    assert model.statuses[1] == ops.WaitingStatus("maintenance waits for host/0")
    assert model.action(1, "maintenance", mode="leave") == "host/1 is not in maintenance any more"
    assert holder(model) == "host/0"


def test_maintenance_ends_only_when_all_are_healthy(model):
    model.action(0, "maintenance", mode="enter")
    model.machines[0].leave_check("after-start", "ceph", "OSD 3 is not up")
    assert "waiting until all applications are healthy" in model.action(0, "maintenance", mode="leave")
    assert holder(model) == "host/0"
    model.machines[0].leave_check("after-start", "ceph")
    model.update_status()
    assert holder(model) is None


def test_maintenance_is_refused_while_it_is_not_safe(model):
    model.machines[1].leave_check("safe-to-stop", "ceph", "one OSD is down")
    before = dict(model.unit_data[1])
    with pytest.raises(ActionFailed, match="not safe to stop: ceph: one OSD is down"):
        model.action(1, "maintenance", mode="enter")
    assert model.unit_data[1] == before


def test_maintenance_can_be_tried_dry(model):
    assert model.action(1, "maintenance", mode="dry-run") == "safe to stop"
    model.machines[1].leave_check("safe-to-stop", "ceph", "one OSD is down")
    model.machines[1].leave_check("safe-to-stop", "mysql", "not in sync")
    before = dict(model.unit_data[1])
    summary = model.action(1, "maintenance", mode="dry-run")
    assert summary == "not safe to stop: ceph: one OSD is down; mysql: not in sync"
    assert model.unit_data[1] == before


def test_leaving_without_having_entered_is_refused(model):
    with pytest.raises(ActionFailed, match="host/1 is not in maintenance"):
        model.action(1, "maintenance", mode="leave")


def test_a_restarting_machine_that_died_keeps_the_turn_until_it_is_removed(model):
    model.action(1, "maintenance", mode="enter")
    model.action(2, "reboot", all_units=False)
    del model.unit_data[1]
    model.run(0, model.on.update_status())
    assert model.restarts == [2]


def test_juju_is_asked_for_a_hook_where_that_can_be_done(model):
    machine = model.machines[0]
    machine.write("/usr/bin/juju-exec", "program")
    asked = []
    machine.handlers["systemd-run"] = lambda argv, _: asked.append(argv)
    model.action(0, "reboot", all_units=False)
    assert asked[0][-3:] == ("-u", "host/0", "JUJU_DISPATCH_PATH=hooks/update-status ./dispatch")
