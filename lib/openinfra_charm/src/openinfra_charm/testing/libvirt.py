"""A twin of libvirt on one machine: its daemon, its guests with their files, and the secrets that it keeps.

Played: guests run on without the daemon, and end with the machine's power; a start of the machine clears the daemon's files of them; the
daemon does not start without its certificate. Left out: the guests' own work, and networks.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.testing.twin import Software

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_charm.testing.machine import MemoryMachine

UNIT, TLS_SOCKET = "libvirtd.service", "libvirtd-tls.socket"
RUNNING, SECRETS = "/run/libvirt/qemu", "/etc/libvirt/secrets"
_OK = Result(code=0, stdout="", stderr="")


class LibvirtSoftware(Software):
    """libvirt; `guests` has the secret's uuid of each guest that runs, by name, `refused` what it says if it does not answer."""

    def __init__(self, machine: MemoryMachine) -> None:
        super().__init__()
        self.machine = machine
        self.guests: dict[str, str] = {}
        self.stopped: set[str] = set()
        self.refused = ""
        self.served = ""
        self.reloaded_consoles: list[str] = []
        self._boots = machine.boots
        self._starts = 0
        self.programs = {"virsh": self._virsh, "virt-admin": self._admin}
        self._commands: dict[str, Callable[..., Result | str]] = {
            "version": lambda *_: "Compiled against library: libvirt 11.3.0\n",
            "list": self._list,
            "domstate": self._state,
            "qemu-monitor-command": self._monitor,
            "secret-define": self._define,
            "secret-set-value": self._set_value,
            "secret-undefine": self._undefine,
        }

    def run_guest(self, name: str, secret: str = "") -> None:
        """Have a guest run."""
        self.guests[name] = secret
        number = str(1000 + len(self.guests))
        self.machine.have(f"/proc/{number}/stat", "")
        self.machine.have(f"{RUNNING}/{name}.pid", number)
        self.machine.have(f"{RUNNING}/{name}.xml", f"<auth><secret type='ceph' uuid='{secret}'/></auth>")

    def end_guest(self, name: str) -> None:
        """Have a guest shut down."""
        self.guests.pop(name, None)
        for end in ("pid", "xml"):
            self.machine.lose(f"{RUNNING}/{name}.{end}")

    @property
    def serves(self) -> bool:
        """Whether the daemon answers."""
        return self.machine.powered and self.machine.serves(UNIT) and not self.refused

    def can_run(self, unit: str) -> bool:
        """Return whether the daemon has its certificate, and its socket for other hosts no daemon yet that runs."""
        if unit == TLS_SOCKET:
            return not self.machine.serves(UNIT)
        return unit != UNIT or bool(self._chain)

    @property
    def _chain(self) -> str:
        config = self.machine.read("/etc/libvirt/libvirtd.conf") or ""
        named = re.search(r'^cert_file = "(.+)"$', config, re.MULTILINE)
        return (self.machine.read(named[1]) or "") if named else ""

    def started(self) -> None:
        """Lose all guests when the machine starts anew."""
        for name in list(self.guests) if self.machine.boots != self._boots else ():
            self.stopped.add(name)
            self.end_guest(name)
        self._boots = self.machine.boots

    def services_changed(self) -> None:
        """Read the certificate when the daemon has been started anew."""
        if self.machine.starts.get(UNIT, 0) != self._starts:
            self._starts = self.machine.starts[UNIT]
            self.served = self._chain

    def _admin(self, _argv: tuple[str, ...], _stdin: str | None) -> Result:
        if not self.serves:
            return Result(code=1, stdout="", stderr="error: Failed to connect to the admin server")
        self.served = self._chain
        return _OK

    def _virsh(self, argv: tuple[str, ...], _stdin: str | None) -> Result | str:
        if not self.serves:
            said = self.refused or "Failed to connect socket to '/var/run/libvirt/libvirt-sock'"
            return Result(code=1, stdout="", stderr=f"error: {said}")
        command, *words = argv[4:]
        return self._commands[command](*words)

    def _list(self, *_options: str) -> str:
        names = [*self.guests, *sorted(self.stopped - self.guests.keys())]
        return "".join(f"{_uuid(name)} {name}\n" for name in names)

    def _state(self, uuid: str) -> str:
        return "running\n" if uuid in {_uuid(name) for name in self.guests} else "shut off\n"

    def _monitor(self, name: str, _command: str) -> str:
        self.reloaded_consoles.append(name)
        return '{"return":{}}\n'

    def _undefine(self, uuid: str) -> str:
        for end in ("xml", "base64"):
            self.machine.remove(f"{SECRETS}/{uuid}.{end}")
        return ""

    def _define(self, path: str) -> Result | str:
        text = self.machine.read(path) or ""
        named = re.search(r"<uuid>([0-9a-f-]{36})</uuid>", text)
        if named is None:
            return Result(code=1, stdout="", stderr="error: Failed to set attributes from the file")
        self.machine.write(f"{SECRETS}/{named[1]}.xml", text, mode=0o600)
        return f"Secret {named[1]} created\n"

    def _set_value(self, uuid: str, option: str, path: str) -> Result | str:
        if option != "--file" or not self.machine.exists(f"{SECRETS}/{uuid}.xml"):
            return Result(code=1, stdout="", stderr="error: failed to get secret")
        value = (self.machine.read(path) or "").strip()
        base64.b64decode(value, validate=True)
        self.machine.write(f"{SECRETS}/{uuid}.base64", value, mode=0o600)
        return "Secret value set\n"


def _uuid(name: str) -> str:
    return f"00000000-0000-4000-8000-{sum(name.encode()):012d}"
