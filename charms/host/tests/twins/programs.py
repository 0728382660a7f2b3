"""A twin of the operating system: a kernel with settings, and an sshd that tests its configuration.

Left out: time servers, logs, logins, and what security updates bring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.testing import Software

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine


class HostSoftware(Software):
    """The system of one machine. `refused_settings` are what its kernel does not take, `ssh_error` what sshd says.

    `flushes` counts how often a setting was made that can only be written.
    """

    def __init__(self, machine: MemoryMachine) -> None:
        super().__init__()
        self.machine = machine
        self.refused_settings: set[str] = set()
        self.flushes = 0
        self.ssh_error = ""
        self.programs = {
            "/usr/lib/systemd/systemd-sysctl": self._systemd_sysctl,
            "/usr/sbin/sshd": self._sshd,
        }

    def started(self) -> None:
        """Make what an installed system has, and its kernel's settings as they are after a start."""
        for path, content in {
            "/etc/os-release": 'NAME="Some Linux"\nVERSION_ID="24.04"\n',
            "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n",
            "/etc/shadow": "root:*:1::::::\nubuntu:!:1::::::\n",
            "/home/ubuntu/.ssh/authorized_keys": "ssh-ed25519 AAAA operator\n",
            "/usr/sbin/sshd": "program",
            "/proc/sys/net/core/somaxconn": "128\n",
            "/proc/sys/kernel/panic": "0\n",
        }.items():
            self.machine.have(path, content)
        self.machine.have("/proc/sys/net/ipv4/route/flush", "", mode=0o200)
        self.machine.services |= {"ssh.service": "active", "systemd-journald.service": "active"}

    def _systemd_sysctl(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        for line in (self.machine.read(argv[1]) or "").splitlines():
            key, _, value = line.removeprefix("-").partition(" = ")
            if key == "net.ipv4.route.flush":
                self.flushes += 1
            elif not line.startswith("#") and key not in self.refused_settings:
                self.machine.have(f"/proc/sys/{key.replace('.', '/')}", f"{value}\n")
        return Result(code=1 if self.refused_settings else 0, stdout="", stderr="")

    def _sshd(self, _argv: tuple[str, ...], _stdin: str | None) -> Result:
        return Result(code=255 if self.ssh_error else 0, stdout="", stderr=self.ssh_error)
