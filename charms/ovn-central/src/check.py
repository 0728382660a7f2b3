"""The checks that `host` runs before a machine stops and after it has started; they need no Juju."""

from __future__ import annotations

import sys

from openinfra_charm import machine
from ovn_central import OvnCentral


def main(kind: str, application: str) -> int:
    """Print why it is not safe, or not done, and return 1; or return 0."""
    ovn = OvnCentral(machine.this(), application)
    if not ovn.was_started:
        # Paused by an operator, or a spare: nobody counts on it.
        return 0
    why = ovn.why_not_to_stop() if kind == "safe-to-stop" else ovn.why_not_ready()
    sys.stdout.write(f"{why}\n" if why else "")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
