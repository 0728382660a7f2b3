"""Keystone's own programs, and its keys on the disk; all else of the workload is that of every OpenStack API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyset import KINDS
from openinfra_charm.openstack import oslo

if TYPE_CHECKING:
    from keyset import KeySet
    from openinfra_charm.machine import Machine
    from openinfra_charm.openstack.workload import Workload

MANAGE = ("keystone-manage", "--config-file={config}")


class Keystone:
    """What is Keystone's own on this machine."""

    def __init__(self, machine: Machine, workload: Workload) -> None:
        self._machine = machine
        self._workload = workload

    @property
    def socket(self) -> str:
        """Where the API of this machine answers."""
        return self._workload.api.socket

    def write_keys(self, keys: KeySet) -> None:
        """Put a generation of keys on the disk.

        It gets a folder of its own, and a link leads to it when it is whole: Keystone, which reads the keys for each
        request, and a power loss see one generation or the other.
        """
        folder, user = self._workload.lib, self._workload.api.user
        owner = {"user": user, "group": user}
        for kind in KINDS:
            name = f"{kind}-keys-{keys.generation}"
            self._machine.make_folder(f"{folder}/{name}", mode=0o700, **owner)
            for number, key in keys.of(kind).items():
                self._machine.write(f"{folder}/{name}/{number}", key, mode=0o600, **owner)
            self._machine.link(f"{folder}/{kind}-keys", name)
            for other in self._machine.list_folder(folder):
                if other.startswith(f"{kind}-keys-") and other != name:
                    self._machine.remove(f"{folder}/{other}")

    def bootstrap(self, username: str, password: str, *, url: str, region: str) -> None:
        """Make the roles, the project `admin`, the catalogue's entry of Keystone, and a user who may do everything.

        All of that may be there: then only the user's password is set, if it is another.
        """
        urls = (f"--bootstrap-{kind}-url={url}" for kind in ("public", "internal", "admin"))
        self._manage(
            "bootstrap",
            f"--bootstrap-username={username}",
            f"--bootstrap-region-id={region}",
            *urls,
            env={"OS_BOOTSTRAP_PASSWORD": password},
        )

    def migrate_credentials(self) -> None:
        """Encrypt all stored credentials with the key in use."""
        self._manage("credential_migrate")

    def _manage(self, *command: str, env: dict[str, str] | None = None) -> None:
        (words,) = self._workload.commands([(*MANAGE, *command)])
        self._workload.programs.run(*words, env=oslo.PATIENT | (env or {}))
