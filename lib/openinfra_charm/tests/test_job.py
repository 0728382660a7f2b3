"""Jobs: started once, found interrupted, resumed, and run to their end."""

import contextlib
import json
import runpy
import sys

import pytest

from openinfra_charm.daemon.job import (
    FIRST_PAUSE,
    KEPT,
    LONGEST_PAUSE,
    MOST_ERRORS,
    Job,
    Jobs,
    main,
)
from openinfra_charm.daemon.next_hook import JUJU_EXEC
from openinfra_charm.machine import CommandError

DRAIN = '''
from openinfra_charm.daemon.job import JobError, NotNowError

def drain_disks(job, disks):
    """Drain disks."""
    job.report(f"draining {disks} on {job.machine.hostname()} for {job.application}")
    if disks == "bad":
        raise JobError("disk bad cannot be read; replace it")
    if disks == "away":
        raise NotNowError("no monitor answers")
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
    (tmp_path / "disks.py").write_text(DRAIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "disks", raising=False)

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
    record = jobs.start("disks.drain_disks", disks="0,1")
    assert (record.id, record.state, record.started) == ("drain-disks-1", "running", machine.now())
    assert machine.services == {"ceph-job-drain-disks-1.service": "active"}
    (argv,) = launched
    assert argv[-5:] == ("python3", "-m", "openinfra_charm.daemon.job", "ceph", "drain-disks-1")
    path = next(word for word in argv if "PYTHONPATH=" in word)
    assert str(tmp_path) in path


def test_the_same_work_is_not_begun_twice_and_other_work_is(jobs, launched):
    first = jobs.start("disks.drain_disks", disks="0")
    assert jobs.start("disks.drain_disks", disks="0") == first
    assert jobs.start("disks.drain_disks", disks="1").id == "drain-disks-2"
    assert [record.id for record in jobs.all()] == ["drain-disks-1", "drain-disks-2"]
    assert len(launched) == 2


def test_ended_work_can_be_done_again(jobs):
    jobs.start("disks.drain_disks", disks="0")
    main("ceph", "drain-disks-1")
    assert jobs.start("disks.drain_disks", disks="0").id == "drain-disks-2"


def test_jobs_are_in_the_order_of_their_numbers(jobs):
    for number in range(11):
        jobs.start("disks.drain_disks", disks=str(number))
    assert [record.id for record in jobs.all()] == [f"drain-disks-{number}" for number in range(1, 12)]


def test_a_job_whose_process_is_gone_is_interrupted_and_resumed(jobs, launched, machine):
    jobs.start("disks.drain_disks", disks="0")
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
        jobs.start("disks.drain_disks", disks="0")
    machine.handlers["systemd-run"] = launch
    jobs.resume()
    assert [record.state for record in jobs.all()] == ["running"]


def test_a_job_that_ended_stays_on_record(jobs, launched, machine):
    jobs.start("disks.drain_disks", disks="0,1")
    machine.clock += 5
    assert main("ceph", "drain-disks-1") == 0
    machine.services.clear()
    record = jobs.find("drain-disks-1")
    assert (record.state, record.progress, record.ended) == ("done", "0,1 are empty", machine.now())
    assert jobs.unfinished() == []
    jobs.resume()
    assert len(launched) == 1


def test_a_job_without_a_last_word_keeps_its_progress_empty(jobs):
    jobs.start("disks.drain_disks", disks="silent")
    main("ceph", "drain-disks-1")
    assert jobs.find("drain-disks-1").state == "done"


def test_a_job_that_cannot_go_on_says_why_and_is_not_resumed(jobs):
    jobs.start("disks.drain_disks", disks="bad")
    assert main("ceph", "drain-disks-1") == 1
    record = jobs.find("drain-disks-1")
    assert (record.state, record.progress) == ("failed", "disk bad cannot be read; replace it")
    assert jobs.unfinished() == []


def surprise(jobs, machine):
    """Run a job that always ends by an error which nobody expected; return how it stands then."""
    with pytest.raises(RuntimeError, match="nobody thought"):
        main("ceph", "drain-disks-1")
    machine.services.clear()
    return jobs.find("drain-disks-1")


def test_an_unexpected_error_is_for_the_journal_and_told_and_tried_again_after_a_pause(
    jobs, machine, launched
):
    jobs.start("disks.drain_disks", disks="surprise")
    record = surprise(jobs, machine)
    assert record.state == "interrupted"
    assert record.progress == (
        "unexpected error 1 of 8, tried again in 30 s: RuntimeError: nobody thought of that"
    )
    jobs.resume()
    machine.clock += FIRST_PAUSE - 1
    jobs.resume()
    assert len(launched) == 1
    machine.clock += 1
    jobs.resume()
    assert len(launched) == 2


def test_a_job_that_always_raises_is_tried_ever_more_rarely_and_given_up(jobs, machine, launched):
    jobs.start("disks.drain_disks", disks="surprise")
    for pause in (30, 60, 120, 240, 480, 960, 1800):
        assert surprise(jobs, machine).again == machine.now() + pause
        machine.clock += pause
        jobs.resume()
    record = surprise(jobs, machine)
    assert (record.state, record.ended) == ("failed", machine.now())
    assert record.progress.startswith("stopped after 8 unexpected errors, the last one: RuntimeError")
    machine.clock += 10 * LONGEST_PAUSE
    jobs.resume()
    assert len(launched) == MOST_ERRORS


def test_a_job_that_cannot_go_on_now_is_never_given_up(jobs, machine, launched):
    jobs.start("disks.drain_disks", disks="away")
    for _ in range(2 * MOST_ERRORS):
        assert main("ceph", "drain-disks-1") == 1
        machine.services.clear()
        record = jobs.find("drain-disks-1")
        assert (record.state, record.progress, record.errors) == ("interrupted", "no monitor answers", 0)
        jobs.resume()
        machine.clock += FIRST_PAUSE
        jobs.resume()
    assert len(launched) == 1 + 2 * MOST_ERRORS


def test_an_interruption_counts_as_no_error(jobs, machine, launched):
    jobs.start("disks.drain_disks", disks="0")
    for _ in range(2 * MOST_ERRORS):
        machine.services.clear()
        jobs.resume()
    assert len(launched) == 1 + 2 * MOST_ERRORS


# What is done once


def test_what_was_done_is_not_done_once_more(jobs, launched):
    jobs.once("disks.drain_disks", disks="0")
    assert jobs.once("disks.drain_disks", disks="0").state == "running"
    main("ceph", "drain-disks-1")
    assert jobs.once("disks.drain_disks", disks="0").state == "done"
    assert len(launched) == 1


def test_what_has_failed_is_tried_again_after_a_pause_only(jobs, machine, launched):
    jobs.once("disks.drain_disks", disks="bad")
    main("ceph", "drain-disks-1")
    assert jobs.once("disks.drain_disks", disks="bad").state == "failed"
    assert len(launched) == 1
    machine.clock += FIRST_PAUSE
    assert jobs.once("disks.drain_disks", disks="bad").id == "drain-disks-2"


# How it ends


def test_a_job_that_ends_has_its_unit_run_a_hook(jobs, machine, launched):
    machine.have(JUJU_EXEC, "")
    for disks in ("0", "bad"):
        record = Jobs(machine, "ceph", "ceph/0").start("disks.drain_disks", disks=disks)
        launched.clear()
        main("ceph", record.id)
        (argv,) = launched
        assert argv[-4:] == (
            JUJU_EXEC, "-u", "ceph/0", "JUJU_DISPATCH_PATH=hooks/update-status ./dispatch",
        )  # fmt: skip
        assert not any(word.startswith("--on-active") for word in argv)


def test_a_job_that_is_tried_again_has_its_unit_run_the_hook_that_does_it(jobs, machine, launched):
    machine.have(JUJU_EXEC, "")
    jobs = Jobs(machine, "ceph", "ceph/0")
    for disks, errors in (("surprise", 1), ("away", 0)):
        record = jobs.start("disks.drain_disks", disks=disks)
        launched.clear()
        with pytest.raises(RuntimeError) if errors else contextlib.nullcontext():
            main("ceph", record.id)
        (argv,) = launched
        assert f"--on-active={FIRST_PAUSE + 1}" in argv
        machine.services[f"ceph-job-{record.id}.service"] = "inactive"
        machine.clock += FIRST_PAUSE + 1
        launched.clear()
        jobs.resume()
        assert [argv[-1] for argv in launched] == [record.id]
        jobs.cancel(record, "seen")


def test_a_job_that_no_unit_waits_for_has_nobody_run_a_hook(jobs, machine, launched):
    machine.have(JUJU_EXEC, "")
    jobs.start("disks.drain_disks", disks="0")
    launched.clear()
    main("ceph", "drain-disks-1")
    assert launched == []


def test_a_hook_that_could_not_be_asked_for_fails_no_job(jobs, machine):
    machine.have(JUJU_EXEC, "")
    record = Jobs(machine, "ceph", "ceph/0").start("disks.drain_disks", disks="0")
    machine.broken["systemd-run"] = "no bus"
    assert main("ceph", record.id) == 0
    assert jobs.find(record.id).state == "done"


def test_only_the_newest_of_the_jobs_that_have_ended_stay_on_record(jobs, machine):
    jobs.start("disks.drain_disks", disks="surprise")
    for number in range(KEPT + 5):
        jobs.start("disks.drain_disks", disks=str(number))
        main("ceph", f"drain-disks-{number + 2}")
    record = jobs.start("disks.drain_disks", disks="0")
    assert record.id == f"drain-disks-{KEPT + 7}"
    ended = [known.id for known in jobs.all() if known.ended is not None]
    assert ended == [f"drain-disks-{number}" for number in range(7, KEPT + 7)]
    assert [known.id for known in jobs.unfinished()] == ["drain-disks-1", record.id]


def test_what_has_failed_lately_is_told_until_one_of_its_kind_is_done(jobs, machine):
    jobs.start("disks.drain_disks", disks="bad")
    main("ceph", "drain-disks-1")
    machine.clock += 60
    assert [record.id for record in jobs.failed(60)] == ["drain-disks-1"]
    assert jobs.failed(59) == []
    jobs.start("disks.drain_disks", disks="0")
    assert len(jobs.failed(60)) == 1
    main("ceph", "drain-disks-2")
    assert jobs.failed(60) == []


def test_the_same_progress_is_written_once(jobs, machine):
    record = jobs.start("disks.drain_disks", disks="0")
    job = Job(jobs, record, machine, "ceph")
    machine.log.clear()
    job.report("10 to go")
    job.report("10 to go")
    job.report("9 to go")
    assert len(machine.log) == 2


def test_stopping_ends_what_runs_and_forgets_all(jobs, machine):
    jobs.start("disks.drain_disks", disks="0")
    jobs.stop()
    assert machine.services == {"ceph-job-drain-disks-1.service": "inactive"}
    assert jobs.all() == []


def test_a_job_that_is_not_there(jobs):
    assert jobs.find("drain-disks-7") is None
    with pytest.raises(SystemExit, match="there is no job drain-disks-7 of ceph"):
        main("ceph", "drain-disks-7")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_the_module_is_the_program(jobs, machine, monkeypatch):
    jobs.start("disks.drain_disks", disks="0")
    monkeypatch.setattr(sys, "argv", ["job", "ceph", "drain-disks-1"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("openinfra_charm.daemon.job", run_name="__main__")
    assert ended.value.code == 0
    text = machine.read("/var/lib/openinfra/ceph/jobs/drain-disks-1.json")
    assert json.loads(text)["state"] == "done"
