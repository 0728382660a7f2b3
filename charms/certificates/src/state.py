"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon.tls import RENEWAL
from openinfra_charm.interfaces.tls_certificates import fingerprint
from openinfra_charm.model.options import check
from openinfra_charm.model.status import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = "a number and m, h, d or w, such as 90d"
_LONGEST_NAME = 64
_LONGEST = 36500 * UNITS["d"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The charm's options, checked. Durations are in seconds."""

    common_name: str
    root_validity: int
    validity: int
    grace: int
    secret: str
    """The id of the operator's secret; empty without one."""

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        name = options["ca-common-name"].strip()
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise ConfigError("ca-common-name", name, f"1 to {_LONGEST_NAME} characters")
        root, leaf = _duration(options, "root-ca-validity"), _duration(options, "certificate-validity")
        longer = f"less than root-ca-validity ({options['root-ca-validity']})"
        check(options, "certificate-validity", leaf < root, longer)
        return cls(
            common_name=name,
            root_validity=root,
            validity=leaf,
            grace=_duration(options, "acknowledgement-grace", least=0),
            secret=options.get("ca-secret", ""),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Authority:
    """A CA as the units know it, all but its key. Times are in seconds since the epoch."""

    certificate: str
    chain: tuple[str, ...]
    """From its certificate to the root; a root's is itself alone."""
    begins: float
    ends: float
    secret: str = ""
    """The id of the secret that holds its `private-key`."""
    origin: str = ""
    """The operator's secret that it is from; empty where the application made it."""

    @property
    def root(self) -> str:
        """What others have to trust."""
        return self.chain[-1]

    @property
    def renew_at(self) -> float:
        """From when on it is to be replaced by the next one."""
        return self.begins + (self.ends - self.begins) * RENEWAL

    @classmethod
    def parse(cls, facts: Mapping[str, Any]) -> Authority:
        """Read what the leader has published."""
        return cls(**{**facts, "chain": tuple(facts["chain"])})

    def plain(self) -> dict[str, Any]:
        """Return what the leader publishes."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """A unit that has a certificate or only the bundle, or an application as a whole.

    `trusts` and `serves` are the fingerprints that it has acknowledged, `issued` is that of its certificate; empty
    where it has none.
    """

    name: str
    issued: str = ""
    trusts: frozenset[str] = frozenset()
    serves: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Succession:
    """The CA that signs, and while it is replaced the other one.

    There are three phases. `steady`: one CA. `announced`: the old one signs, the new one is in the bundle that all get.
    `reissued`: the new one signs, all certificates are of it, and the old one stays in the bundle.
    """

    signing: Authority
    old: Authority | None = None
    new: Authority | None = None
    since: float = 0
    """When the phase began."""

    @property
    def bundle(self) -> tuple[str, ...]:
        """The CA certificates that all have to trust."""
        present = (self.old, self.signing, self.new)
        return tuple(dict.fromkeys(one.root for one in present if one))

    @property
    def is_changing(self) -> bool:
        """Whether one CA takes the place of another."""
        return bool(self.old or self.new)

    def may_be_replaced(self, now: float) -> bool:
        """Return whether another CA may be announced: in the steady phase, or when the one that signs is not valid yet."""
        return not self.new and (not self.old or now < self.signing.begins)

    def announce(self, authority: Authority, now: float) -> Succession:
        """Begin to replace the CA."""
        return replace(self, new=authority, since=now)

    def waits_for(self, holders: list[Holder]) -> list[str]:
        """Return who has not acknowledged what this phase is about."""
        if self.new:
            root = fingerprint(self.new.root)
            return sorted({one.name for one in holders if root not in one.trusts})
        if self.old:
            return sorted({one.name for one in holders if one.issued and one.issued not in one.serves})
        return []

    def advance(self, holders: list[Holder], now: float, grace: int) -> Succession:
        """Return the next phase when it is time for it: all have acknowledged, or the grace is over.

        A CA that was made while a clock was ahead, and is not valid yet, signs nothing that anybody can use: the new one takes
        over at once.
        """
        over = now >= self.since + grace or now >= (self.old or self.signing).ends
        if self.new:
            over = over or now < self.signing.begins
        if not self.is_changing or (self.waits_for(holders) and not over):
            return self
        if self.new:
            return Succession(signing=self.new, old=self.signing, since=now)
        return Succession(signing=self.signing, since=now)

    @classmethod
    def parse(cls, facts: Mapping[str, Any]) -> Succession:
        """Read what the leader has published."""
        others = {key: Authority.parse(facts[key]) for key in ("old", "new") if facts.get(key)}
        return cls(signing=Authority.parse(facts["signing"]), since=facts["since"], **others)

    def plain(self) -> dict[str, Any]:
        """Return what the leader publishes."""
        return {
            "signing": self.signing.plain(),
            "old": self.old.plain() if self.old else None,
            "new": self.new.plain() if self.new else None,
            "since": self.since,
        }


def _duration(options: Mapping[str, Any], name: str, least: int = 1) -> int:
    match = re.fullmatch(r"(\d+)\s*([mhdw])", options[name].strip())
    seconds = int(match[1]) * UNITS[match[2]] if match else -1
    check(options, name, least <= seconds <= _LONGEST, f"{_DURATION}, at most 36500d")
    return seconds
