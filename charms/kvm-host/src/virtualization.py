"""Whether guests run with KVM on this machine, tried once for each start of it and each version of QEMU, and kept on record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import probe
from openinfra_charm.daemon import registry
from openinfra_charm.machine import program

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

_SECONDS = 50
_LEAST = 1.0
"""Seconds within which a guest that KVM runs has ended in any case."""
_NESTED = ("kvm_intel", "kvm_amd")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What was found: seconds that the guest took with KVM and with TCG, None where it did not end, and why KVM is not used."""

    kvm: float | None
    tcg: float | None
    why: str = ""

    @property
    def has_kvm(self) -> bool:
        """Whether KVM runs guests here, and not slower than it would be without."""
        return self.kvm is not None and self.kvm <= max(_LEAST, 2 * (self.tcg or 0))

    @property
    def reason(self) -> str:
        """Why guests are emulated, in words; empty where KVM runs them."""
        if self.has_kvm:
            return ""
        if self.kvm is None:
            return self.why or "KVM runs no guest"
        return f"KVM is slower than emulation: {self.kvm:.1f} s, {self.tcg or 0:.1f} s"


class Virtualization:
    """What the machine's processors offer, as far as one application has found out.

    Args:
        machine: The machine.
        application: The application.
        qemu: QEMU's program and the package that it is of.
    """

    def __init__(self, machine: Machine, application: str, qemu: tuple[str, str]) -> None:
        self._machine = machine
        self._program, self._package = qemu
        self._record = f"/var/lib/openinfra/{application}/virtualization.json"

    def look(self) -> Found:
        """Return what was found, and try where the machine or QEMU is another one than then."""
        now = f"{self._machine.boot_id()} {registry.version(self._machine, self._package)}"
        known = json.loads(self._machine.read(self._record) or "{}")
        if known.get("when") == now:
            return Found(**known["found"])
        return self.try_again()

    @property
    def known(self) -> Found | None:
        """What was found last; None before."""
        text = self._machine.read(self._record)
        return Found(**json.loads(text)["found"]) if text else None

    def try_again(self) -> Found:
        """Run the guest, and keep what comes of it on record."""
        command = program.command(Path(probe.__file__), self._program)
        ran = self._machine.run(*command, timeout=_SECONDS)
        found = Found(**json.loads(ran.stdout))
        when = f"{self._machine.boot_id()} {registry.version(self._machine, self._package)}"
        text = json.dumps({"when": when, "found": asdict(found)}, sort_keys=True)
        self._machine.write(self._record, f"{text}\n")
        return found

    @property
    def nested(self) -> bool | None:
        """Whether guests may use KVM themselves, as the kernel has it now; None where it has no KVM."""
        words = (self._machine.read(f"/sys/module/{one}/parameters/nested") for one in _NESTED)
        found = [word.strip() for word in words if word]
        return found[0] in {"Y", "1"} if found else None
