"""The charm's configuration, parsed and validated once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from openinfra_charm.model.options import whole
from openinfra_charm.model.status import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SERVER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")
_SYSCTL = re.compile(
    r"(?P<lenient>-?)\s*(?P<key>[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+)\s*=\s*(?P<value>\S.*)"
)
_LIMIT = re.compile(
    r"""
    (?P<domain> \* | [@%]?[A-Za-z0-9_.:-]+) \s+
    (?P<type> soft | hard | -) \s+
    (?P<item> core | data | fsize | memlock | nofile | rss | stack | cpu | nproc | as | maxlogins | maxsyslogins
        | nonewprivs | priority | locks | sigpending | msgqueue | nice | rtprio) \s+
    (?P<value> -?\d+ | unlimited | infinity)
    """,
    re.VERBOSE,
)
_LEAST_JOURNAL = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """What the operator wants of the machine.

    Sizes are in MiB, ages in days; `sysctl` maps a key such as `net.core.somaxconn` to its value, and `sysctl_lenient` are
    the keys with a `-` before them: where the kernel does not take one, that is not reported (sysctl.d(5)).
    """

    ntp_servers: tuple[str, ...]
    sysctl: Mapping[str, str]
    sysctl_lenient: frozenset[str]
    limits: tuple[str, ...]
    journal_max_size: int
    journal_max_age: int
    ssh_password_login: bool
    ssh_root_login: Literal["key-only", "no"]
    security_updates: bool

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Config:
        """Read the charm's options.

        Raises:
            ConfigError: An option's value cannot be used.
        """
        settings = list(_sysctl(options["sysctl"]))
        return cls(
            ntp_servers=tuple(_servers(options["ntp-servers"])),
            sysctl={key: value for key, value, _ in settings},
            sysctl_lenient=frozenset(key for key, _, lenient in settings if lenient),
            limits=tuple(_limits(options["limits"])),
            journal_max_size=whole(options, "journal-max-size", _LEAST_JOURNAL),
            journal_max_age=whole(options, "journal-max-age", 0),
            ssh_password_login=options["ssh-password-login"],
            ssh_root_login=_root_login(options["ssh-root-login"]),
            security_updates=options["security-updates"],
        )


def _servers(text: str) -> Iterator[str]:
    for server in filter(None, (part.strip() for part in text.split(","))):
        if not _SERVER.fullmatch(server):
            raise ConfigError("ntp-servers", server, "host names or addresses, comma-separated")
        yield server


def _sysctl(text: str) -> Iterator[tuple[str, str, bool]]:
    for line in _lines(text):
        setting = _SYSCTL.fullmatch(line)
        if not setting:
            raise ConfigError("sysctl", line, "lines such as `net.core.somaxconn = 4096`")
        yield setting["key"], " ".join(setting["value"].split()), bool(setting["lenient"])


def _limits(text: str) -> Iterator[str]:
    for line in _lines(text):
        limit = _LIMIT.fullmatch(line)
        if not limit:
            raise ConfigError("limits", line, "lines such as `* soft nofile 65536`, see limits.conf(5)")
        yield " ".join(limit.groups())


def _lines(text: str) -> Iterator[str]:
    stripped = (line.partition("#")[0].strip() for line in text.splitlines())
    return filter(None, stripped)


def _root_login(word: str) -> Literal["key-only", "no"]:
    match word:
        case "key-only" | "no":
            return word
        case _:
            raise ConfigError("ssh-root-login", word, "key-only or no")
