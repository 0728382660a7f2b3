"""The checks that `host` runs before a machine stops and after it has started; they need no Juju."""

from __future__ import annotations

import sys

from mysql import MySql, why_not_ready
from openinfra_charm import machine


def main(kind: str, application: str) -> int:
    """Print why it is not safe, or not done, and return 1; or return 0."""
    mysql = MySql(machine.this(), application)
    why = mysql.why_not_to_stop() if kind == "safe-to-stop" else why_not_ready(mysql.node())
    sys.stdout.write(f"{why}\n" if why else "")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
