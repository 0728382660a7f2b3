"""What the timer runs: start the job that makes a backup. It needs no Juju."""

from __future__ import annotations

import sys

from openinfra_charm import machine
from openinfra_charm.daemon.job import Jobs

if __name__ == "__main__":
    application, unit, folder, place, retention = sys.argv[1:]
    Jobs(machine.this(), application, unit).start(
        "jobs.create_backup", unit=unit, folder=folder, place=place, retention=retention
    )
