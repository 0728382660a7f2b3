"""A twin of the hypervisor: libvirt, and what comes of trying KVM."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from openinfra_charm.testing import Cryptography
from openinfra_charm.testing.libvirt import LibvirtSoftware

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine


class HypervisorSoftware(LibvirtSoftware):
    """libvirt and QEMU on a machine; `kvm` and `tcg` are the seconds that a guest takes, `tried` how often one was run."""

    def __init__(self, machine: MemoryMachine) -> None:
        super().__init__(machine)
        self.kvm: float | None = None
        self.tcg: float | None = 0.4
        self.tried = 0
        self.libraries = Cryptography().libraries
        self.programs = {
            **self.programs,
            "python3": self._python,
            "systemd-tmpfiles": lambda _argv, _stdin: "",
        }

    def version_of(self, package: str) -> str | None:
        """Return the versions that Debian 13 has."""
        if package.startswith("libvirt"):
            return "11.3.0-3"
        return "1:10.0.3+ds-0+deb13u1" if package.startswith("qemu") else None

    def _python(self, argv: tuple[str, ...], _stdin: str | None) -> str:
        assert argv[1].endswith("/probe.py")
        self.tried += 1
        return json.dumps(
            {"kvm": self.kvm, "tcg": self.tcg, "why": "" if self.kvm else "there is no /dev/kvm"}
        )
