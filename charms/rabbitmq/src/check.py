"""The checks that `host` runs before a machine stops and after it has started; they need no Juju."""

from __future__ import annotations

import sys

from openinfra_charm import machine
from rabbitmq import RabbitMq, why_not_ready


def main(kind: str, application: str, unit: str) -> int:
    """Print why it is not safe, or not done, and return 1; or return 0."""
    rabbitmq = RabbitMq(machine.this(), application, unit)
    why = rabbitmq.why_not_to_stop() if kind == "safe-to-stop" else why_not_ready(rabbitmq)
    sys.stdout.write(f"{why}\n" if why else "")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
