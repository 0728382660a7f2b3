"""A software twin of Ceph: monitors, OSDs and their data as far as the charm can tell them from the real ones.

Played: the bootstrap of monitors from their stores and maps, quorum by majority, joining and removal; keys with
pending ones, of the types that versions know and a cluster allows; file systems, as far as the monitors know them; OSDs from `osd new` over `--mkfs` to their purge, with what the monitors refuse; placement of pools'
groups on failure domains, their copies, and recovery while time passes; whether OSDs may stop or be destroyed; the
commands that only a manager answers; the version that each daemon runs from its start on, and what the cluster requires.

Left out: the network between machines (each running daemon reaches all others), elections and clocks (a majority
that runs agrees at once), capabilities, placement by Ceph's own hash (groups go where a simpler hash puts them),
erasure coding, objects (a pool has bytes and groups, no content), full OSDs, and OSDs that
are marked out because they were down for long.
"""

from __future__ import annotations

import base64
import errno
import json
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from programs import CephSoftware

CONFIG = "/etc/ceph/ceph.conf"
LABEL = b"bluestore block device\n"
NO_UUID = "00000000-0000-0000-0000-000000000000"
"""That of a destroyed OSD, whose number waits for another one."""
PASSED_ON = frozenset({"osd df", "osd safe-to-destroy", "osd ok-to-stop", "pg dump"})
"""Commands that the monitors pass on to the active manager."""
WANTED = 3
"""How many monitors there are wherever there are machines for them."""
RELEASES = {"18": "reef", "19": "squid", "20": "tentacle"}
AES, AES256K = "aes", "aes256k"
KINDS = {AES: (1, 16), AES256K: (2, 32)}
"""Types of keys: their numbers, and the bytes of a secret."""
KNOW_AES256K = {"19": "19.2.6", "20": "20.2.4"}
"""From which version of a release on keys of the newer type are known."""
MANAGERS = PASSED_ON | {"osd purge"}
"""Commands that the active manager takes from clients itself (Ceph: src/mgr/MgrCommands.h)."""


class RadosError(Exception):
    """As those of `rados` that have a number."""

    def __init__(self, message: str, errno: int) -> None:
        super().__init__(f"[errno {errno}] {message}")
        self.errno = errno


def knows_aes256k(version: str) -> bool:
    """Return whether a version of Ceph knows keys of the newer type."""
    first = KNOW_AES256K.get(version.partition(".")[0], "")
    return bool(first) and [int(part) for part in version.split(".")] >= [int(p) for p in first.split(".")]


def make_key(serial: int, kind: str) -> str:
    """Return a key like Ceph's; its time of creation is a serial number."""
    number, length = KINDS[kind]
    return base64.b64encode(struct.pack("<HIIH", number, serial, 0, length) + bytes(length)).decode()


def kind_of(key: str) -> str:
    """Return the type of a key."""
    return AES256K if key.startswith("Ag") else AES


class Refused(Exception):  # noqa: N818  it is the monitors' answer
    """A command that the monitors refuse, with the errno."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass
class Auth:
    """A Ceph user's key, the one that will take its place, and its capabilities."""

    key: str
    caps: list[str] = field(default_factory=list)
    pending: str = ""


@dataclass
class Osd:
    """An OSD as the monitors know it. `weight` is in TiB, as CRUSH counts."""

    number: int
    uuid: str
    host: str = ""
    weight: float = 0
    up: bool = False
    inside: bool = True
    destroyed: bool = False
    noup: bool = False
    device_class: str = "hdd"
    version: str = ""


@dataclass
class Rule:
    """A CRUSH rule: copies go to different domains of a kind, on OSDs of a class or (empty) all."""

    number: int
    name: str
    kind: str
    device_class: str = ""


@dataclass
class Filesystem:
    """A file system on two pools, and how many metadata servers serve it."""

    name: str
    metadata: str
    data: str
    active: int = 1
    standby_replay: bool = False


@dataclass
class Pool:
    """A replicated pool; `groups` holds, for each placement group, the OSDs with a whole copy."""

    number: int
    name: str
    size: int
    min_size: int
    rule: int
    groups: list[set[int]]
    applications: list[str] = field(default_factory=list)
    stored: int = 0


class Cluster:
    """One Ceph cluster, shared by the machines that run its daemons.

    What tests turn: `stuck` names monitors that never get into quorum, `recovers` whether data move at all,
    `checks` are health checks to show, and `errors` those of them that are errors. What tests read: `founders`, the monitors that began a cluster (more than
    one would be two clusters), `lost`, the groups whose last copy went with an OSD, `hasty`, the groups that had too
    few copies elsewhere when an OSD was purged with one, `overwritten`, the OSDs whose devices were erased while the
    cluster had them, `careless`, what was done to monitors that could have cost the quorum, a sentence each, and `disorder`,
    daemons that ran a new version before those that have to come first. `given_up` are the stores of monitors that others may
    remove while they are in quorum: their units were removed by force. `eager`
    names monitors that try without long pauses: another
    one at an address where there was one before does not get in within a test's time.
    """

    def __init__(self) -> None:
        self.members: list[CephSoftware] = []
        self.monitors: dict[str, str] = {}
        self.founders: list[str] = []
        self.stuck: set[str] = set()
        self.auth: dict[str, Auth] = {}
        self.osds: dict[int, Osd] = {}
        self.rules: list[Rule] = []
        self.pools: list[Pool] = []
        self.filesystems: list[Filesystem] = []
        self.config: dict[tuple[str, str], str] = {}
        self.records: dict[str, str] = {}
        self.flags: set[str] = set()
        self.host_flags: dict[str, list[str]] = {}
        self.checks: dict[str, str] = {}
        self.errors: set[str] = set()
        self.recovers = True
        self.lost: list[str] = []
        self.hasty: list[str] = []
        self.overwritten: list[str] = []
        self.careless: list[str] = []
        self.disorder: list[str] = []
        self.required = ""
        self.ciphers: dict[str, Any] = {}
        self.has_monitors_key = False
        self.metadata_servers: dict[str, str] = {}
        self.asked_for: set[str] | None = None
        self.unasked: list[str] = []
        self.given_up: set[str] = set()
        self.commands: list[str] = []
        self.fsid = ""
        self._joined: set[str] = set()
        self._stores: dict[str, str] = {}
        self._may_go: tuple[str, frozenset[str]] | None = None
        self._dropped: set[str] = set()
        self._left: set[str] = set()
        self.eager: set[str] = set()
        self._hosts_once: set[str] = set()
        self._keys = 0
        self._sender = ""
        self._failed: list[str] = []

    # Daemons

    def tick(self) -> None:
        """Let daemons notice which of them run: monitors form or join the quorum, OSDs come up or go down."""
        stores = self._running_stores()
        self.eager &= stores.keys()
        self._found(stores)
        for name, store in stores.items():
            joins = store["id"] not in self._joined and name not in self.monitors and name not in self.stuck
            waits = name in self._left - self.eager
            is_one_of_us = store["fsid"] == self.fsid and store["key"] == self.auth["mon."].key
            if joins and not waits and self.quorum and is_one_of_us:
                self.monitors[name] = store["address"]
                self._stores[name] = store["id"]
                self._joined.add(store["id"])
        self._take_pending_keys()
        running = {osd.number: machine for machine in self._hosts for osd in self._bootable(machine)}
        for osd in self.osds.values():
            osd.up = bool(self.quorum) and osd.number in running and (osd.up or not osd.noup)
            if osd.up and not osd.host:
                machine = running[osd.number]
                osd.host = machine.name
                osd.weight = osd.weight or machine.osd_disk(osd.number).size / (1 << 40)
            if osd.up:
                osd.version = running[osd.number].running_version(f"ceph-osd@{osd.number}")
        if self.has_manager and self.osds and not any(pool.name == ".mgr" for pool in self.pools):
            self._add_pool(".mgr", groups=1)
        for pool in self.pools:
            for index, holders in enumerate(pool.groups):
                if not holders:
                    holders.update(self._live(self._placed(pool, index)))
        self._check_order()

    def _take_pending_keys(self) -> None:
        """Have keys of the newer type known once all monitors know them, and the keys taken that daemons have started with."""
        if not self.quorum:
            return
        if not self.ciphers and self._all_know:
            self.ciphers = {"allowed": [AES, AES256K], "preferred": AES, "service": AES}
        for machine in self._hosts:
            for entity, key in machine.shown_keys():
                self.admits(entity, key)

    def recover(self) -> None:
        """Let data move to where they belong, as far as OSDs are up."""
        for pool in self.pools if self.recovers else ():
            for index, holders in enumerate(pool.groups):
                target = self._placed(pool, index)
                if self._live(holders):
                    holders.update(self._live(target))
                if len(target) == pool.size and self._live(target) == set(target):
                    holders.intersection_update(target)

    @property
    def quorum(self) -> list[str]:
        """The monitors that agree; none without a majority."""
        running = self._running_stores()
        # Another store under a name that the map has is a stranger: it would have to be at the same address.
        known = (name for name in self.monitors if name in running and name not in self.stuck)
        names = sorted(name for name in known if running[name]["id"] == self._stores[name])
        return names if 2 * len(names) > len(self.monitors) else []

    @property
    def has_manager(self) -> bool:
        """Whether a manager serves: its key is known and its service runs."""
        return bool(self.quorum) and bool(self.managers)

    @property
    def managers(self) -> dict[str, str]:
        """The managers that run, with their versions; the active one is the first."""
        found = [
            machine.name
            for machine in self._hosts
            if machine.runs(f"ceph-mgr@{machine.name}")
            and self._lets_in(f"mgr.{machine.name}", machine.started_key(f"mgr.{machine.name}"))
        ]
        found.sort(key=lambda name: (self._failed.count(name), name))
        return {name: self._version(f"ceph-mgr@{name}") for name in found}

    def _version(self, daemon: str) -> str:
        """Return the version that a monitor or a manager runs, or ran last."""
        name = daemon.partition("@")[2]
        return next((m.running_version(daemon) for m in self._hosts if m.name == name), "")

    @property
    def versions(self) -> dict[str, dict[str, str]]:
        """The versions of all daemons by kind and name, as far as the cluster has them."""
        osds = {str(osd.number): osd.version for osd in self.osds.values() if osd.version}
        return {
            "mon": {name: self._version(f"ceph-mon@{name}") for name in self.monitors},
            "mgr": self.managers,
            "osd": osds,
        }

    def _check_order(self) -> None:
        """Note daemons that run a newer release than those of a kind that is upgraded before theirs.

        Only those that were restarted while they ran: one that was down runs what is installed when it starts.
        """
        exchanged = {
            f"{machine.name} {unit}" for machine in self._hosts for unit in machine.machine.exchanged
        }
        least: list[tuple[str, tuple[int, ...]]] = []
        for kind, daemons in self.versions.items():
            numbers = {
                name: tuple(map(int, version.split("."))) for name, version in daemons.items() if version
            }
            for name, version in numbers.items():
                for earlier, oldest in least:
                    host = self.osds[int(name)].host if kind == "osd" else name
                    if version > oldest and f"{host} ceph-{kind}@{name}.service" in exchanged:
                        sentence = f"{kind}.{name} runs {version}, and a {earlier} still {oldest}"
                        self.disorder += [sentence] if sentence not in self.disorder else []
            if numbers:
                least.append((kind, min(numbers.values())))

    def _running_stores(self) -> dict[str, dict[str, Any]]:
        stores = {
            machine.name: machine.monitor_store()
            for machine in self._hosts
            if machine.runs(f"ceph-mon@{machine.name}")
        }
        return {name: store for name, store in stores.items() if store}

    @property
    def _hosts(self) -> list[CephSoftware]:
        """The machines that have had a daemon, which among hundreds are few."""
        return [machine for machine in self.members if machine.has_daemons]

    def _found(self, stores: dict[str, dict[str, Any]]) -> None:
        """Begin the cluster with a monitor whose map names nobody else; a second one begins one of its own."""
        for name, store in stores.items():
            alone = store["monitors"] == {name: store["address"]} and store["id"] not in self._joined
            if alone and name not in self.stuck:
                self._joined.add(store["id"])
                if self.monitors and self._is_gone():
                    self.founders, self.osds, self.pools, self.filesystems = [], {}, [], []
                    self.monitors = {}
                self.founders.append(name)
                if self.monitors:
                    continue
                self.monitors, self._stores = {name: store["address"]}, {name: store["id"]}
                self.fsid = store["fsid"]
                self.ciphers, self.has_monitors_key = store["ciphers"], False
                self.auth = {"mon.": Auth(key=store["key"]), "client.admin": Auth(key=store["admin-key"])}
                self.rules = [Rule(number=0, name="replicated_rule", kind=store["domain"])]
                self.required = RELEASES[self._version(f"ceph-mon@{name}").partition(".")[0]]

    def _is_gone(self) -> bool:
        """Return whether all monitors were on machines that will never come back."""
        stores = {store["id"] for m in self._hosts if not m.machine.scrapped and (store := m.monitor_store())}
        return not stores & set(self._stores.values())

    def _bootable(self, machine: CephSoftware) -> list[Osd]:
        """Return the OSDs that run on a machine, with the right key and the right device."""
        found = [self.osds[number] for number in machine.running_osds() if number in self.osds]
        return [
            osd
            for osd in found
            if not osd.destroyed
            and machine.has_media(osd.number, osd.uuid)
            and self._lets_in(f"osd.{osd.number}", machine.started_key(f"osd.{osd.number}"))
        ]  # fmt: skip

    # Placement

    def _placed(self, pool: Pool, index: int) -> list[int]:
        """Return where CRUSH wants a group's copies."""
        return self.place(pool.rule, pool.size, pool.number, index)

    def place(self, rule: int, size: int, pool: int, index: int) -> list[int]:
        """Return the OSDs for a group: different domains, in an order that only the names decide."""
        found = next(known for known in self.rules if known.number == rule)
        kind, classes = found.kind, {found.device_class or None}
        there = [osd for osd in self.osds.values() if osd.weight and osd.inside and osd.host]
        usable = [osd for osd in there if not osd.destroyed and classes & {None, osd.device_class}]
        usable.sort(key=lambda osd: zlib.crc32(f"{pool}.{index} {osd.number}".encode()))
        chosen: dict[Any, int] = {}
        for osd in usable:
            chosen.setdefault(osd.number if kind == "osd" else osd.host, osd.number)
        return list(chosen.values())[:size]

    def _live(self, numbers: Any) -> set[int]:
        return {number for number in numbers if number in self.osds and self.osds[number].up}

    def _state(self, pool: Pool, index: int) -> str:
        live, target = self._live(pool.groups[index]), set(self._placed(pool, index))
        if not live:
            return "stale+down" if pool.groups[index] else "unknown"
        if len(live) < pool.min_size:
            return "undersized+degraded+peered"
        if live >= target and len(target) == pool.size:
            return "active+clean"
        return "active+remapped+backfilling" if len(live) >= pool.size else "active+undersized+degraded"

    def why_not_served(self, name: str) -> str:
        """Return why clients cannot use a pool; empty if they can."""
        pool = next((known for known in self.pools if known.name == name), None)
        if pool is None:
            return f"there is no pool {name}"
        states = (self._state(pool, index) for index in range(len(pool.groups)))
        down = [state for state in states if not state.startswith("active")]
        return f"{len(down)} groups of pool {name} are {down[0]}" if down else ""

    def states(self) -> dict[str, int]:
        """Return how many groups are in each state."""
        found = [self._state(pool, index) for pool in self.pools for index in range(len(pool.groups))]
        return {state: found.count(state) for state in sorted(set(found))}

    def _add_pool(self, name: str, *, groups: int, size: int = 0, rule: int = 0) -> Pool:
        size = size or int(self._option("osd_pool_default_size", "3"))
        least = min(size, int(self._option("osd_pool_default_min_size", "2")))
        number = 1 + max((pool.number for pool in self.pools), default=0)
        pool = Pool(
            number=number,
            name=name,
            size=size,
            min_size=least,
            rule=rule,
            groups=[set() for _ in range(groups)],
        )
        self.pools.append(pool)
        return pool

    def _option(self, name: str, default: str) -> str:
        return self.config.get(("global", name), default)

    # Commands

    def command(
        self, request: str, data: bytes, *, to_manager: bool, sender: str = ""
    ) -> tuple[int, bytes, str]:
        """Carry out a command to the monitors or the manager; return the code, the output and the message.

        `sender` is the name of the machine that it comes from.

        Raises:
            RadosError: It could not be carried out in time.
        """
        arguments = json.loads(request)
        prefix = arguments.pop("prefix")
        del arguments["format"]
        self.tick()
        if not self.quorum or ((to_manager or prefix in PASSED_ON) and not self.has_manager):
            raise RadosError("timed out", errno.ETIMEDOUT)
        handler = getattr(self, f"_do_{prefix.replace(' ', '_').replace('-', '_')}", None)
        is_known = prefix in MANAGERS if to_manager else prefix not in MANAGERS - PASSED_ON
        if handler is None or not is_known:
            return -errno.EINVAL, b"", "command not known"
        self.commands.append(prefix)
        self._sender = sender
        if data:
            arguments["data"] = data
        try:
            answer = handler(**arguments)
        except Refused as error:
            return -error.code, b"", str(error)
        self.tick()
        return 0, b"" if answer is None else json.dumps(answer).encode(), ""

    def new_key(self, kind: str = AES) -> str:
        """Return a key that is like no other."""
        self._keys += 1
        return make_key(self._keys, kind)

    def _osd(self, number: int) -> Osd:
        if number not in self.osds:
            raise Refused(errno.ENOENT, f"osd.{number} does not exist")
        return self.osds[number]

    def _pool(self, name: str) -> Pool:
        found = next((pool for pool in self.pools if pool.name == name), None)
        if found is None:
            raise Refused(errno.ENOENT, f"unrecognized pool '{name}'")
        return found

    # Versions

    def _do_versions(self) -> Any:
        told = {kind: list(found.values()) for kind, found in self.versions.items()}
        told["overall"] = [version for found in told.values() for version in found]
        return {
            kind: {_banner(version): found.count(version) for version in sorted(set(found))}
            for kind, found in told.items()
            if found
        }

    def _do_mon_metadata(self) -> Any:
        return self._metadata("mon")

    def _do_mgr_metadata(self) -> Any:
        return self._metadata("mgr")

    def _metadata(self, kind: str) -> Any:
        found = self.versions[kind].items()
        return [{"name": name, "ceph_version": _banner(version), "hostname": name} for name, version in found]

    def _do_osd_metadata(self) -> Any:
        """An OSD that was never up has a number, and nothing else."""
        return [
            {"id": osd.number}
            | ({"ceph_version": _banner(osd.version), "hostname": osd.host} if osd.version else {})
            for osd in self.osds.values()
        ]

    def _do_mgr_dump(self) -> Any:
        active, *standbys = self.managers or [""]
        return {
            "active_name": active,
            "available": bool(active),
            "standbys": [{"name": name} for name in standbys],
        }

    def _do_mgr_fail(self, who: str) -> None:
        if next(iter(self.managers), "") == who:
            self._failed.append(who)

    def _do_osd_require_osd_release(self, release: str, yes_i_really_mean_it: bool = False) -> None:
        major = next(found for found, name in RELEASES.items() if name == release)
        up = [osd for osd in self.osds.values() if osd.up]
        if int(major) < int(self._required_major):
            raise Refused(errno.EPERM, "require_osd_release cannot be lowered once it has been set")
        if any(int(version.partition(".")[0]) < int(major) for version in self.versions["mon"].values()):
            raise Refused(errno.EPERM, f"not all mons are {release}")
        if not up and not yes_i_really_mean_it:
            raise Refused(errno.EPERM, "Not advisable to continue since no OSDs are up.")
        if any(int(osd.version.partition(".")[0]) < int(major) for osd in up):
            raise Refused(errno.EPERM, f"not all up OSDs have CEPH_FEATURE_SERVER_{release.upper()} feature")
        self.required = release

    @property
    def _required_major(self) -> str:
        return next((found for found, name in RELEASES.items() if name == self.required), "0")

    # Monitors

    def _do_quorum_status(self) -> Any:
        return {
            "quorum_names": self.quorum,
            "quorum_leader_name": self.quorum[0],
            "monmap": self._do_mon_dump(),
        }

    def _do_mon_dump(self) -> Any:
        ciphers = {
            "auth_allowed_ciphers": [{"name": name} for name in self.ciphers["allowed"]],
            "auth_preferred_cipher": {"name": self.ciphers["preferred"]},
            "auth_service_cipher": {"name": self.ciphers["service"]},
        } if self.ciphers else {}  # fmt: skip
        return ciphers | {
            "fsid": self.fsid,
            "mons": [
                {
                    "name": name,
                    "public_addrs": {
                        "addrvec": [{"type": "v2", "addr": f"{bracketed(address)}:3300", "nonce": 0}]
                    },
                }
                for name, address in sorted(self.monitors.items())
            ],
        }

    def _do_mon_set(self, name: str, value: str) -> None:
        if not self.ciphers:
            raise Refused(errno.EINVAL, "command not known")
        what = name.removeprefix("auth_").partition("_")[0]
        if what == "allowed":
            users = [
                entity for entity, known in self.auth.items() if kind_of(known.key) not in value.split(",")
            ]
            self.careless += [f"{entity} was locked out: {name} became {value}" for entity in users]
        self.ciphers[what] = value.split(",") if what == "allowed" else value

    def _do_mds_metadata(self) -> Any:
        return [
            {"name": name, "ceph_version": _banner(version)}
            for name, version in self.metadata_servers.items()
        ]

    def _do_mon_ok_to_rm(self, id: str) -> None:  # noqa: A002  Ceph's name
        rest = self.monitors.keys() - {id}
        left = [name for name in self.quorum if name in rest]
        if 2 * len(left) <= len(rest):
            raise Refused(errno.EBUSY, f"removing [{id}] would break quorum")
        self._may_go = (id, frozenset(self.monitors))

    def _do_mon_remove(self, name: str) -> None:
        if self.monitors.keys() == {name}:
            raise Refused(errno.EINVAL, f"error: removal of last monitor mon.{name} refused")
        if name not in self.monitors:
            return
        before = self.quorum
        left = [other for other in before if other != name]
        if 2 * len(left) < len(self.monitors):
            self.careless.append(
                f"without mon.{name} there is no quorum: of {', '.join(before)} too few are left"
            )
        if self._may_go != (name, frozenset(self.monitors)):
            self.careless.append(
                f"mon.{name} was removed, and nobody had asked whether it may (mon ok-to-rm)"
            )
        is_given_up = self._stores[name] in self.given_up
        if self._sender != name and name in self.quorum and not is_given_up:
            self.careless.append(f"mon.{name} was in quorum when {self._sender} removed it")
        del self.monitors[name]
        self._left.add(name)
        self._dropped |= set() if is_given_up else {name}

    def give_up_monitors(self, hosts: set[str]) -> None:
        """Let others remove the monitors that these machines have now, though they run."""
        self.given_up |= {
            store for name, store in self._stores.items() if name in hosts & self.monitors.keys()
        }

    def check_monitors(self) -> None:
        """Note a monitor that was given up on a machine that serves on while too few are left.

        To be called when nobody is in the middle of anything: a machine that leaves has no OSDs by then.
        """
        serving = {
            machine.name for machine in self._hosts if machine.machine.powered and machine.running_osds()
        }
        for name in self._dropped & serving:
            if len(self.monitors) < WANTED <= len(serving - {name}):
                self.careless.append(
                    f"mon.{name} was given up though its machine serves on: {len(self.monitors)} are left for {len(serving)} machines"
                )
        self._dropped.clear()
        # Not those that lost their power or have failed: those that somebody stopped, for good.
        stopped = [machine.name for machine in self._hosts if machine.has_stopped_monitor]
        stopped = [name for name in stopped if name in self.monitors and len(self.monitors) > 1]
        running = [name for name in self.monitors if name in self._running_stores()]
        if not self.quorum and stopped and 2 * len({*running, *stopped}) > len(self.monitors):
            self.careless.append(
                f"{', '.join(stopped)} stopped for good while the quorum needed their monitors"
            )

    def _do_status(self) -> Any:
        states = self.states()
        objects = sum(count for state, count in states.items() if not state.startswith("active+clean"))
        return {
            "health": self._health(),
            "osdmap": {"num_osds": len(self.osds), "num_up_osds": len(self._live(self.osds))},
            "pgmap": {
                "pgs_by_state": [{"state_name": state, "count": count} for state, count in states.items()],
                **({"misplaced_objects": objects} if objects else {}),
            },
        }

    def _do_health(self, detail: str) -> Any:
        assert detail == "detail"
        return self._health()

    def _health(self) -> dict[str, Any]:
        states = self.states()
        checks = dict(self.checks)
        if down := len(self.osds) - len(self._live(self.osds)):
            checks["OSD_DOWN"] = f"{down} osds down"
        if missing := len(self.monitors) - len(self.quorum):
            checks["MON_DOWN"] = f"{missing}/{len(self.monitors)} mons down"
        if degraded := sum(count for state, count in states.items() if "degraded" in state):
            checks["PG_DEGRADED"] = f"Degraded data redundancy: {degraded} pgs undersized"
        up = [int(osd.version.partition(".")[0]) for osd in self.osds.values() if osd.up]
        if up and min(up) > int(self._required_major):
            name = RELEASES[str(min(up))]
            checks["OSD_UPGRADE_FINISHED"] = (
                f"all OSDs are running {name} or later but require_osd_release < {name}"
            )
        wrong = self.errors | {"AUTH_INSECURE_SERVICE_KEY_TYPE", "AUTH_INSECURE_SERVICE_TICKETS"}
        checks |= self._insecure()
        words = {
            name: {
                "severity": "HEALTH_ERR" if name in wrong else "HEALTH_WARN",
                "summary": {"message": text, "count": 1},
                "muted": False,
            }
            for name, text in checks.items()
        }
        worst = "HEALTH_ERR" if wrong & words.keys() else "HEALTH_WARN"
        return {"status": worst if words else "HEALTH_OK", "checks": words, "mutes": []}

    def _insecure(self) -> dict[str, str]:
        """Return what is said of keys of the older type; rotating keys go too fast for this twin."""
        if not self.ciphers:
            return {}
        old = [entity for entity in self._stored() if kind_of(self.auth[entity].key) == AES]
        clients = [entity for entity in old if entity.startswith("client.")]
        services = len(old) - len(clients)
        checks = {
            "SERVICE_KEY_TYPE": services and f"{services} auth service entities with insecure key types",
            "CLIENT_KEY_TYPE": clients and f"{len(clients)} auth client entities with insecure key types",
            "SERVICE_TICKETS": self.ciphers["service"] == AES
            and "Monitors are configured to issue insecure service tickets",
            "KEYS_ALLOWED": AES in self.ciphers["allowed"]
            and "Monitors are configured to allow auth using insecure key types",
        }
        return {f"AUTH_INSECURE_{name}": str(words) for name, words in checks.items() if words}

    def _stored(self) -> list[str]:
        """Return the Ceph users that the monitors' database has; their own key is there once it was replaced."""
        return [entity for entity in self.auth if entity != "mon." or self.has_monitors_key]

    @property
    def _all_know(self) -> bool:
        """Whether all monitors in quorum know keys of the newer type."""
        return all(knows_aes256k(self._version(f"ceph-mon@{name}")) for name in self.quorum)

    def _kind(self, wanted: str) -> str:
        """Return of which type a new key is to be."""
        if not self.ciphers:
            return AES
        kind = wanted or self.ciphers["preferred"]
        if kind not in self.ciphers["allowed"]:
            raise Refused(errno.EINVAL, f'creating key with insecure key type ("{kind}") not allowed')
        if kind == AES256K and not self._all_know:
            raise Refused(errno.EINVAL, "all monitors must support FEATURE_CEPHX_AUTH_AES256K")
        return kind

    def _do_config_set(self, who: str, name: str, value: str) -> None:
        self.config[who, name] = value

    def _do_config_get(self, who: str, key: str) -> Any:
        return self.config.get((who, key), self.config.get(("global", key), "-1"))

    def _do_config_rm(self, who: str, name: str) -> None:
        self.config.pop((who, name), None)

    def _do_config_key_set(self, key: str, val: str) -> None:
        self.records[key] = val

    def _do_config_key_get(self, key: str) -> Any:
        if key not in self.records:
            raise Refused(errno.ENOENT, f"{key} not found")
        return json.loads(self.records[key])

    def _do_config_key_dump(self, key: str) -> Any:
        return {name: value for name, value in self.records.items() if name.startswith(key)}

    def _do_config_key_rm(self, key: str) -> None:
        self.records.pop(key, None)

    # Keys

    def _entry(self, entity: str) -> list[dict[str, str]]:
        known = self.auth.get(entity)
        if known is None:
            raise Refused(errno.ENOENT, f"failed to find {entity} in keyring")
        pending = {"pending_key": known.pending} if known.pending else {}
        return [{"entity": entity, "key": known.key, **pending}]

    def _do_auth_get(self, entity: str) -> Any:
        return self._entry(entity)

    def _do_auth_ls(self) -> Any:
        return {"auth_dump": [{"entity": entity, "key": self.auth[entity].key} for entity in self._stored()]}

    def _do_auth_rotate(self, entity: str, key_type: str = "") -> Any:
        self._entry(entity)
        self.auth[entity].key = self.new_key(self._kind(key_type))
        if entity == "mon.":
            self.has_monitors_key = True
            if missing := self.monitors.keys() - set(self.quorum):
                self.careless.append(f"the monitors' key was replaced while {', '.join(missing)} were away")
            for machine in self._hosts:
                if machine.name in self.quorum:
                    machine.keep_in_store("key", self.auth[entity].key)
        return self._entry(entity)

    def _do_auth_get_or_create(self, entity: str, caps: list[str], key_type: str = "") -> Any:
        kind = self._kind(key_type)
        known = self.auth.get(entity) or Auth(key=self.new_key(kind), caps=caps)
        self.auth[entity] = known
        if known.caps != caps:
            raise Refused(errno.EINVAL, f"key for {entity} exists but cap {caps[0]} does not match")
        return self._entry(entity)

    def _do_auth_get_or_create_pending(self, entity: str, key_type: str = "") -> Any:
        self._entry(entity)
        kind = self._kind(key_type)
        self.auth[entity].pending = self.auth[entity].pending or self.new_key(kind)
        return self._entry(entity)

    def _do_auth_clear_pending(self, entity: str) -> None:
        self._entry(entity)
        self.auth[entity].pending = ""

    def _do_auth_caps(self, entity: str, caps: list[str]) -> None:
        self._entry(entity)
        self.auth[entity].caps = caps

    def _do_auth_rm(self, entity: str) -> None:
        self.auth.pop(entity, None)

    def admits(self, entity: str, key: str | None) -> bool:
        """Return whether a client gets in; a pending key that is used takes the old one's place."""
        known = self.auth.get(entity)
        if known and key and key == known.pending and self._lets_in(entity, key):
            known.key, known.pending = known.pending, ""
            if entity == "client.admin":
                for machine in self._hosts:
                    machine.keep_in_store("admin-key", key)
        return known is not None and self._lets_in(entity, key)

    def _lets_in(self, entity: str, key: str | None) -> bool:
        """Return whether a key is a user's, or will be, and of a type that the cluster takes."""
        known = self.auth.get(entity)
        if not known or not key or key not in {known.key, known.pending}:
            return False
        return kind_of(known.key) in self.ciphers.get("allowed", [AES])

    # OSDs

    def _do_osd_new(self, uuid: str, data: bytes = b"{}", id: int | None = None) -> Any:  # noqa: A002  Ceph's name
        same = next((osd for osd in self.osds.values() if osd.uuid == uuid), None)
        if same:
            return {"osdid": same.number}
        if id is not None and not self._osd(id).destroyed:
            raise Refused(errno.EINVAL, f"id {id} already in use and does not match uuid {uuid}")
        number = id if id is not None else next(n for n in range(len(self.osds) + 1) if n not in self.osds)
        old = self.osds.get(number, Osd(number=number, uuid=""))
        # A destroyed OSD's place in CRUSH is kept for its successor.
        self.osds[number] = Osd(number=number, uuid=uuid, host=old.host, weight=old.weight, inside=old.inside)
        given = json.loads(data)
        self.osds[number].device_class = given.get("crush_device_class", "hdd")
        return {"osdid": number}

    def _do_osd_ls(self) -> Any:
        return sorted(self.osds)

    def _do_osd_dump(self) -> Any:
        entries = sorted(self.osds.values(), key=lambda osd: osd.number)
        return {
            "osds": [
                {
                    "osd": o.number,
                    "uuid": o.uuid,
                    "up": int(o.up),
                    "in": int(o.inside),
                    "state": ["destroyed", "exists"]
                    if o.destroyed
                    else ["exists", *(["up"] if o.up else [])],
                }
                for o in entries
            ],
            "crush_node_flags": dict(self.host_flags),
            "flags_set": sorted({"sortbitwise", *self.flags}),
            "require_osd_release": self.required,
        }

    def _do_osd_tree(self) -> Any:
        hosts = sorted({osd.host for osd in self.osds.values() if osd.host} | self._empty_hosts)
        buckets = [
            {
                "id": -2 - index, "name": host, "type": "host",
                "children": sorted(osd.number for osd in self.osds.values() if osd.host == host),
            }
            for index, host in enumerate(hosts)
        ]  # fmt: skip
        leaves = [
            {
                "id": osd.number, "name": f"osd.{osd.number}", "type": "osd",
                "device_class": osd.device_class, "crush_weight": osd.weight, "reweight": float(osd.inside), "status": "up" if osd.up else "down",
            }
            for osd in self.osds.values() if osd.host
        ]  # fmt: skip
        root = {"id": -1, "name": "default", "type": "root", "children": [bucket["id"] for bucket in buckets]}
        return {"nodes": [root, *buckets, *leaves], "stray": []}

    @property
    def _empty_hosts(self) -> set[str]:
        """CRUSH keeps a host that its last OSD has left, until it is removed."""
        return self._hosts_once - {osd.host for osd in self.osds.values()}

    def _do_osd_df(self) -> Any:
        nodes = []
        for osd in self.osds.values():
            held = sum(
                p.stored / len(p.groups) for p in self.pools for holders in p.groups if osd.number in holders
            )
            kib = int(held) >> 10
            nodes.append(
                {
                    "id": osd.number, "kb": int(osd.weight * (1 << 30)), "kb_used": kib, "kb_used_data": kib,
                    "reweight": float(osd.inside),
                }
            )  # fmt: skip
        return {"nodes": nodes}

    def _do_osd_in(self, ids: list[str]) -> None:
        for number in ids:
            self._osd(int(number)).inside = True

    def _do_osd_out(self, ids: list[str]) -> None:
        for number in ids:
            self._osd(int(number)).inside = False

    def _do_osd_down(self, ids: list[str], definitely_dead: bool = False) -> None:
        """An OSD that runs says at once that it is not down, and is up again unless its flag noup is set."""
        for number in ids:
            self._osd(int(number)).up = False

    def _do_osd_set_group(self, flags: str, who: list[str]) -> None:
        for name in who:
            if flags == "noup" and name in {f"osd.{number}" for number in self.osds}:
                self._osd(int(name.removeprefix("osd."))).noup = True
                continue
            if name not in {osd.host for osd in self.osds.values()}:
                raise Refused(
                    errno.EINVAL, f'unable to parse osd id or crush node or device class: "{name}". '
                )
            self.host_flags.setdefault(name, []).append(flags)

    def _do_osd_unset_group(self, flags: str, who: list[str]) -> None:
        for name in who:
            if flags == "noup":
                self._osd(int(name.removeprefix("osd."))).noup = False
                continue
            self.host_flags.pop(name, None)

    def _do_osd_set(self, key: str) -> None:
        self.flags.add(key)

    def _do_osd_unset(self, key: str) -> None:
        self.flags.discard(key)

    def _do_osd_crush_reweight(self, name: str, weight: float) -> None:
        osd = self._osd(int(name.removeprefix("osd.")))
        if not osd.host:
            raise Refused(errno.ENOENT, f"device '{name}' does not appear in the crush map")
        osd.weight = weight

    def _do_osd_crush_rm(self, name: str) -> None:
        if name in {osd.host for osd in self.osds.values()}:
            raise Refused(errno.ENOTEMPTY, f"(39) Directory not empty: {name}")
        self._hosts_once.discard(name)

    def _do_osd_safe_to_destroy(self, ids: list[str]) -> Any:
        if "unknown" in self.states():
            raise Refused(errno.EAGAIN, "pgs have unknown state; cannot draw any conclusions")
        found: dict[str, list[int]] = {
            "safe_to_destroy": [],
            "active": [],
            "missing_stats": [],
            "stored_pgs": [],
        }
        for number in map(int, ids):
            found[self._use_of(number)].append(number)
        return found

    def _use_of(self, number: int) -> str:
        """Return whether an OSD holds what is not elsewhere in full, in the words of `osd safe-to-destroy`."""
        clean = self.states().keys() <= {"active+clean"}
        for pool in self.pools:
            for index, holders in enumerate(pool.groups):
                acting = self._live(holders) if not clean else set()
                if number in self.osds and number in {*self._live(self._placed(pool, index)), *acting}:
                    return "active"
        is_known = number not in self.osds or clean or self.osds[number].up
        return "safe_to_destroy" if is_known else "missing_stats"

    def _do_osd_ok_to_stop(self, ids: list[str]) -> Any:
        stopping = {int(number) for number in ids}
        for pool in self.pools:
            for index, holders in enumerate(pool.groups):
                live = self._live(holders)
                if live & stopping and len(live - stopping) < pool.min_size:
                    raise Refused(
                        errno.EBUSY, f"unsafe to stop osd(s): group {pool.number}.{index} would be offline"
                    )
        return {"ok_to_stop": True, "osds": sorted(stopping)}

    def _do_osd_purge(self, id: int, yes_i_really_mean_it: bool = False) -> None:  # noqa: A002
        """The manager looks whether it is safe, but not where it is really meant."""
        use = self._use_of(id)
        if not yes_i_really_mean_it and use != "safe_to_destroy":
            code = errno.EBUSY if use == "active" else errno.EAGAIN
            raise Refused(code, f"OSD(s) {id} have groups currently mapped to them, or nobody can tell")
        self._do_osd_purge_actual(id, yes_i_really_mean_it=True)

    def _do_osd_purge_actual(self, id: int, yes_i_really_mean_it: bool) -> None:  # noqa: A002
        if id not in self.osds:
            return
        held = [
            (p, i) for p in self.pools for i, holders in enumerate(p.groups) if id in holders and p.stored
        ]
        self._drop_copies(id, sure=yes_i_really_mean_it)
        del self.osds[id]
        self.hasty += [f"{p.name}:{i}" for p, i in held if len(self._live(p.groups[i])) < p.size]

    def _do_osd_destroy_actual(self, id: int, yes_i_really_mean_it: bool) -> None:  # noqa: A002
        self._drop_copies(id, sure=yes_i_really_mean_it)
        self.osds[id].destroyed = True
        self.osds[id].uuid = NO_UUID

    def _drop_copies(self, number: int, *, sure: bool) -> None:
        osd = self._osd(number)
        # One that never had a place is half made.
        if (
            sure
            and osd.host
            and not osd.destroyed
            and self.asked_for is not None
            and osd.uuid not in self.asked_for
        ):
            self.unasked.append(f"osd.{number} ({osd.uuid})")
        if not sure:
            raise Refused(errno.EPERM, "this is irreversible; pass --yes-i-really-mean-it")
        if osd.up:
            raise Refused(errno.EBUSY, f"osd.{number} is not `down`.")
        self.auth.pop(f"osd.{number}", None)
        if osd.host:
            self._hosts_once.add(osd.host)
        for pool in self.pools:
            for index, holders in enumerate(pool.groups):
                if holders == {number} and pool.stored:
                    self.lost.append(f"{pool.name}:{index}")
                holders.discard(number)

    # Rules and pools

    def _do_osd_crush_rule_dump(self) -> Any:
        return [
            {
                "rule_id": rule.number,
                "rule_name": rule.name,
                "steps": [
                    {"op": "take", "item_name": "~".join(filter(None, ("default", rule.device_class)))},
                    {"op": "choose_firstn" if rule.kind == "osd" else "chooseleaf_firstn", "type": rule.kind},
                    {"op": "emit"},
                ],
            }
            for rule in self.rules
        ]

    def _do_osd_crush_rule_create_replicated(self, name: str, root: str, type: str, **more: str) -> None:  # noqa: A002
        assert root == "default"
        number = 1 + max(rule.number for rule in self.rules)
        self.rules.append(Rule(number=number, name=name, kind=type, device_class=more.get("class", "")))

    def _do_osd_lspools(self) -> Any:
        return [{"poolnum": pool.number, "poolname": pool.name} for pool in self.pools]

    def _do_pg_dump(self, dumpcontents: list[str]) -> Any:
        assert dumpcontents == ["pgs_brief"]
        stats = [
            {"pgid": f"{pool.number}.{index:x}", "state": self._state(pool, index)}
            for pool in self.pools
            for index in range(len(pool.groups))
        ]
        return {"pg_ready": True, "pg_stats": stats}

    def _do_osd_pool_ls(self, detail: str = "") -> Any:
        if not detail:
            return [pool.name for pool in self.pools]
        return [
            {
                "pool_id": pool.number, "pool_name": pool.name, "type": 1, "size": pool.size,
                "min_size": pool.min_size, "pg_num": len(pool.groups), "pg_placement_num": len(pool.groups),
                "crush_rule": pool.rule, "application_metadata": {name: {} for name in pool.applications},
            }
            for pool in self.pools
        ]  # fmt: skip

    def _do_osd_pool_create(
        self, *, pool: str, pool_type: str, pg_num: int = 0, pgp_num: int = 0, size: int = 0, rule: str = ""
    ) -> None:
        assert (pool_type, pg_num) == ("replicated", pgp_num)
        if any(known.name == pool for known in self.pools):
            return
        groups = pg_num or int(self._option("osd_pool_default_pg_num", "32"))
        number = next((known.number for known in self.rules if known.name == rule), 0)
        self._add_pool(pool, groups=groups, size=size, rule=number)

    def _do_osd_pool_delete(self, pool: str, pool2: str, yes_i_really_really_mean_it: bool) -> None:
        if (pool, yes_i_really_really_mean_it) != (pool2, True):
            raise Refused(errno.EPERM, "WARNING: this will *PERMANENTLY DESTROY* all data stored in the pool")
        if self.config.get(("mon", "mon_allow_pool_delete")) != "true":
            raise Refused(errno.EPERM, "pool deletion is disabled; set mon_allow_pool_delete")
        self.pools = [known for known in self.pools if known.name != pool]

    def _do_osd_pool_set(self, pool: str, var: str, val: str) -> None:
        if var == "size":
            self._pool(pool).size = int(val)
            return
        assert var == "crush_rule"
        self._pool(pool).rule = next(rule.number for rule in self.rules if rule.name == val)

    def _do_osd_pool_application_enable(self, pool: str, app: str) -> None:
        self._pool(pool).applications.append(app)

    # File systems

    def _filesystem(self, name: str) -> Filesystem:
        found = next((known for known in self.filesystems if known.name == name), None)
        if found is None:
            raise Refused(errno.ENOENT, f"Filesystem not found: '{name}'")
        return found

    def _do_fs_ls(self) -> Any:
        return [
            {"name": known.name, "metadata_pool": known.metadata, "data_pools": [known.data]}
            for known in self.filesystems
        ]

    def _do_fs_new(self, fs_name: str, metadata: str, data: str) -> None:
        for pool in (self._pool(metadata), self._pool(data)):
            if any(pool.name in {known.metadata, known.data} for known in self.filesystems):
                raise Refused(errno.EINVAL, f"pool '{pool.name}' is already in use by a file system")
            if "cephfs" not in pool.applications:
                pool.applications.append("cephfs")
        self.filesystems.append(Filesystem(name=fs_name, metadata=metadata, data=data))

    def _do_fs_get(self, fs_name: str) -> Any:
        known = self._filesystem(fs_name)
        flags = {"allow_standby_replay": known.standby_replay}
        return {"mdsmap": {"max_mds": known.active, "flags_state": flags}}

    def _do_fs_set(self, fs_name: str, var: str, val: str) -> None:
        known = self._filesystem(fs_name)
        if var == "max_mds":
            known.active = int(val)
        elif (var, val) == ("down", "true"):
            known.active = 0
        else:
            assert (var, val in {"true", "false"}) == ("allow_standby_replay", True)
            known.standby_replay = val == "true"

    def _do_df(self) -> Any:
        return {
            "pools": [
                {
                    "name": pool.name, "id": pool.number,
                    "stats": {"stored": pool.stored, "bytes_used": pool.stored * pool.size, "objects": pool.stored >> 22},
                }
                for pool in self.pools
            ]
        }  # fmt: skip


def _banner(version: str) -> str:
    release = RELEASES.get(version.partition(".")[0], "dev")
    return f"ceph version {version} (6b0e988052ec84cf2d4a54ff9bbbc5e720b621ad) {release} (stable)"


class Library:
    """What a program on a machine imports as `rados`."""

    Error = RadosError

    def __init__(self, cluster: Cluster, member: CephSoftware) -> None:
        self._cluster = cluster
        self._member = member

    def Rados(self, conffile: str, name: str, conf: dict[str, str]) -> Client:  # noqa: N802  the library's name
        """Make a client that finds the monitors by the machine's configuration, and shows the keyring's key."""
        config = self._member.machine.read(conffile) or ""
        return Client(self._cluster, config, name, self._member, self._member.keyring_key(conf["keyring"]))


class Client:
    """A `rados.Rados`."""

    def __init__(
        self, cluster: Cluster, config: str, name: str, member: CephSoftware, key: str | None
    ) -> None:
        self._cluster = cluster
        self._sender = member.name
        self._reads_aes256k = knows_aes256k(member.installed_version)
        self._hosts = set(re.findall(r"v2:\[?([^],]+?)\]?:3300", config))
        self._name = name
        self._key = key

    def connect(self, timeout: float) -> None:
        """Reach a monitor in quorum and be let in."""
        assert timeout > 0
        self._cluster.tick()
        if self._key and kind_of(self._key) == AES256K and not self._reads_aes256k:
            raise RadosError("error connecting to the cluster", errno.EINVAL)
        if not self._hosts & {self._cluster.monitors[name] for name in self._cluster.quorum}:
            raise RadosError("error connecting to the cluster", errno.ETIMEDOUT)
        if not self._cluster.admits(self._name, self._key):
            raise RadosError("error connecting to the cluster", errno.EACCES)

    def mon_command(self, request: str, data: bytes, timeout: float) -> tuple[int, bytes, str]:
        """Send a command to the monitors."""
        assert timeout > 0
        return self._cluster.command(request, data, to_manager=False, sender=self._sender)

    def mgr_command(self, request: str, data: bytes, timeout: float) -> tuple[int, bytes, str]:
        """Send a command to the active manager."""
        assert timeout > 0
        return self._cluster.command(request, data, to_manager=True, sender=self._sender)

    def shutdown(self) -> None:
        """Nothing to close."""
