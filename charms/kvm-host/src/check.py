"""The checks that `host` runs before a machine stops and after it has started; they need no Juju."""

from __future__ import annotations

import sys

from openinfra_charm import machine as machines
from openinfra_charm.daemon.libvirt import Libvirt
from openinfra_charm.daemon.services import Services


def main(kind: str, application: str) -> int:
    """Print why it is not safe, or not done, and return 1; or return 0."""
    machine = machines.this()
    libvirt = Libvirt(machine)
    if kind == "safe-to-stop":
        why = why_not_to_stop(libvirt.running())
    else:
        down = (f"{unit} does not run" for unit in Services(machine, application).failed())
        why = libvirt.answers or next(down, "")
    sys.stdout.write(f"{why}\n" if why else "")
    return 1 if why else 0


def why_not_to_stop(running: list[str]) -> str:
    """Return why the machine must not stop with these guests on it; empty where there are none."""
    if not running:
        return ""
    shown = ", ".join(running[:5]) + (", ..." if len(running) > 5 else "")  # noqa: PLR2004  a line that can be read
    return f"{len(running)} guests run here ({shown}): move them (with nova-compute: the action drain), or shut them down"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
