"""The check that `host` runs after a machine has started; it needs no Juju."""

from __future__ import annotations

import sys

from keystone import Keystone
from openinfra_charm import machine


def main(application: str) -> int:
    """Print why Keystone does not serve here and return 1; or return 0."""
    keystone = Keystone(machine.this(), application)
    why = "" if keystone.api.paused else keystone.api.problem()
    sys.stdout.write(f"{why}\n" if why else "")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
