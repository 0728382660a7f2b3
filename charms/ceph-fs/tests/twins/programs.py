"""A twin of Ceph's metadata server: the program ceph as its charm calls it, and the daemon, on machines that share a file system.

Played: which server serves and which stand by; volumes with sizes, limits and users; keys, and whose they are.

Left out: the Ceph cluster behind it (`reaches` says whether it answers; a key in the keyring lets everybody in), what the
monitors do to make the file system, files, clients, ranks beyond what `active` says, and standby-replay.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import Result
from openinfra_charm.testing import Software

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

MISSING, NOT_PERMITTED = 2, 1


@dataclass
class Volume:
    """A subvolume: bytes in it, the most that may be, None without a limit; users and what they may do."""

    used: int = 0
    limit: int | None = None
    isolated: bool = False
    users: dict[str, str] = field(default_factory=dict)


@dataclass
class Filesystem:
    """What the servers of one application share."""

    name: str = "ceph-fs"
    active: int = 1
    volumes: dict[str, Volume] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """The keys of those users that were made here, by user."""
    others: set[str] = field(default_factory=lambda: {"admin"})
    """Users that were made elsewhere."""
    reaches: bool = True
    servers: list[MdsSoftware] = field(default_factory=list)
    made: int = 0

    def states(self) -> dict[str, str]:
        """Return the state of each server that runs, by its host."""
        running = [server for server in self.servers if server.serves]
        return {
            server.machine.name: "up:active" if place < self.active else "up:standby"
            for place, server in enumerate(running)
        }


class MdsSoftware(Software):
    """The server's programs and daemon on one machine. `options` are those that the daemon runs with."""

    def __init__(self, filesystem: Filesystem, machine: MemoryMachine, address: str) -> None:
        super().__init__()
        self.filesystem = filesystem
        self.machine = machine
        self.address = address
        self.unit = f"ceph-mds@{machine.name}.service"
        self.options: dict[str, str] = {}
        self._starts = 0
        self.programs = {"/usr/bin/ceph": self._ceph}
        filesystem.servers.append(self)

    def version_of(self, package: str) -> str | None:
        """Return the version that Debian 13 has."""
        return "18.2.7+ds-1" if package in {"ceph-common", "ceph-mds"} else None

    @property
    def serves(self) -> bool:
        """Whether the daemon runs."""
        return self.machine.powered and self.machine.serves(self.unit)

    def can_run(self, unit: str) -> bool:
        """Return whether the daemon has its key, and an address that the machine has."""
        if unit != self.unit:
            return True
        options = self.configured()
        has_key = "key = " in (self.machine.read(options.get("keyring", "")) or "")
        return has_key and options.get("public_addr") == self.address

    def services_changed(self) -> None:
        """Take the configuration up when the daemon has been started anew."""
        if self.machine.starts.get(self.unit, 0) != self._starts:
            self._starts = self.machine.starts[self.unit]
            self.options = self.configured()

    def configured(self) -> dict[str, str]:
        """Return the options that the daemon would start with."""
        drop_in = self.machine.read("/etc/systemd/system/ceph-mds@.service.d/openinfra.conf") or ""
        found = re.search(r"-c (\S+) --id", drop_in)
        text = self.machine.read(found[1]) if found else None
        pairs = (line.partition(" = ") for line in (text or "").splitlines() if not line.startswith("#"))
        # The daemon learns of other monitors from the cluster.
        return {key: value for key, sign, value in pairs if sign and key != "mon_host"}

    # The program ceph

    def _ceph(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        assert argv[1] == "-c"
        assert argv[4] == f"mds.{self.machine.name}"
        if not self.filesystem.reaches or not self.machine.read(argv[2]):
            return _failed(1, "[errno 110] RADOS timed out (error connecting to the cluster)")
        words = list(argv[9:])
        options = {}
        for option in [word for word in words if word.startswith("--")]:
            place = words.index(option)
            options[option] = "" if option == "--namespace-isolated" else words.pop(place + 1)
            words.remove(option)
        if words[:2] == ["fs", "dump"]:
            answer = self._dump()
        else:
            assert words[:2] == ["fs", "subvolume"]
            assert words[3] == self.filesystem.name
            answer = getattr(self, f"_do_{words[2]}")(
                *words[4:], **{k[2:].replace("-", "_"): v for k, v in options.items()}
            )
        if isinstance(answer, Result):
            return answer
        text = answer if isinstance(answer, str) else "" if answer is None else json.dumps(answer)
        return Result(code=0, stdout=f"\n{text}", stderr="")

    def _dump(self) -> Any:
        states = self.filesystem.states()
        info = {
            f"gid_{number}": {"name": name, "state": state}
            for number, (name, state) in enumerate(states.items())
            if state == "up:active"
        }
        standbys = [{"name": name, "state": state} for name, state in states.items() if state != "up:active"]
        mdsmap = {"fs_name": self.filesystem.name, "info": info}
        return {"filesystems": [{"mdsmap": mdsmap}], "standbys": standbys}

    def _do_ls(self) -> Any:
        return [{"name": name} for name in self.filesystem.volumes]

    def _do_info(self, name: str) -> Any:
        volume = self.filesystem.volumes.get(name)
        if volume is None:
            return _failed(MISSING, f"Error ENOENT: subvolume '{name}' does not exist")
        limit = "infinite" if volume.limit is None else volume.limit
        return {
            "path": f"/volumes/_nogroup/{name}/some-uuid",
            "bytes_used": volume.used,
            "bytes_quota": limit,
        }

    def _do_create(self, name: str, size: str = "", namespace_isolated: str | None = None) -> None:
        limit = int(size) if size else None
        isolated = namespace_isolated is not None
        self.filesystem.volumes.setdefault(name, Volume(limit=limit, isolated=isolated))

    def _do_resize(self, name: str, size: str) -> Any:
        self.filesystem.volumes[name].limit = None if size == "infinite" else int(size)
        return [{"bytes_used": 0}]

    def _do_rm(self, name: str) -> None:
        del self.filesystem.volumes[name]

    def _do_authorize(self, name: str, user: str, access_level: str, tenant_id: str) -> Any:
        assert tenant_id == self.filesystem.name
        if user in self.filesystem.others:
            return _failed(
                NOT_PERMITTED,
                f"Error EPERM: auth ID: {user} exists and not created by mgr plugin. Not allowed",
            )
        if user not in self.filesystem.keys:
            self.filesystem.made += 1
            self.filesystem.keys[user] = f"twin-volume-key-{self.filesystem.made}"
        self.filesystem.volumes[name].users[user] = access_level
        return self.filesystem.keys[user]

    def _do_authorized_list(self, name: str) -> Any:
        return [{user: access} for user, access in self.filesystem.volumes[name].users.items()]

    def _do_evict(self, name: str, user: str) -> None:
        assert user in self.filesystem.volumes[name].users

    def _do_deauthorize(self, name: str, user: str) -> None:
        del self.filesystem.volumes[name].users[user]
        if not any(user in volume.users for volume in self.filesystem.volumes.values()):
            del self.filesystem.keys[user]


def _failed(code: int, words: str) -> Result:
    return Result(code=code, stdout="", stderr=f"{words}\n")
