"""The check that `host` runs after the machine has started; it needs no Juju.

Whether it may stop is for who has virtual machines on it to say.
"""

from __future__ import annotations

import sys

from openinfra_charm import machine
from ovn_chassis import OvnChassis


def main(application: str) -> int:
    """Print why it is not done, and return 1; or return 0."""
    chassis = OvnChassis(machine.this(), application)
    why = chassis.why_not_ready() if chassis.was_started else None
    sys.stdout.write(f"{why}\n" if why else "")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
