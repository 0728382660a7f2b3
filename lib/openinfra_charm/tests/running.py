"""The jobs of machines in memory."""

from openinfra_charm.daemon.job import main
from openinfra_charm.machine import use
from openinfra_charm.testing import Software


class Jobs(Software):
    """A machine's systemd, which runs the jobs of a hook that waits for them, unless they are `slow`."""

    def __init__(self, machine):
        super().__init__()
        self.machine = machine
        self.slow = False
        self._runs = False

    def time_passed(self):
        # A job that waits lets time pass itself.
        if self.slow or self._runs:
            return
        self._runs = True
        for application, job_id in self.machine.jobs():
            with use(self.machine):
                main(application, job_id)
            self.machine.job_ended(application, job_id)
        self._runs = False
