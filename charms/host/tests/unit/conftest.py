"""A machine in memory that answers as one with sshd and a kernel of its own would."""

import sys
from pathlib import Path

import pytest
import yaml

from openinfra_charm.machine import Result, use
from openinfra_charm.testing import MemoryMachine

CHARM = Path(__file__).parents[2]
sys.path.insert(0, str(CHARM / "src"))


class HostMachine(MemoryMachine):
    """Adds a start that can end, a kernel with settings, and an sshd that tests its configuration."""

    def __init__(self):
        super().__init__()
        self.kind = "kvm"
        self.boot = 1
        self.refused_settings = set()
        self.ssh_error = ""
        self.nodes_of_the_system()
        self.handlers["/usr/lib/systemd/systemd-sysctl"] = self.systemd_sysctl
        self.handlers["/usr/sbin/sshd"] = lambda *_: Result(
            code=255 if self.ssh_error else 0, stdout="", stderr=self.ssh_error
        )
        self.log.clear()

    def nodes_of_the_system(self):
        self.write("/etc/os-release", 'NAME="Some Linux"\nVERSION_ID="24.04"\n')
        self.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n")
        self.write("/etc/shadow", "root:*:1::::::\nubuntu:!:1::::::\n")
        self.write("/home/ubuntu/.ssh/authorized_keys", "ssh-ed25519 AAAA operator\n")
        self.write("/usr/sbin/sshd", "program")
        self.write("/proc/sys/net/core/somaxconn", "128\n")
        self.write("/proc/sys/kernel/panic", "0\n")
        self.services |= {"ssh.service": "active", "systemd-journald.service": "active"}

    def systemd_sysctl(self, argv, _stdin):
        for line in (self.read(argv[1]) or "").splitlines():
            key, _, value = line.partition(" = ")
            if not line.startswith("#") and key not in self.refused_settings:
                self.write(f"/proc/sys/{key.replace('.', '/')}", f"{value}\n")
        return Result(code=1 if self.refused_settings else 0, stdout="", stderr="")

    def boot_id(self):
        return f"boot-{self.boot}"

    def leave_check(self, kind, application, reason=""):
        """Leave a check that answers with a reason, or is content."""
        path = f"/usr/lib/openinfra/{kind}.d/{application}"
        self.write(path, "program", mode=0o755)
        self.handlers[path] = lambda *_: Result(code=1 if reason else 0, stdout=f"{reason}\n", stderr="")


@pytest.fixture
def machine():
    with use(HostMachine()) as machine:
        yield machine


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}
