"""A twin of Ceph's object gateway: the programs radosgw-admin and rgw-ask on machines that share one zone, and its daemon.

Played: realm, zone group, zone and the period that makes them count; users with keys and quotas; buckets with their owners;
a daemon that takes its configuration and certificate when it starts, serves only a zone that is there, and only in
`ceph-radosgw@`'s unit of its own name.

Left out: the Ceph cluster behind it (`reaches` says whether it answers; a key in the keyring lets everybody in), objects,
S3's and Swift's requests but for those of rgw-ask, Keystone, TLS itself, and more than one site.
"""

from __future__ import annotations

import configparser
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import Result
from openinfra_charm.testing import Software

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_charm.testing import MemoryMachine

ASK = "/usr/lib/openinfra/rgw-ask"
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
        self._starts = 0
        self._stdin = ""
        self.programs = {"radosgw-admin": self._admin, ASK: self._ask}

    def version_of(self, package: str) -> str | None:
        """Return the version that Debian 13 has."""
        return "18.2.7+ds-1" if package in {"ceph-common", "radosgw"} else None

    @property
    def serves(self) -> bool:
        """Whether the daemon answers."""
        return self.machine.powered and self.machine.serves(self.unit)

    @property
    def config_path(self) -> str:
        """The configuration that the daemon is told to take."""
        drop_in = self.machine.read("/etc/systemd/system/ceph-radosgw@.service.d/openinfra.conf") or ""
        start = next(
            (line for line in drop_in.splitlines() if "/usr/bin/radosgw" in line), "-c /nothing --name"
        )
        return start.partition("-c ")[2].split()[0]

    def can_run(self, unit: str) -> bool:
        """Return whether the daemon finds its zone, its key and its certificate, and may listen where it shall."""
        if unit != self.unit:
            return True
        options = self._configured(self.config_path)
        front = options.get("rgw_frontends", "")
        files = [
            word.partition("=")[2] for word in front.split() if word.startswith(("ssl_cert", "ssl_priv"))
        ]
        return (
            self.zone.committed
            and options.get("rgw_zone") in self.zone.zones
            and f"ssl_endpoint={self.address}:17480" in front
            and bool(files)
            and all(self.machine.read(path) for path in [*files, options.get("keyring", "")])
        )

    def services_changed(self) -> None:
        """Take the configuration and the certificate up when the daemon has been started anew."""
        if self.machine.starts.get(self.unit, 0) != self._starts:
            self._starts = self.machine.starts[self.unit]
            self.options = self._configured(self.config_path)
            self.certificate = self._presented(self.options)

    @property
    def outdated(self) -> bool:
        """Whether the daemon runs with another certificate or configuration than the machine has."""
        options = self._configured(self.config_path)
        return (self.options, self.certificate) != (options, self._presented(options))

    def _presented(self, options: dict[str, str]) -> str:
        words = options.get("rgw_frontends", "").split()
        path = next((word.partition("=")[2] for word in words if word.startswith("ssl_certificate=")), "")
        return self.machine.read(path) or ""

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
        if verb == "make-bucket":
            access, secret = (stdin or "").split()
            owner = next(
                (user.name for user in self.zone.users.values() if user.keys.get(access) == secret), None
            )
            if owner is None:
                return Result(code=1, stdout="radosgw answers 403: InvalidAccessKeyId\n", stderr="")
            self.zone.buckets.setdefault(what, owner)
        elif what != "/" and what.removeprefix("/") not in self.zone.buckets:
            return Result(code=1, stdout="radosgw answers 404: NoSuchBucket\n", stderr="")
        return Result(code=0, stdout="", stderr="")

    # radosgw-admin

    def _admin(self, argv: tuple[str, ...], stdin: str | None) -> Result:
        self._stdin = stdin or ""
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

    def _do_bucket_stats(self, options: dict[str, str]) -> list[dict[str, Any]]:
        return [
            {
                "bucket": bucket, "tenant": "", "owner": owner,
                "usage": {"rgw.main": {"size_actual": 4096 * count, "num_objects": count}} if count else {},
            }
            for bucket, owner in self.zone.buckets.items()
            for count in [self.zone.objects.get(bucket, 0)]
            if options.get("--uid", owner) == owner
        ]  # fmt: skip

    def _do_quota_set(self, options: dict[str, str]) -> None:
        self.zone.users[options["--uid"]].max_size = int(options["--max-size"].removesuffix("B"))

    def _do_quota_enable(self, options: dict[str, str]) -> None:
        assert self.zone.users[options["--uid"]].max_size is not None

    def _do_quota_disable(self, options: dict[str, str]) -> None:
        self.zone.users[options["--uid"]].max_size = None


def _failed(code: int, words: str) -> Result:
    return Result(code=code, stdout="", stderr=f"{words}\n")
