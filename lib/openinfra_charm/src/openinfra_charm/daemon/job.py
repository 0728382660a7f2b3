"""Work that takes longer than a hook may: a systemd unit with recorded progress.

Juju runs one hook or action at a time on a machine, so none of ours waits longer than a minute. An action starts
a job and returns its id; `show-job` and the unit's status show how it stands; a reconcile starts a job again that
a power loss interrupted. After an unexpected error (its traceback is in the journal) it does so only after a pause, which
doubles with each error; after `MOST_ERRORS` of them the job has failed. A job that ends has its unit run a hook at once.

A job is a function of the charm, `create_backup(job, **arguments)` in `jobs.py`, and is named so: `jobs.create_backup`. It must
be able to begin again at any point, also long after it was started. So its arguments name things by what is never given to another
one: the uuid of an OSD, not its number; a unit, not its host.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm import machine as machines
from openinfra_charm.daemon import next_hook
from openinfra_charm.machine import program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.machine import Machine


FIRST_PAUSE, LONGEST_PAUSE = 30, 1800
"""Seconds until a job that an unexpected error has ended is started again: after the first one, and at most."""
MOST_ERRORS = 8
"""Unexpected errors, about an hour of them, after which a job has failed."""
KEPT = 20
"""How many records of jobs that have ended are kept."""
_LONGEST_ERROR = 300
"""How much of an error's text is kept; all of it is in the journal."""


class JobError(Exception):
    """The job cannot go on; the message says why, and what to do."""


class NotNowError(Exception):
    """The job cannot go on now, as when a cluster does not answer: it is tried again after a pause, however often."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A job as it stands. `module` names its function; `state` is `running`, `interrupted`, `done` or `failed`.

    Times are epoch seconds. `errors` counts the unexpected errors that have ended it, `again` is when it may be started again after the last one.
    """

    id: str
    module: str
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    state: str = "running"
    progress: str = ""
    started: float = 0
    ended: float | None = None
    errors: int = 0
    again: float = 0
    unit: str = ""


class Jobs:
    """The jobs of one application on this machine. Those that are started for a unit have it run a hook when they end."""

    def __init__(self, machine: Machine, application: str, unit: str = "") -> None:
        self._machine = machine
        self._application = application
        self.unit = unit
        self._folder = f"/var/lib/openinfra/{application}/jobs"

    def start(self, function: str, **arguments: str) -> Record:
        """Start the job of a function, or return the one that already does the same."""
        known = self.all()
        for record in known:
            if (record.module, record.arguments, record.ended) == (function, arguments, None):
                return record
        for record in [record for record in known if record.ended is not None][:-KEPT]:
            self._machine.remove(f"{self._folder}/{record.id}.json")
        number = 1 + max((_number(record) for record in known), default=0)
        name = function.rpartition(".")[2].replace("_", "-")
        record = Record(
            id=f"{name}-{number}",
            module=function,
            arguments=arguments,
            started=self._machine.now(),
            unit=self.unit,
        )
        self.save(record)
        self._launch(record)
        return record

    def once(self, function: str, **arguments: str) -> Record:
        """Start the job of a function unless it runs or has been done; return how it stands.

        One that has failed is started again after a pause only, a longer one where nobody expected why.
        """
        same = [record for record in self.all() if (record.module, record.arguments) == (function, arguments)]
        for record in same:
            if record.state == "done":
                return record
        if same and (failed := same[-1]).ended is not None:
            # Its end has brought a hook at once: without a pause the two would bring each other for ever.
            pause = LONGEST_PAUSE if failed.errors else FIRST_PAUSE
            if self._machine.now() < failed.ended + pause:
                return failed
        return self.start(function, **arguments)

    def all(self) -> list[Record]:
        """Return all jobs that are on record, the oldest first."""
        names = [name.removesuffix(".json") for name in self._machine.list_folder(self._folder)]
        found = [record for name in names if (record := self.find(name))]
        return sorted(found, key=_number)

    def find(self, job_id: str) -> Record | None:
        """Return a job by its id. One that says it runs, but whose process is gone, is `interrupted`."""
        text = self._machine.read(f"{self._folder}/{job_id}.json")
        if text is None:
            return None
        record = Record(**json.loads(text))
        unit = self._service(record)
        if record.ended is None and self._machine.service_states(unit)[unit] not in {"active", "activating"}:
            return dataclasses.replace(record, state="interrupted")
        return record

    def unfinished(self) -> list[Record]:
        """Return the jobs that have not ended."""
        return [record for record in self.all() if record.ended is None]

    def failed(self, seconds: float) -> list[Record]:
        """Return the jobs that have failed within so many seconds, if no other of their kind has ended since."""
        newest = {record.module: record for record in self.all() if record.ended is not None}
        since = self._machine.now() - seconds
        return [one for one in newest.values() if one.state == "failed" and (one.ended or 0) >= since]

    def wait(self, job_id: str, seconds: float) -> bool:
        """Wait until a job has ended, but no longer than this; return whether it has."""
        limit = self._machine.now() + seconds
        while (record := self.find(job_id)) and record.state == "running":
            if self._machine.now() + 1 > limit:
                return False
            self._machine.sleep(1)
        return record is not None and record.ended is not None

    def resume(self) -> None:
        """Start those jobs again that were interrupted, and those whose pause after an unexpected error is over."""
        for record in self.unfinished():
            if record.state == "interrupted" and self._machine.now() >= record.again:
                self._launch(record)

    def save(self, record: Record) -> None:
        """Write a job's record."""
        text = json.dumps(dataclasses.asdict(record), indent=1, sort_keys=True)
        self._machine.write(f"{self._folder}/{record.id}.json", text + "\n")

    def stop(self) -> None:
        """Stop all jobs and forget them, as on removal."""
        for record in self.unfinished():
            self._machine.run("systemctl", "stop", self._service(record), check=False)
        self._machine.remove(self._folder)

    def cancel(self, record: Record, why: str) -> None:
        """Stop a job for good, wherever it is; `why` is what `show-job` says of it."""
        self._machine.run("systemctl", "stop", self._service(record), check=False)
        self.save(dataclasses.replace(record, state="failed", progress=why, ended=self._machine.now()))

    def ask_for_hook(self, record: Record, *, after: float = 0) -> None:
        """Have Juju run a hook of the job's unit, which goes on from where the job has ended, or starts it again."""
        if record.unit:
            name = f"{self._application}-hook-of-{record.id}-{record.errors}-{record.again:.0f}"
            next_hook.ask(self._machine, record.unit, name, after=after)

    def _service(self, record: Record) -> str:
        return f"{self._application}-job-{record.id}.service"

    def _launch(self, record: Record) -> None:
        self._machine.run(
            "systemd-run", "--quiet", "--collect", f"--unit={self._service(record)}",
            f"--setenv=PYTHONPATH={program.search_path()}", "--setenv=PYTHONDONTWRITEBYTECODE=1",
            "python3", "-m", "openinfra_charm.daemon.job", self._application, record.id,
        )  # fmt: skip


class Job:
    """A running job, as its function sees it."""

    def __init__(self, jobs: Jobs, record: Record, machine: Machine, application: str) -> None:
        self._jobs = jobs
        self._record = record
        self.machine = machine
        self.application = application

    def report(self, progress: str) -> None:
        """Say how far the job is, in words for the operator."""
        if progress != self._record.progress:
            self._keep(progress=progress)

    def _keep(self, **changes: Any) -> None:
        self._record = dataclasses.replace(self._record, **changes)
        self._jobs.save(self._record)

    def end(self, state: str, progress: str) -> None:
        """Record how the job ended, and let its unit know."""
        self._keep(state=state, progress=progress, ended=self.machine.now())
        self._jobs.ask_for_hook(self._record)

    def put_off(self, why: str) -> None:
        """Record why the job cannot go on now; it is started again after a pause."""
        self._pause(FIRST_PAUSE, progress=why)

    def break_off(self, error: Exception) -> None:
        """Record an error that nobody expected: the job has failed if there were too many, else it is tried again."""
        what = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_ERROR]
        errors = self._record.errors + 1
        if errors >= MOST_ERRORS:
            self.end("failed", f"stopped after {errors} unexpected errors, the last one: {what}")
            return
        pause = min(FIRST_PAUSE << (errors - 1), LONGEST_PAUSE)
        words = f"unexpected error {errors} of {MOST_ERRORS}, tried again in {pause} s: {what}"
        self._pause(pause, progress=words, errors=errors)

    def _pause(self, seconds: float, **changes: Any) -> None:
        self._keep(again=self.machine.now() + seconds, **changes)
        # The process is still there when a hook comes too early.
        self._jobs.ask_for_hook(self._record, after=seconds + 1)


def _number(record: Record) -> int:
    return int(record.id.rpartition("-")[2])


def main(application: str, job_id: str) -> int:
    """Run a job that is on record, to its end; return the exit code for systemd."""
    machine = machines.this()
    jobs = Jobs(machine, application)
    record = jobs.find(job_id)
    if record is None:
        sys.exit(f"there is no job {job_id} of {application}")
    job = Job(jobs, record, machine, application)
    try:
        module, _, function = record.module.rpartition(".")
        outcome: Any = getattr(importlib.import_module(module), function)(job, **record.arguments)
    except JobError as error:
        job.end("failed", str(error))
        return 1
    except NotNowError as error:
        job.put_off(str(error))
        return 1
    except Exception as error:
        # Whatever it was: it is counted, then it goes on its way to the journal.
        job.break_off(error)
        raise
    job.end("done", str(outcome or record.progress))
    return 0


if __name__ == "__main__":
    # As a program this module is `__main__`, whose JobError is not the one that jobs import and raise.
    raise SystemExit(importlib.import_module("openinfra_charm.daemon.job").main(*sys.argv[1:]))
