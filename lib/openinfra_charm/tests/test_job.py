"""Jobs: started once, found interrupted, resumed, and run to their end."""

import json
import runpy
import sys

import pytest

from openinfra_charm.job import Job, Jobs, main
from openinfra_charm.machine import CommandError

DRAIN = '''
from openinfra_charm.job import JobError

def run(job, disks):
    """Drain disks."""
    job.report(f"draining {disks} on {job.machine.hostname()} for {job.application}")
    if disks == "bad":
        raise JobError("disk bad cannot be read; replace it")
    if disks == "surprise":
        raise RuntimeError("nobody thought of that")
    return f"{disks} are empty" if disks != "silent" else None
'''


@pytest.fixture
def launched():
    """The command lines that systemd-run was called with."""
    return []


@pytest.fixture
def jobs(machine, launched, tmp_path, monkeypatch):
    """The jobs of an application, on a machine whose systemd-run starts units."""
    (tmp_path / "drain_disks.py").write_text(DRAIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "drain_disks", raising=False)

    def systemd_run(argv, _stdin):
        unit = next(word for word in argv if word.startswith("--unit=")).removeprefix("--unit=")
        machine.services[unit] = "active"
        launched.append(argv)

    def systemctl(argv, _stdin):
        machine.services[argv[2]] = "inactive"
        machine.log.append(f"{argv[1]} {argv[2]}")

    machine.handlers |= {"systemd-run": systemd_run, "systemctl": systemctl}
    return Jobs(machine, "ceph")


def test_a_job_is_a_unit_with_the_charms_search_path(jobs, launched, machine, tmp_path):
    record = jobs.start("drain_disks", disks="0,1")
    assert (record.id, record.state, record.started) == ("drain-disks-1", "running", machine.now())
    assert machine.services == {"ceph-job-drain-disks-1.service": "active"}
    (argv,) = launched
    assert argv[-5:] == ("python3", "-m", "openinfra_charm.job", "ceph", "drain-disks-1")
    path = next(word for word in argv if "PYTHONPATH=" in word)
    assert str(tmp_path) in path


def test_the_same_work_is_not_begun_twice_and_other_work_is(jobs, launched):
    first = jobs.start("drain_disks", disks="0")
    assert jobs.start("drain_disks", disks="0") == first
    assert jobs.start("drain_disks", disks="1").id == "drain-disks-2"
    assert [record.id for record in jobs.all()] == ["drain-disks-1", "drain-disks-2"]
    assert len(launched) == 2


def test_ended_work_can_be_done_again(jobs):
    jobs.start("drain_disks", disks="0")
    main("ceph", "drain-disks-1")
    assert jobs.start("drain_disks", disks="0").id == "drain-disks-2"


def test_jobs_are_in_the_order_of_their_numbers(jobs):
    for number in range(11):
        jobs.start("drain_disks", disks=str(number))
    assert [record.id for record in jobs.all()] == [f"drain-disks-{number}" for number in range(1, 12)]


def test_a_job_whose_process_is_gone_is_interrupted_and_resumed(jobs, launched, machine):
    jobs.start("drain_disks", disks="0")
    jobs.resume()
    assert len(launched) == 1
    machine.services.clear()
    assert jobs.find("drain-disks-1").state == "interrupted"
    assert [record.id for record in jobs.unfinished()] == ["drain-disks-1"]
    jobs.resume()
    assert jobs.find("drain-disks-1").state == "running"
    assert len(launched) == 2


def test_a_job_that_could_not_be_launched_is_on_record_and_resumed(jobs, launched, machine):
    launch = machine.handlers.pop("systemd-run")
    with pytest.raises(CommandError, match="systemd-run"):
        jobs.start("drain_disks", disks="0")
    machine.handlers["systemd-run"] = launch
    jobs.resume()
    assert [record.state for record in jobs.all()] == ["running"]


def test_a_job_that_ended_stays_on_record(jobs, launched, machine):
    jobs.start("drain_disks", disks="0,1")
    machine.clock += 5
    assert main("ceph", "drain-disks-1") == 0
    machine.services.clear()
    record = jobs.find("drain-disks-1")
    assert (record.state, record.progress, record.ended) == ("done", "0,1 are empty", machine.now())
    assert jobs.unfinished() == []
    jobs.resume()
    assert len(launched) == 1


def test_a_job_without_a_last_word_keeps_its_progress_empty(jobs):
    jobs.start("drain_disks", disks="silent")
    main("ceph", "drain-disks-1")
    assert jobs.find("drain-disks-1").state == "done"


def test_a_job_that_cannot_go_on_says_why_and_is_not_resumed(jobs):
    jobs.start("drain_disks", disks="bad")
    assert main("ceph", "drain-disks-1") == 1
    record = jobs.find("drain-disks-1")
    assert (record.state, record.progress) == ("failed", "disk bad cannot be read; replace it")
    assert jobs.unfinished() == []


def test_an_unexpected_error_is_for_the_journal_and_a_later_hook_tries_again(jobs, machine):
    jobs.start("drain_disks", disks="surprise")
    with pytest.raises(RuntimeError, match="nobody thought"):
        main("ceph", "drain-disks-1")
    machine.services.clear()
    record = jobs.find("drain-disks-1")
    assert (record.state, record.progress) == ("interrupted", "draining surprise on machine-0 for ceph")


def test_the_same_progress_is_written_once(jobs, machine):
    record = jobs.start("drain_disks", disks="0")
    job = Job(jobs, record, machine, "ceph")
    machine.log.clear()
    job.report("10 to go")
    job.report("10 to go")
    job.report("9 to go")
    assert len(machine.log) == 2


def test_stopping_ends_what_runs_and_forgets_all(jobs, machine):
    jobs.start("drain_disks", disks="0")
    jobs.stop()
    assert machine.services == {"ceph-job-drain-disks-1.service": "inactive"}
    assert jobs.all() == []


def test_a_job_that_is_not_there(jobs):
    assert jobs.find("drain-disks-7") is None
    with pytest.raises(SystemExit, match="there is no job drain-disks-7 of ceph"):
        main("ceph", "drain-disks-7")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_the_module_is_the_program(jobs, machine, monkeypatch):
    jobs.start("drain_disks", disks="0")
    monkeypatch.setattr(sys, "argv", ["job", "ceph", "drain-disks-1"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("openinfra_charm.job", run_name="__main__")
    assert ended.value.code == 0
    text = machine.read("/var/lib/openinfra/ceph/jobs/drain-disks-1.json")
    assert json.loads(text)["state"] == "done"
