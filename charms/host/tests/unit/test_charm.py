"""The charm between Juju and the machine: who manages it, what the status says, the actions that only look."""

import json

import ops
import pytest
from ops.testing import ActionFailed

import host
from openinfra_charm.machine import Result

PENDING = """\
Reading package lists...
Inst libc6 [2.41-12] (2.41-13 Debian-Security:13/stable-security [amd64])
Inst ceph-mon [18.2.7-1] (18.2.7-2 Debian:13.2/stable [amd64])
Inst linux-image-6.12.60 (6.12.60-1 Debian:13.2/stable [amd64])
Conf libc6 (2.41-13 Debian-Security:13/stable-security [amd64])
"""


@pytest.fixture
def lone(model):
    """One machine of the model, with what audit and list-updates ask."""
    machine = model.machines[0]
    answers = {
        "apt-get": PENDING,
        "chronyc": "C0000201,192.0.2.1,2,1763800000.1,0.0\n",
        "needrestart": "NEEDRESTART-VER: 3.8\nNEEDRESTART-KSTA: 1\n",
        "systemctl": "",
        "/usr/sbin/sshd": "passwordauthentication no\nkbdinteractiveauthentication no\npermitrootlogin without-password\n",
    }
    for program, answer in answers.items():
        machine.handlers[program] = lambda *_, answer=answer: answer
    return machine


def share_machine(model, first, second):
    """Put a second unit on the first one's machine, where both have their agents."""
    machine = model.machines[second] = model.machines[first]
    for unit in (first, second):
        machine.write(f"{model.agents}/unit-host-{unit}/charm/dispatch", "program")
    machine.log.clear()
    return machine


def become_container(machine):
    """Have the machine be a container from its next start on."""
    machine.kind = "lxc"
    machine.power_off()
    machine.power_on()


def findings(model):
    model.action(0, "audit")
    return {finding["id"]: finding for finding in json.loads(model.context.action_results["result"])}


def test_a_second_reconcile_changes_nothing(model):
    machine = model.machines[1]
    machine.log.clear()
    before = (dict(model.unit_data[1]), dict(model.app_data))
    model.run(1, model.on.config_changed())
    model.run(1, model.on.update_status())
    assert machine.log == []
    assert (model.unit_data[1], model.app_data) == before


def test_what_kind_of_machine_it_is_is_asked_once_after_each_start(model, monkeypatch):
    machine = model.machines[1]
    asked = []
    monkeypatch.setattr(machine, "virtualization", lambda: asked.append(1) or "kvm")
    model.run(1, model.on.config_changed())
    assert asked == []
    machine.power_off()
    machine.power_on()
    model.run(1, model.on.start())
    model.run(1, model.on.config_changed())
    assert asked == [1]


def test_the_version_is_that_of_the_system(model):
    model.run(0, model.on.start())
    assert model.versions[0] == "24.04"


def test_a_wrong_option_blocks_and_changes_nothing(model):
    machine = model.machines[0]
    machine.log.clear()
    model.config["journal-max-size"] = 1
    model.run(0, model.on.config_changed())
    assert model.statuses[0] == ops.BlockedStatus(
        "config journal-max-size=1 cannot be used: expected a whole number, at least 64"
    )
    assert machine.log == []


def test_a_wrong_option_does_not_hold_up_a_roll(model):
    model.config["journal-max-size"] = 1
    model.action(1, "reboot", all_units=False)
    assert model.restarts == [1]


def test_what_sshd_refuses_is_said(model):
    machine = model.machines[0]
    machine.system.ssh_error = "Bad configuration option: X"
    model.config["ssh-password-login"] = True
    model.run(0, model.on.config_changed())
    assert model.statuses[0] == ops.BlockedStatus(
        "sshd keeps its old configuration, it refuses the new one: Bad configuration option: X"
    )


def test_a_service_that_does_not_run_is_started_again(model):
    model.machines[0].services["chrony.service"] = "failed"
    model.run(0, model.on.update_status())
    assert model.machines[0].services["chrony.service"] == "active"
    assert model.statuses[0] == ops.ActiveStatus()


def test_what_does_not_apply_is_said(model):
    become_container(model.machines[0])
    model.config["sysctl"] = "kernel.panic=10"
    model.run(0, model.on.config_changed())
    assert model.statuses[0] == ops.ActiveStatus(
        "not applicable here: time synchronisation, 1 kernel settings"
    )


def test_a_unit_that_was_removed_leaves_nothing(model):
    model.run(0, model.on.remove())
    assert model.statuses[0] == ops.MaintenanceStatus("the machine has its own baseline again")
    assert [path for path in model.machines[0].nodes if path.startswith("/var/lib/openinfra/")] == []


def test_a_machine_has_one_unit(model):
    machine = share_machine(model, 0, 1)
    model.run(1, model.on.config_changed())
    assert model.statuses[1] == ops.BlockedStatus(
        "host/0 manages this machine: remove this unit's relation to its principal"
    )
    assert machine.log == []


def test_a_machine_with_two_units_restarts_once(model):
    share_machine(model, 0, 1)
    model.unit_data[1] = {}
    model.run(1, model.on.config_changed())
    model.action(0, "reboot", all_units=True)
    assert json.loads(model.context.action_results["result"])["units"] == ["host/0", "host/2"]
    assert sorted(model.restarts) == [0, 2]


def test_a_unit_that_stands_by_can_still_lead(model):
    share_machine(model, 0, 1)
    model.unit_data[1] = {}
    model.leader = 1
    model.run(1, model.on.config_changed())
    model.machines[2].leave_check("safe-to-stop", "ceph", "one OSD is down")
    model.action(1, "reboot", all_units=True)
    assert model.restarts == [0]
    model.machines[2].leave_check("safe-to-stop", "ceph")
    model.action(1, "resume-roll")
    assert model.restarts == [0, 2]
    assert "seen" not in model.unit_data[1]


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("reboot", {"all_units": False}),
        ("upgrade-packages", {"all_units": False, "reboot": False}),
        ("maintenance", {"mode": "enter"}),
    ],
)
def test_a_unit_that_stands_by_does_not_take_the_lock(model, action, params):
    share_machine(model, 0, 1)
    with pytest.raises(ActionFailed, match="host/0 manages this machine: run the action there"):
        model.action(1, action, **params)


def test_the_second_unit_takes_over_when_the_first_is_removed(model):
    machine = share_machine(model, 0, 1)
    model.run(0, model.on.remove())
    assert not machine.exists(host.SYSCTL)
    model.run(1, model.on.update_status())
    assert model.statuses[1] == ops.ActiveStatus()
    assert machine.exists(host.SYSCTL)


def test_the_second_unit_takes_over_when_the_first_went_without_a_word(model):
    machine = share_machine(model, 0, 1)
    machine.remove(f"{model.agents}/unit-host-0")
    model.run(1, model.on.update_status())
    assert model.statuses[1] == ops.ActiveStatus()


def test_removing_the_second_unit_leaves_the_first_alone(model):
    machine = share_machine(model, 0, 1)
    model.run(1, model.on.remove())
    assert machine.log == []


def test_updates_are_listed_with_who_needs_them(model, lone):
    lone.write("/etc/openinfra/packages.d/ceph", "ceph-mon\nceph-osd\n")
    summary = model.action(0, "list-updates", refresh=False)
    assert summary == "2 packages have a newer version, 1 of them for security"
    assert json.loads(model.context.action_results["result"]) == [
        {
            "package": "libc6",
            "installed": "2.41-12",
            "available": "2.41-13",
            "security": True,
            "applications": [],
        },
        {
            "package": "ceph-mon",
            "installed": "18.2.7-1",
            "available": "18.2.7-2",
            "security": False,
            "applications": ["ceph"],
        },
    ]


def test_package_lists_that_cannot_be_fetched_are_an_error(model, lone):
    lone.handlers["apt-get"] = lambda *_: Result(code=100, stdout="", stderr="E: no network")
    with pytest.raises(ActionFailed, match="apt-get ended with exit code 100: E: no network"):
        model.action(0, "list-updates", refresh=True)


def test_an_audit_finds_nothing_on_a_good_machine(model, lone):
    lone.handlers["apt-get"] = lambda *_: "Reading package lists...\n"
    found = findings(model)
    assert {finding["state"] for finding in found.values()} == {"pass"}
    assert {"sysctl-net.core.somaxconn", "time", "ssh-passwords", "reboot", "disk-space"} <= set(found)


def test_an_audit_goes_on_where_a_setting_cannot_be_read(model, lone):
    lone.handlers["apt-get"] = lambda *_: "Reading package lists...\n"
    model.config["sysctl"] = "net.ipv4.route.flush = 1\nnet.core.somaxconn = 4096"
    model.run(0, model.on.config_changed())
    found = findings(model)
    assert found["sysctl-net.ipv4.route.flush"]["state"] == "not-applicable"
    assert found["sysctl-net.core.somaxconn"]["state"] == "pass"


@pytest.mark.parametrize(
    ("program", "answer", "finding"),
    [
        ("chronyc", "00000000,,0,0.0\n", "time"),
        ("chronyc", "", "time"),
        ("/usr/sbin/sshd", "passwordauthentication yes\npermitrootlogin no\n", "ssh-passwords"),
        ("/usr/sbin/sshd", "passwordauthentication no\npermitrootlogin yes\n", "ssh-root"),
        ("needrestart", "NEEDRESTART-SVC: cron.service\n", "outdated-code"),
        ("needrestart", "NEEDRESTART-KSTA: 3\n", "reboot"),
        ("systemctl", "ceph-osd@1.service loaded failed failed Ceph\n", "failed-units"),
        ("apt-get", PENDING, "security-updates"),
    ],
)
def test_an_audit_finds_what_is_wrong(model, lone, program, answer, finding):
    lone.handlers["apt-get"] = lambda *_: ""
    lone.handlers[program] = lambda *_: answer
    found = findings(model)
    assert [name for name, each in found.items() if each["state"] == "fail"] == [finding]
    assert found[finding]["reason"]
    assert found[finding]["remedy"]


@pytest.mark.parametrize(
    ("path", "content", "finding"),
    [
        ("/etc/shadow", "root:*:1\nguest::1\n", "empty-passwords"),
        ("/etc/passwd", "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/home/ubuntu:/bin/sh\n", "superusers"),
        ("/proc/sys/net/core/somaxconn", "1\n", "sysctl-net.core.somaxconn"),
        ("/run/reboot-required", "", "reboot"),
    ],
)
def test_an_audit_reads_the_system(model, lone, path, content, finding):
    lone.handlers["apt-get"] = lambda *_: ""
    lone.write(path, content)
    found = findings(model)
    assert [name for name, each in found.items() if each["state"] == "fail"] == [finding]


def test_an_audit_says_what_does_not_apply(model, lone):
    become_container(lone)
    lone.remove("/usr/sbin/sshd")
    found = findings(model)
    states = {name: each["state"] for name, each in found.items()}
    assert states["time"] == states["ssh-passwords"] == states["ssh-root"] == "not-applicable"
    assert found["time"]["reason"] == "the clock belongs to the container's host"


def test_an_audit_changes_nothing(model, lone):
    lone.log.clear()
    before = json.dumps([model.unit_data, model.app_data])
    findings(model)
    assert lone.log == []
    assert json.dumps([model.unit_data, model.app_data]) == before


def test_jobs_are_shown(model, lone):
    lone.handlers["systemd-run"] = lambda *_: ""
    model.action(0, "upgrade-packages", all_units=False, reboot=False)
    assert model.action(0, "show-job", job_id="upgrade-1").startswith("upgrade-1: ")
    assert "upgrade-1: " in model.action(0, "show-job", job_id="")
    with pytest.raises(
        ActionFailed, match="job-id=upgrade-9: there is no such job on host/0; there are: upgrade-1"
    ):
        model.action(0, "show-job", job_id="upgrade-9")
