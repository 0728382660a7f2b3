"""What runs before Open vSwitch when the machine starts, without Juju: interfaces may have other names than before."""

from __future__ import annotations

import sys

from openinfra_charm import machine
from ovn_chassis import OvnChassis


def main(application: str) -> int:
    """Put ports right, and say which were wrong."""
    done = OvnChassis(machine.this(), application).bridges.correct_names()
    sys.stdout.write("".join(f"{line}\n" for line in done))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
