"""Runs in the guest: an emulated machine takes its time."""

from openinfra_charm.machine import Machine

TIMES = 10


class SlowMachine(Machine):
    """This machine, with more patience for its programs."""

    def run(self, *argv: str, timeout: float = 60, **options):
        return super().run(*argv, timeout=timeout * TIMES, **options)
