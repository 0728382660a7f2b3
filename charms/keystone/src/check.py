"""The checks that `host` runs before a machine stops and after it has started; they need no Juju."""

from __future__ import annotations

import sys

from keystone import Keystone
from openinfra_charm import machine


def main(kind: str, application: str, *others: str) -> int:
    """Print why it is not safe, or not done, and return 1; or return 0. `others` are the other units' addresses."""
    keystone = Keystone(machine.this(), application)
    why = keystone.why_not_to_stop(others) if kind == "safe-to-stop" else keystone.why_not_ready()
    sys.stdout.write(f"{why}\n" if why else "")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
