"""The monitor and the manager of one machine: founding a cluster, joining one, leaving it."""

from __future__ import annotations

import base64
import os
import re
import struct
import time
from typing import TYPE_CHECKING

from admin import UnreachableError
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from admin import Admin
    from openinfra_charm.machine import Machine
    from state import State

START_SECONDS = 5
QUORUM_SECONDS = 35
JOIN_PAUSE = "0.05"
"""How long, in seconds, a monitor that is out of quorum pauses at most between its attempts to reach the others."""
MANAGER_CAPS = ["mon", "allow profile mgr", "osd", "allow *", "mds", "allow *"]


def new_key() -> str:
    """Return a new cephx key: type 1 (AES), time of creation, length, 16 random bytes (Ceph: src/auth/Crypto.cc)."""
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()


def endpoint(address: str) -> str:
    """Return how a monitor at this address is named in `mon_host` and in the monitor map."""
    host = bracketed(address)
    return f"[v2:{host}:3300,v1:{host}:6789]"


class Monitor:
    """The monitor and manager that may run on this machine, both named after its host."""

    def __init__(self, machine: Machine, admin: Admin) -> None:
        self._machine = machine
        self._admin = admin
        self.name = machine.hostname()
        self.unit = f"ceph-mon@{self.name}.service"
        self.manager_unit = f"ceph-mgr@{self.name}.service"
        self._folder = f"/var/lib/ceph/mon/ceph-{self.name}"
        self._socket = f"/run/ceph/ceph-mon.{self.name}.asok"
        self._manager_folder = f"/var/lib/ceph/mgr/ceph-{self.name}"

    @property
    def exists(self) -> bool:
        """Whether this machine holds a complete monitor store."""
        return self._machine.exists(f"{self._folder}/done")

    @property
    def has_manager(self) -> bool:
        """Whether this machine holds a manager's key."""
        return self._machine.exists(f"{self._manager_folder}/keyring")

    def prepare(self, state: State, release: str) -> None:
        """Make the monitor's store, of a new cluster or of the one that is there; what is there is left alone.

        Args:
            state: Who founds the cluster, and its identity.
            release: The release's name (`reef`), the least that a new cluster's monitors must have.

        Raises:
            UnreachableError: The monitors that are there do not answer.
        """
        if self.exists:
            return
        # A store without the mark was left by a crash before its monitor ever ran.
        self._machine.remove(self._folder)
        self._machine.make_folder(self._folder, mode=0o750, user="ceph", group="ceph")
        scratch = "/var/lib/ceph/openinfra/found"
        self._machine.remove(scratch)
        self._machine.make_folder(scratch, mode=0o700, user="ceph", group="ceph")
        keys = f'[mon.]\n\tkey = {state.identity.monitor_key}\n\tcaps mon = "allow *"\n'
        if state.founds_cluster:
            keys += f"[client.admin]\n\tkey = {state.identity.admin_key}\n"
            keys += "".join(f'\tcaps {part} = "allow *"\n' for part in ("mon", "osd", "mds", "mgr"))
            self._machine.run(
                "monmaptool", "--create", "--clobber", "--fsid", state.identity.fsid,
                "--addv", self.name, endpoint(state.member.public_address),
                "--enable-all-features", "--set-min-mon-release", release, f"{scratch}/map",
            )  # fmt: skip
        else:
            self._admin.command("quorum_status")
            self._machine.run("ceph", "mon", "getmap", "-o", f"{scratch}/map", timeout=20)
        self._machine.write(f"{scratch}/keys", keys, mode=0o600, user="ceph", group="ceph")
        self._machine.run("chown", "-R", "ceph:ceph", scratch)
        self._machine.run(
            "ceph-mon", "--mkfs", "-i", self.name, "--monmap", f"{scratch}/map", "--keyring", f"{scratch}/keys",
            "--setuser", "ceph", "--setgroup", "ceph",
        )  # fmt: skip
        self._machine.remove(scratch)
        self._machine.write(f"{self._folder}/done", "", user="ceph", group="ceph")

    def prepare_manager(self) -> None:
        """Make the manager's key; one that is there is left alone.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if self.has_manager:
            return
        self._machine.make_folder(self._manager_folder, mode=0o750, user="ceph", group="ceph")
        entity = f"mgr.{self.name}"
        answer = self._admin.command("auth get-or-create", entity=entity, caps=MANAGER_CAPS)
        text = f"[{entity}]\n\tkey = {answer[0]['key']}\n"
        self._machine.write(f"{self._manager_folder}/keyring", text, mode=0o600, user="ceph", group="ceph")

    def wait_for_quorum(self) -> bool:
        """Return whether this machine's monitor, which has started, is in quorum, waiting for it if need be.

        Where a monitor was at this address before, the others turn a new one away until it has tried as often as that
        one had (ceph/ceph pull request 64122). With Ceph's own pauses, of up to 15 s, that can take hours.
        """
        self._machine.wait_until(
            lambda: self._tell("config", "set", "ms_max_backoff", JOIN_PAUSE), START_SECONDS
        )
        joined = self._machine.wait_until(self.in_quorum, QUORUM_SECONDS)
        self._tell("config", "unset", "ms_max_backoff")
        return joined

    def in_quorum(self) -> bool:
        """Return whether this machine's monitor is in quorum."""
        try:
            return self.name in self._admin.command("quorum_status")["quorum_names"]
        except UnreachableError:
            return False

    def _tell(self, *words: str) -> bool:
        """Give this machine's monitor itself a command; return whether it answered."""
        told = self._machine.run("ceph", "--admin-daemon", self._socket, *words, timeout=10, check=False)
        return told.code == 0

    def remove(self) -> None:
        """Remove the stopped monitor's store and the manager's key."""
        self._machine.remove(self._folder)
        self._machine.remove(self._manager_folder)

    def outlive(self, hosts: list[str]) -> None:
        """Make a quorum of this monitor alone if all others were on machines that are gone for good.

        With a quorum, or with other monitors left, nothing is done. The map is changed in the stopped monitor's
        store, as Ceph's documentation says for a cluster that has lost its majority ("Removing monitors from an
        unhealthy cluster").
        """
        if self.in_quorum() or not self.exists:
            return
        scratch = "/var/lib/ceph/openinfra/outlive"
        self._machine.make_folder(scratch, mode=0o700, user="ceph", group="ceph")
        as_ceph = ("--setuser", "ceph", "--setgroup", "ceph")
        self._machine.run("systemctl", "stop", self.unit)
        try:
            self._machine.run("ceph-mon", "-i", self.name, "--extract-monmap", f"{scratch}/map", *as_ceph)
            shown = self._machine.run("monmaptool", "--print", f"{scratch}/map").stdout
            names = set(re.findall(r"^\d+: .* mon\.(\S+)", shown, re.MULTILINE))
            if names - set(hosts) == {self.name}:
                for host in sorted(names & set(hosts)):
                    self._machine.run("monmaptool", "--rm", host, f"{scratch}/map")
                self._machine.run("ceph-mon", "-i", self.name, "--inject-monmap", f"{scratch}/map", *as_ceph)
        finally:
            self._machine.run("systemctl", "start", self.unit)
            self._machine.remove(scratch)
        self.wait_for_quorum()


def forget_host(admin: Admin, host: str) -> None:
    """Take a host's monitor and the keys of its daemons out of the cluster.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    if host in {mon["name"] for mon in admin.command("mon dump")["mons"]}:
        admin.command("mon remove", name=host)
    admin.command("auth rm", entity=f"mgr.{host}")
