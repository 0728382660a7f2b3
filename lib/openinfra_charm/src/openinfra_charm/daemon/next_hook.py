"""A hook that a unit asks for on its own machine: what happens there is no event of the model.

Where nobody asks for one, a unit that waits for its software goes on with the next `update-status`, five minutes later by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

JUJU_EXEC = "/usr/bin/juju-exec"


def ask(machine: Machine, unit: str, name: str, *, after: float = 0) -> None:
    """Have Juju run a hook of a unit after so many seconds, whether or not this process and its hook are still there.

    Where the machine cannot ask for one, update-status comes by.

    Args:
        machine: The unit's.
        unit: Such as `ceph/0`.
        name: The systemd unit that asks. One of this name that has not ended is enough.
        after: Seconds.
    """
    if not machine.exists(JUJU_EXEC):
        return
    timer = (f"--on-active={after:.0f}", "--timer-property=AccuracySec=1s") if after else ()
    machine.run(
        "systemd-run", "--quiet", "--collect", f"--unit={name}", *timer, JUJU_EXEC, "-u", unit,
        "JUJU_DISPATCH_PATH=hooks/update-status ./dispatch",
        check=False,  # it comes later then, and whoever asks has done his work
    )  # fmt: skip
