"""The checks that are run before this machine stops and after it has started: python3 check.py <kind> <application>.

Exit code 0, or 1 and the reason on standard output.
"""

from __future__ import annotations

import sys

from admin import UnreachableError
from ceph_fs import Mds
from openinfra_charm import machine as machines


def main(kind: str, application: str) -> int:
    """Check, print the reason if there is one, and return the exit code."""
    mds = Mds(machines.this(), application)
    reason = mds.why_not_to_stop() if kind == "safe-to-stop" else _why_not_ready(mds)
    sys.stdout.write(f"{reason}\n" if reason else "")
    return int(bool(reason))


def _why_not_ready(mds: Mds) -> str | None:
    try:
        return (
            None
            if mds.services.paused or mds.is_ready()
            else "the metadata server neither serves nor stands by"
        )
    except UnreachableError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
