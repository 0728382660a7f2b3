"""The monitor and the manager of one machine: founding a cluster, joining one, leaving it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import cephx
from admin import CommandRefusedError
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from admin import Admin
    from openinfra_charm.machine import Machine
    from state import State

START_SECONDS = 5
QUORUM_SECONDS = 35
JOIN_PAUSE = "0.05"
"""How long, in seconds, a monitor that is out of quorum pauses at most between its attempts to reach the others."""
MANAGER_CAPS = ["mon", "allow profile mgr", "osd", "allow *", "mds", "allow *"]


def endpoint(address: str) -> str:
    """Return how a monitor at this address is named in `mon_host` and in the monitor map."""
    host = bracketed(address)
    return f"[v2:{host}:3300,v1:{host}:6789]"


class QuorumError(Exception):
    """A monitor cannot go: the others would be no quorum. The message says why, and what helps."""


class Monitor:
    """The monitor and manager that may run on this machine, both named after its host."""

    def __init__(self, machine: Machine, admin: Admin) -> None:
        self._machine = machine
        self._admin = admin
        self.name = machine.hostname()
        self.unit = f"ceph-mon@{self.name}.service"
        self.manager = f"mgr.{self.name}"
        self.manager_unit = f"ceph-mgr@{self.name}.service"
        self._folder = f"/var/lib/ceph/mon/ceph-{self.name}"
        self._socket = f"/run/ceph/ceph-mon.{self.name}.asok"
        self._manager_folder = f"/var/lib/ceph/mgr/ceph-{self.name}"
        self.keyring = f"{self._folder}/keyring"
        self.manager_keyring = f"{self._manager_folder}/keyring"

    @property
    def exists(self) -> bool:
        """Whether this machine holds a complete monitor store."""
        return self._machine.exists(f"{self._folder}/done")

    @property
    def has_manager(self) -> bool:
        """Whether this machine holds a manager's key."""
        return self._machine.exists(self.manager_keyring)

    def prepare(self, state: State, release: str) -> None:
        """Make the monitor's store, of a new cluster or of the one that is there; what is there is left alone.

        Args:
            state: Who founds the cluster, and its identity.
            release: The release's name (`reef`), the least that a new cluster's monitors must have.

        Raises:
            QuorumError: One that an earlier machine of this name had cannot go.
            UnreachableError: The monitors that are there do not answer.
        """
        if self.exists:
            return
        if not state.founds_cluster and self.name in addresses(self._admin):
            # It is that of an earlier machine of this name: one of this machine would have a store.
            forget_monitor(self._admin, self.name)
        # A store without the mark was left by a crash before its monitor ever ran.
        self._machine.remove(self._folder)
        self._machine.make_folder(self._folder, mode=0o750, user="ceph", group="ceph")
        # Programs of root's follow links, so they write where Ceph's user can read and put none.
        scratch = "/run/openinfra/ceph-monitor"
        self._machine.remove(scratch)
        self._machine.make_folder(scratch, mode=0o711)
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
            self._machine.run("ceph", "mon", "getmap", "-o", f"{scratch}/map", timeout=20)
        self._machine.write(f"{scratch}/keys", keys, mode=0o600, user="ceph", group="ceph")
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
        kind = cephx.service_type(self._admin)
        answer = self._admin.command("auth get-or-create", entity=self.manager, caps=MANAGER_CAPS, **kind)
        cephx.write(self._machine, self.manager_keyring, self.manager, answer[0]["key"])

    def keep_key(self, key: str) -> None:
        """Have this machine's monitor keep the key that all monitors share; it is used from the next restart on."""
        if self.exists and cephx.read(self._machine, self.keyring) != key:
            cephx.write(self._machine, self.keyring, "mon.", key, {"mon": "allow *"})

    def wait_for_quorum(self) -> bool:
        """Return whether this machine's monitor, which has started, is in quorum, waiting for it if need be.

        Where a monitor was at this address before, the others turn a new one away until it has tried as often as that
        one had (ceph/ceph pull request 64122). With Ceph's own pauses, of up to 15 s, that can take hours.
        """
        self._machine.wait_until(
            lambda: self._command("config", "set", "ms_max_backoff", JOIN_PAUSE), START_SECONDS
        )
        joined = self._machine.wait_until(self.in_quorum, QUORUM_SECONDS)
        self._command("config", "unset", "ms_max_backoff")
        return joined

    def in_quorum(self) -> bool:
        """Return whether this machine's monitor is in quorum. It says so itself, on its admin socket."""
        try:
            answer = self._machine.exchange(self._socket, b'{"prefix": "mon_status", "format": "json"}\0')
            # Its length comes first (Ceph: src/common/admin_socket.cc, `do_accept`).
            status: dict[str, Any] = json.loads(answer[4:])
        except (OSError, json.JSONDecodeError):
            # One that is starting knows no commands yet, and says so in words.
            return False
        return status.get("state") in {"leader", "peon"}

    def manager_serves(self) -> bool:
        """Return whether this machine's manager is active or a standby.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        known = self._admin.command("mgr dump")
        return self.name in {known["active_name"], *(standby["name"] for standby in known["standbys"])}

    def _command(self, *words: str) -> bool:
        """Give this machine's monitor itself a command; return whether it answered."""
        done = self._machine.run("ceph", "--admin-daemon", self._socket, *words, timeout=10, check=False)
        return done.code == 0

    def remove(self) -> None:
        """Remove the stopped monitor's store and the manager's key."""
        self._machine.remove(self._folder)
        self._machine.remove(self._manager_folder)

    def go_on_alone(self, gone: Iterable[str]) -> None:
        """Make a quorum of this monitor alone if all others were on machines that are gone for good.

        With a quorum, or with other monitors left, nothing is done. The map is changed in the stopped monitor's
        store, as Ceph's documentation says for a cluster that has lost its majority ("Removing monitors from an
        unhealthy cluster").

        Args:
            gone: The names of the machines that are gone.
        """
        if self.in_quorum() or not self.exists:
            return
        # Ceph's user writes the map, a program of root's changes it: in a folder where that user can put no link.
        scratch = "/run/openinfra/ceph-alone"
        self._machine.make_folder(scratch, mode=0o711)
        self._machine.write(f"{scratch}/map", "", user="ceph", group="ceph")
        as_ceph = ("--setuser", "ceph", "--setgroup", "ceph")
        self._machine.run("systemctl", "stop", self.unit)
        try:
            self._machine.run("ceph-mon", "-i", self.name, "--extract-monmap", f"{scratch}/map", *as_ceph)
            shown = self._machine.run("monmaptool", "--print", f"{scratch}/map").stdout
            others = set(re.findall(r"^\d+: .* mon\.(\S+)", shown, re.MULTILINE)) - {self.name}
            if others <= set(gone):
                for name in sorted(others):
                    self._machine.run("monmaptool", "--rm", name, f"{scratch}/map")
                self._machine.run("ceph-mon", "-i", self.name, "--inject-monmap", f"{scratch}/map", *as_ceph)
        finally:
            self._machine.run("systemctl", "start", self.unit)
            self._machine.remove(scratch)
        self.wait_for_quorum()


def addresses(admin: Admin) -> dict[str, str]:
    """Return the addresses of all monitors in the cluster's map, by their names.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    return {
        mon["name"]: mon["public_addrs"]["addrvec"][0]["addr"].rpartition(":")[0].strip("[]")
        for mon in admin.command("mon dump")["mons"]
    }


def why_not_to_remove(admin: Admin, name: str) -> str | None:
    """Return why a monitor must not leave the cluster's map now; None if it is not there, or a quorum remains without it.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    there = addresses(admin).keys()
    if name not in there:
        return None
    if there == {name}:
        return f"{name} has the only monitor"
    try:
        admin.command("mon ok-to-rm", id=name)
    except CommandRefusedError:
        others = [other for other in admin.command("quorum_status")["quorum_names"] if other != name]
        return (
            f"without the monitor of {name}, {len(others)} of {len(there) - 1} would be in quorum, which is too few: "
            "start the machines that are down first, see get-quorum-status"
        )
    return None


def forget_monitor(admin: Admin, name: str) -> None:
    """Take a machine's monitor and its manager's key out of the cluster.

    Raises:
        QuorumError: The others would be no quorum; nothing was removed.
        UnreachableError: The monitors do not answer; nothing was removed.
    """
    if why := why_not_to_remove(admin, name):
        raise QuorumError(why)
    if name in addresses(admin):
        admin.command("mon remove", name=name)
    admin.command("auth rm", entity=f"mgr.{name}")
