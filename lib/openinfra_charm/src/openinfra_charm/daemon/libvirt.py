"""libvirt on this machine, by its own program and by its files: what runs is known also where the daemon does not answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

RUNNING = "/run/libvirt/qemu"
"""Of each guest that runs, `<name>.pid` and what libvirt knows of it, `<name>.xml`; a start of the machine clears it."""
SECRETS = "/etc/libvirt/secrets"
_SECONDS = 20
_SECRET = re.compile(r"<secret\b[^>]*\btype='ceph'[^>]*\buuid='([0-9a-f-]{36})'")
_ALONE = re.compile(r"<secret\b[^>]*\buuid='([0-9a-f-]{36})'[^>]*\btype='ceph'")


class NoAnswerError(Exception):
    """libvirt does not answer, or refuses; the message is what there is to say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guest:
    """A guest as libvirt knows it: its name, its uuid, and its state in libvirt's word (`running`, `shut off`)."""

    name: str
    uuid: str
    state: str


class Libvirt:
    """The libvirt of a machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def virsh(self, *arguments: str, stdin: str | None = None, seconds: float = _SECONDS) -> str:
        """Return what `virsh` prints.

        Args:
            arguments: A command and its arguments; nothing secret.
            stdin: What it reads.
            seconds: How long it may take.

        Raises:
            NoAnswerError: libvirt does not answer in time, or refuses.
        """
        argv = ("virsh", "--quiet", "--connect", "qemu:///system", *arguments)
        try:
            ran = self._machine.run(*argv, stdin=stdin, timeout=seconds, check=False)
        except TimeoutError as error:
            raise NoAnswerError(str(error)) from error
        if ran.code:
            raise NoAnswerError(" ".join(ran.stderr.split()) or f"virsh {arguments[0]} failed")
        return ran.stdout

    @property
    def answers(self) -> str:
        """Why libvirt does not answer; empty if it does."""
        try:
            self.virsh("version", "--daemon")
        except NoAnswerError as error:
            return str(error)
        return ""

    def guests(self) -> list[Guest]:
        """Return all guests that libvirt knows.

        Raises:
            NoAnswerError: It does not answer.
        """
        found: list[Guest] = []
        for line in self.virsh("list", "--all", "--uuid", "--name").splitlines():
            uuid, _, name = line.strip().partition(" ")
            if name:
                state = self.virsh("domstate", uuid).strip()
                found.append(Guest(name=name.strip(), uuid=uuid, state=state))
        return found

    # By its files

    def running(self) -> list[str]:
        """Return the names of the guests whose process is there, be libvirt or not."""
        names = [
            name.removesuffix(".pid") for name in self._machine.list_folder(RUNNING) if name.endswith(".pid")
        ]
        return [name for name in names if self._is_alive(f"{RUNNING}/{name}.pid")]

    def _is_alive(self, path: str) -> bool:
        number = (self._machine.read(path) or "").strip()
        return bool(number) and self._machine.exists(f"/proc/{number}")

    def secrets_in_use(self) -> set[str]:
        """Return the uuids of the secrets with which guests that run have reached Ceph."""
        used: set[str] = set()
        for name in self.running():
            text = self._machine.read(f"{RUNNING}/{name}.xml") or ""
            used |= {*_SECRET.findall(text), *_ALONE.findall(text)}
        return used
