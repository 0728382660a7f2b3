"""What an operator asks of one unit."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from openinfra_charm.daemon.libvirt import NoAnswerError
from openinfra_charm.machine import CommandError
from openinfra_charm.model.actions import Outcome, failing_on

if TYPE_CHECKING:
    from charm import KvmHostCharm


def check_virtualization(charm: KvmHostCharm) -> Outcome:
    """Try again whether KVM runs a guest here, and show what there is.

    Raises:
        ActionError: QEMU is not installed, or another unit owns the hypervisor.
    """
    charm.owned.require("check-virtualization")
    virtualization = charm.host.virtualization
    with failing_on(CommandError, TimeoutError, words="it could not be tried: {}"):
        found = virtualization.try_again()
    words = "KVM runs guests here" if found.has_kvm else f"guests are emulated (TCG): {found.reason}"
    result = {
        **asdict(found), "uses-kvm": found.has_kvm, "nested": virtualization.nested, "libvirt": charm.host.version(),
        "machine": charm.machine.virtualization(),
    }  # fmt: skip
    return Outcome(summary=words, result=result)


def list_guests(charm: KvmHostCharm) -> Outcome:
    """Show the guests that libvirt knows.

    Raises:
        ActionError: libvirt does not answer, or another unit owns it.
    """
    charm.owned.require("list-guests")
    with failing_on(NoAnswerError, words="libvirt does not answer: {}"):
        guests = charm.host.libvirt.guests()
    running = sum(guest.state == "running" for guest in guests)
    return Outcome(summary=f"{running} of {len(guests)} guests run", result=[asdict(one) for one in guests])
