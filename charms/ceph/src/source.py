"""Where Ceph's packages come from: what the options `source` and `key` say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from openinfra_charm.model.status import ConfigError

_CLOUD = re.compile(
    r"cloud:(?P<series>[a-z]+)-(?P<name>[a-z0-9][a-z0-9.]*)(?:/(?P<pocket>updates|proposed))?"
)
_CLOUD_LINE = (
    "deb [signed-by=/usr/share/keyrings/ubuntu-cloud-keyring.gpg] "
    "http://ubuntu-cloud.archive.canonical.com/ubuntu {series}-{pocket}/{name} main"
)
_DEB = re.compile(
    r"deb +(?:\[ *(?P<options>[a-z-]+=[^\s\]]+(?: +[a-z-]+=[^\s\]]+)*) *\] +)?"
    r"(?P<url>[a-z+]+:/[^\s\[\]]+) +(?P<suite>[^\s\[\]]+)(?P<components>(?: +[a-z0-9][\w.+/-]*)*) *"
)
_KEY = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----\n.*\n-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An archive as a line of sources.list(5); without a line it is the distribution's own.

    `key` is the archive's public key, ASCII-armored; `series` the Ubuntu release that an archive is for, if it is for one.
    """

    line: str = ""
    key: str = ""
    series: str = ""

    @classmethod
    def parse(cls, source: str, key: str) -> Source:
        """Read the options.

        Raises:
            ConfigError: One of them cannot be used.
        """
        source, key = source.strip(), key.strip()
        found = cls._parse(source)
        if key and not _KEY.fullmatch(key):
            # Not the value: what is no public key may be a private one.
            raise ConfigError("key", f"{key[:30]}...", "an ASCII-armored public PGP key")
        if key and (not found.line or found.series or "signed-by=" in source):
            raise ConfigError(
                "key", f"{key[:30]}...", "nothing, unless source is a deb line without signed-by="
            )
        return cls(line=found.line, key=f"{key}\n" if key else "", series=found.series)

    @classmethod
    def _parse(cls, source: str) -> Source:
        if source in {"", "distro"}:
            return cls()
        if cloud := _CLOUD.fullmatch(source):
            pocket = cloud["pocket"] or "updates"
            line = _CLOUD_LINE.format(series=cloud["series"], name=cloud["name"], pocket=pocket)
            return cls(line=line, series=cloud["series"])
        deb = _DEB.fullmatch(source)
        # A suite that ends with a slash is a path, and has no components.
        if deb and deb["suite"].endswith("/") != bool(deb["components"]):
            return cls(line=" ".join(source.split()))
        raise ConfigError(
            "source", source, "nothing, distro, cloud:SERIES-NAME, or deb [OPTIONS] URL SUITE COMPONENTS"
        )

    @property
    def words(self) -> str:
        """What it is called in a status."""
        return self.line or "the distribution's own packages"

    @property
    def place(self) -> str:
        """The archive's URL and suite, as `apt-cache madison` prints them."""
        deb = _DEB.fullmatch(self.line)
        return f"{deb['url'].rstrip('/')} {deb['suite']}" if deb else ""

    def signed_line(self, keyring: str) -> str:
        """Return the line for apt, with the path of the file that holds the archive's key."""
        if not self.key:
            return self.line
        words = self.line.removeprefix("deb").strip()
        options, words = words[1:].split("]", 1) if words.startswith("[") else ("", words)
        return f"deb [{' '.join([*options.split(), f'signed-by={keyring}'])}] {words.strip()}"
