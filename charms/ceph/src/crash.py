"""Crash reports: ceph-crash sends those of this machine's daemons to the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cephx
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service

if TYPE_CHECKING:
    from admin import Admin
    from openinfra_charm.machine import Machine

USER = "client.crash"
KEYRING = "/etc/ceph/ceph.client.crash.keyring"
UNIT = "ceph-crash.service"
DROP_IN = "/etc/systemd/system/ceph-crash.service.d/openinfra.conf"
_PROGRAM = "/usr/lib/openinfra/ceph-crash"
_FILES = Path(__file__).parent / "files"


class Crash:
    """ceph-crash on one machine. It runs another program than the packaged one."""

    paths = (KEYRING, _PROGRAM, DROP_IN)
    """What is written for it."""

    def __init__(self, machine: Machine, admin: Admin) -> None:
        self._machine = machine
        self._admin = admin

    def files(self) -> list[File]:
        """Return what it runs."""
        program, drop_in = (_FILES / name for name in ("ceph-crash", "ceph-crash.conf"))
        return [
            File(path=_PROGRAM, content=program.read_text(encoding="utf-8"), mode=0o755),
            File(path=DROP_IN, content=drop_in.read_text(encoding="utf-8")),
        ]

    @property
    def service(self) -> Service:
        """What is restarted when its program has changed."""
        return Service(unit=UNIT, inputs=(self._machine.read(_PROGRAM) or "",))

    @property
    def key(self) -> str:
        """Its key on this machine; empty where there is none."""
        return cephx.read(self._machine, KEYRING)

    def enable(self) -> None:
        """Let it report; its key is made once.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if not self._machine.exists(KEYRING):
            self.fetch_key()

    def fetch_key(self) -> None:
        """Write its key, which all machines share, as the cluster has it.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        caps = ["mon", "profile crash", "mgr", "profile crash"]
        key = self._admin.command("auth get-or-create", entity=USER, caps=caps)[0]["key"]
        if key != self.key:
            cephx.write(self._machine, KEYRING, USER, key)
