"""The checks that `host` runs before a machine stops and after it has started; they need no Juju."""

from __future__ import annotations

import sys

import maintenance
from ceph import Ceph
from openinfra_charm import machine


def main(kind: str, application: str) -> int:
    """Print why it is not safe, or not done, and return 1; or return 0."""
    ceph = Ceph(machine.this(), application)
    match kind:
        case "safe-to-stop":
            why = maintenance.why_not_to_stop(ceph)
        case "before-stop":
            why = maintenance.keep_data(ceph)
        case _:
            why = maintenance.why_not_ready(ceph) or maintenance.release_data(ceph)
    sys.stdout.write(f"{why}\n" if why else "")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
