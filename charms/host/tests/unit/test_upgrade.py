"""The job that upgrades a machine."""

import pytest

import upgrade
from openinfra_charm.daemon.job import Job, JobError, Jobs
from openinfra_charm.machine import Result


@pytest.fixture
def commands(machine):
    """Programs that succeed, and what was asked of them."""
    asked = []

    def answer(argv, _stdin):
        asked.append(argv)
        return "Inst libc6 [1] (2 Debian:13/stable [amd64])\n" if "--simulate" in argv else ""

    for program in ("dpkg", "apt-get", "needrestart", "systemd-run"):
        machine.handlers[program] = answer
    return asked


@pytest.fixture
def job(machine, commands):
    jobs = Jobs(machine, "host")
    return Job(jobs, jobs.start("upgrade.upgrade"), machine, "host")


def test_all_packages_are_upgraded_then_outdated_services_restart(job, commands):
    assert upgrade.upgrade(job) == "1 packages upgraded"
    steps = [" ".join(argv) for argv in commands if argv[0] in {"apt-get", "needrestart"}]
    assert steps[0].endswith(" update")
    assert steps[2].endswith(" --with-new-pkgs upgrade")
    assert steps[3] == "needrestart -r a"
    assert not any("--configure" in argv for argv in commands)


def test_what_a_power_loss_interrupted_is_finished_first(machine, job, commands):
    answer = machine.handlers["dpkg"]
    machine.handlers["dpkg"] = lambda argv, stdin: answer(argv, stdin) or "half configured: libc6"
    upgrade.upgrade(job)
    programs = [argv for argv in commands if argv[0] != "systemd-run"]
    assert "--configure" in programs[1]
    assert programs[2][0] == "apt-get"


def test_a_failure_says_what_to_do(machine, job):
    machine.handlers["apt-get"] = lambda *_: Result(code=100, stdout="", stderr="E: broken")
    with pytest.raises(JobError, match=r"apt-get ended with exit code 100: E: broken \(on the machine"):
        upgrade.upgrade(job)
