"""A twin of Ceph's object gateway: the programs radosgw-admin and rgw-ask on machines that share one zone, and its daemon.

Played: realm, zone group, zone and the period that makes them count; users with keys and quotas; buckets with their owners;
a daemon that takes its configuration when it starts, serves only a zone that is there, and only in `ceph-radosgw@`'s unit of
its own name; a front before it, which takes its certificate anew when it is reloaded. No two of them can have one port, and a
daemon from before there were fronts has the front's.

Left out: the Ceph cluster behind it (`reaches` says whether it answers; a key in the keyring lets everybody in), objects,
S3's and Swift's requests but for those of rgw-ask, Keystone, TLS itself, and more than one site.
"""

from __future__ import annotations

import configparser
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import Result
from openinfra_charm.testing import Software

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_charm.testing import MemoryMachine

ASK = "/usr/lib/openinfra/rgw-ask"
KEEPER = "openinfra-health"
EXISTS, MISSING, INVALID = 17, 2, 22


@dataclass
class User:
    """A user: its keys by access key, and the most that it may keep, None without a limit."""

    name: str
    display_name: str
    max_buckets: int = 1000
    keys: dict[str, str] = field(default_factory=dict)
    max_size: int | None = None
    suspended: bool = False


@dataclass
class Zone:
    """What the gateways of one application keep in the Ceph cluster."""

    realms: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    zones: set[str] = field(default_factory=set)
    host_names: list[str] = field(default_factory=list)
    """Those of the zone group."""
    committed: bool = False
    users: dict[str, User] = field(default_factory=dict)
    buckets: dict[str, str] = field(default_factory=dict)
    """The owners of buckets by name."""
    objects: dict[str, int] = field(default_factory=dict)
    reaches: bool = True
    """Whether the Ceph cluster answers."""
    keys: int = 0
    seconds: float = 0
    """How long a command of radosgw-admin takes, and each thousand of buckets that it looks at."""


class RgwSoftware(Software):
    """The gateway's programs and daemon on one machine. `options` are those that the daemon runs with."""

    def __init__(self, zone: Zone, machine: MemoryMachine, address: str) -> None:
        super().__init__()
        self.zone = zone
        self.machine = machine
        self.address = address
        self.unit = f"ceph-radosgw@rgw.{machine.name}.service"
        self.options: dict[str, str] = {}
        self.certificate = ""
        """What the front presents, or a daemon from before there were fronts."""
        self._starts: dict[str, int] = {}
        self._stdin = ""
        self.programs = {"radosgw-admin": self._admin, ASK: self._ask}

    def version_of(self, package: str) -> str | None:
        """Return the version that Debian 13 has."""
        return "18.2.7+ds-1" if package in {"ceph-common", "radosgw"} else None

    @property
    def serves(self) -> bool:
        """Whether clients have answers: of the daemon, by its front."""
        units = [self.unit] if self._has_the_port(self.options) else [self.unit, self.front_unit]
        return self.machine.powered and all(map(self.machine.serves, units))

    @property
    def config_path(self) -> str:
        """The configuration that the daemon is told to take."""
        drop_in = self.machine.read("/etc/systemd/system/ceph-radosgw@.service.d/openinfra.conf") or ""
        start = next(
            (line for line in drop_in.splitlines() if "/usr/bin/radosgw" in line), "-c /nothing --name"
        )
        return start.partition("-c ")[2].split()[0]

    @property
    def front_unit(self) -> str:
        """The unit of the front: that of the application whose configuration the daemon is told to take."""
        return f"{self.config_path.split('/')[-2]}-front.service"

    @property
    def front_config(self) -> str:
        """The front's configuration as it is on the machine."""
        return self.machine.read(self.config_path.replace("ceph.conf", "front.cfg")) or ""

    def can_run(self, unit: str) -> bool:
        """Return whether the daemon finds its zone and its key, the front its certificate, and each may listen where it shall."""
        if unit == self.front_unit:
            holds = self.machine.serves(self.unit) and self._has_the_port(self.options)
            return not holds and bool(self._presented({}))
        if unit != self.unit:
            return True
        options = self._configured(self.config_path)
        if self._has_the_port(options):
            free = self.machine.services.get(self.front_unit) != "active"
        else:
            free = " endpoint=127.0.0.1:17481 " in options.get("rgw_frontends", "")
        return (
            self.zone.committed
            and options.get("rgw_zone") in self.zone.zones
            and free
            and bool(self.machine.read(options.get("keyring", "")))
        )

    def services_changed(self) -> None:
        """Take the configuration up when the daemon has been started anew, and the certificate when that which presents it has."""
        if self._was_started(self.unit):
            self.options = self._configured(self.config_path)
            if self._has_the_port(self.options):
                self.certificate = self._presented(self.options)
        if self._was_started(self.front_unit):
            self.certificate = self._presented({})

    def reloaded(self, unit: str) -> None:
        """Take the certificate up where the front is reloaded."""
        if unit == self.front_unit:
            self.certificate = self._presented({})

    @property
    def outdated(self) -> bool:
        """Whether the daemon runs with another configuration than the machine has, or clients are shown another certificate."""
        options = self._configured(self.config_path)
        return (self.options, self.certificate) != (options, self._presented(options))

    def _was_started(self, unit: str) -> bool:
        before, self._starts[unit] = self._starts.get(unit, 0), self.machine.starts.get(unit, 0)
        return self._starts[unit] != before

    def _has_the_port(self, options: dict[str, str]) -> bool:
        """Return whether the daemon itself listens on the unit's address."""
        return f"ssl_endpoint={self.address}:17480" in options.get("rgw_frontends", "")

    def _presented(self, options: dict[str, str]) -> str:
        """Return what clients are shown: by a daemon that has the port, or else by the front."""
        if self._has_the_port(options):
            found = re.search(r" ssl_certificate=(\S+)", options["rgw_frontends"])
        else:
            binds = rf"^ *bind {re.escape(self.address)}:17480 ssl crt (\S+)"
            found = re.search(binds, self.front_config, re.MULTILINE)
        return (self.machine.read(found[1]) or "") if found else ""

    def _configured(self, path: str) -> dict[str, str]:
        parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
        parser.read_string(self.machine.read(path) or "")
        found = {**parser["global"]} if parser.has_section("global") else {}
        section = f"client.rgw.{self.machine.name}"
        found |= {**parser[section]} if parser.has_section(section) else {}
        # The daemon learns of other monitors from the cluster.
        return {key: value for key, value in found.items() if key != "mon_host"}

    # rgw-ask

    def _ask(self, argv: tuple[str, ...], stdin: str | None) -> Result:
        _, url, ca, verb, what = argv
        if not self.serves or url != f"https://{self.address}:17480" or not self.machine.read(ca):
            return Result(
                code=1, stdout="radosgw does not answer: [Errno 111] Connection refused\n", stderr=""
            )
        if verb in {"make-bucket", "make-own-bucket"}:
            access, secret = (stdin or "").split()
            owner = next(
                (user.name for user in self.zone.users.values() if user.keys.get(access) == secret), None
            )
            if owner is None:
                return Result(code=1, stdout="radosgw answers 403: InvalidAccessKeyId\n", stderr="")
            if self.zone.buckets.setdefault(what, owner) != owner:
                return Result(code=1, stdout="radosgw answers 409: BucketAlreadyExists\n", stderr="")
        elif what != "/" and what.removeprefix("/") not in self.zone.buckets:
            return Result(code=1, stdout="radosgw answers 404: NoSuchBucket\n", stderr="")
        return Result(code=0, stdout="", stderr="")

    # radosgw-admin

    def _admin(self, argv: tuple[str, ...], stdin: str | None) -> Result:
        self._stdin = stdin or ""
        self._pass(1)
        assert argv[1] == "-c"
        config = self._configured(argv[2])
        if not self.zone.reaches or not self.machine.read(config.get("keyring", "")):
            return _failed(1, "couldn't init storage provider")
        words = [word for word in argv[5:] if not word.startswith("--")]
        options = {
            key: value
            for word in argv[5:]
            if word.startswith("--")
            for key, _, value in [word.partition("=")]
        }
        command: Callable[[dict[str, str]], Any] = getattr(self, f"_do_{'_'.join(words)}")
        answer = command(options)
        if isinstance(answer, Result):
            return answer
        return Result(code=0, stdout="" if answer is None else json.dumps(answer), stderr="")

    def _make(self, names: set[str], kind: str, name: str) -> Result | None:
        if name in names:
            return _failed(EXISTS, f"ERROR: couldn't create {kind} {name}: (17) File exists")
        names.add(name)
        return None

    def _do_realm_create(self, options: dict[str, str]) -> Result | None:
        return self._make(self.zone.realms, "realm", options["--rgw-realm"])

    def _do_zonegroup_create(self, options: dict[str, str]) -> Result | None:
        if options["--rgw-realm"] not in self.zone.realms:
            return _failed(MISSING, "failed to init realm: (2) No such file or directory")
        return self._make(self.zone.groups, "zonegroup", options["--rgw-zonegroup"])

    def _do_zonegroup_get(self, options: dict[str, str]) -> Any:
        return {"name": options["--rgw-zonegroup"], "hostnames": self.zone.host_names, "is_master": True}

    def _do_zonegroup_set(self, options: dict[str, str]) -> Any:
        given = json.loads(self._stdin)
        assert given["name"] == options["--rgw-zonegroup"]
        assert given["is_master"]
        self.zone.host_names, self.zone.committed = given["hostnames"], False
        return given

    def _do_zone_create(self, options: dict[str, str]) -> Result | None:
        if options["--rgw-zonegroup"] not in self.zone.groups:
            return _failed(MISSING, "unable to initialize zonegroup: (2) No such file or directory")
        return self._make(self.zone.zones, "zone", options["--rgw-zone"])

    def _do_period_update(self, options: dict[str, str]) -> None:
        assert "--commit" in options
        self.zone.committed = True

    def _describe(self, user: User) -> dict[str, Any]:
        keys = [
            {"user": user.name, "access_key": access, "secret_key": secret}
            for access, secret in user.keys.items()
        ]
        quota = {"enabled": user.max_size is not None, "max_size": user.max_size or -1}
        return {
            "user_id": user.name, "display_name": user.display_name, "max_buckets": user.max_buckets, "keys": keys,
            "user_quota": quota, "suspended": int(user.suspended),
        }  # fmt: skip

    def _new_key(self, user: User) -> None:
        self.zone.keys += 1
        user.keys[f"ACCESS{self.zone.keys}"] = f"twin-secret-{self.zone.keys}"

    def _do_user_list(self, _options: dict[str, str]) -> list[str]:
        return list(self.zone.users)

    def _do_user_info(self, options: dict[str, str]) -> Any:
        user = self.zone.users.get(options["--uid"])
        if user is None:
            return _failed(INVALID, "could not fetch user info: no user info saved")
        return self._describe(user)

    def _do_user_create(self, options: dict[str, str]) -> Any:
        name = options["--uid"]
        if name in self.zone.users:
            return _failed(EXISTS, f"could not create user: unable to create user, user: {name} exists")
        user = User(name=name, display_name=options["--display-name"])
        user.max_buckets = int(options.get("--max-buckets", user.max_buckets))
        self.zone.users[name] = user
        self._new_key(user)
        return self._describe(user)

    def _do_user_rm(self, options: dict[str, str]) -> Result | None:
        name = options["--uid"]
        if name in self.zone.buckets.values():
            return _failed(EXISTS, "could not remove user: must specify purge data")
        del self.zone.users[name]
        return None

    def _do_user_suspend(self, options: dict[str, str]) -> Any:
        user = self.zone.users[options["--uid"]]
        user.suspended = True
        return self._describe(user)

    def _do_bucket_rm(self, options: dict[str, str]) -> Result | None:
        name = options["--bucket"]
        if name not in self.zone.buckets:
            return _failed(MISSING, "ERROR: could not init bucket: (2) No such file or directory")
        if self.zone.objects.get(name) and "--purge-objects" not in options:
            return _failed(39, "ERROR: could not remove non-empty bucket")
        del self.zone.buckets[name]
        self.zone.objects.pop(name, None)
        return None

    def _do_key_create(self, options: dict[str, str]) -> Any:
        user = self.zone.users[options["--uid"]]
        self._new_key(user)
        return self._describe(user)

    def _do_key_rm(self, options: dict[str, str]) -> None:
        del self.zone.users[options["--uid"]].keys[options["--access-key"]]

    def _pass(self, times: float) -> None:
        if self.zone.seconds:
            self.machine.sleep(times * self.zone.seconds)

    def _do_bucket_list(self, options: dict[str, str]) -> Any:
        if options.get("--uid", KEEPER) not in {*self.zone.users, KEEPER}:
            return _failed(MISSING, f"ERROR: could not find user: {options['--uid']}")
        return [name for name, owner in self.zone.buckets.items() if options.get("--uid", owner) == owner]

    def _do_bucket_stats(self, options: dict[str, str]) -> Any:
        if "--bucket" in options:
            if options["--bucket"] not in self.zone.buckets:
                return _failed(MISSING, "failure: (2002) Unknown error 2002: ")
            return self._stats(options["--bucket"])
        found = self._do_bucket_list(options)
        if isinstance(found, Result):
            return found
        self._pass(len(found) / 1000)
        return [self._stats(bucket) for bucket in found]

    def _stats(self, bucket: str) -> dict[str, Any]:
        count = self.zone.objects.get(bucket, 0)
        used = {"rgw.main": {"size_actual": 4096 * count, "num_objects": count}} if count else {}
        return {"bucket": bucket, "tenant": "", "owner": self.zone.buckets[bucket], "usage": used}

    def _do_quota_set(self, options: dict[str, str]) -> None:
        self.zone.users[options["--uid"]].max_size = int(options["--max-size"].removesuffix("B"))

    def _do_quota_enable(self, options: dict[str, str]) -> None:
        assert self.zone.users[options["--uid"]].max_size is not None

    def _do_quota_disable(self, options: dict[str, str]) -> None:
        self.zone.users[options["--uid"]].max_size = None


def _failed(code: int, words: str) -> Result:
    return Result(code=code, stdout="", stderr=f"{words}\n")
