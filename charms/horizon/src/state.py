"""What the options say, as a frozen record: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import ast
import configparser
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import check
from openinfra_charm.model.status import ConfigError
from openinfra_charm.values import split

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = {"m": 60, "h": 3600, "d": 86400}
UPLOADS = ("legacy", "direct", "off")
SITE = "site"
"""The theme that is the site's own."""
THEMES = ("default", "material", SITE)
_LIFETIMES = (5 * 60, 7 * 86400)
_ORIGIN = re.compile(r"https://[A-Za-z0-9.:\[\]-]+(:\*)?")
_DOMAIN = re.compile(r"[^\x00-\x1f]{1,64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The portal's own options, checked. Times are in seconds."""

    session_lifetime: int
    multi_domain: bool
    default_domain: str
    theme: str
    image_upload: str
    console_origins: tuple[str, ...]
    """Where consoles are, besides the hosts that the portal is reached at."""

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        domain, theme, upload = (options[key] for key in ("default-domain", "theme", "image-upload"))
        check(options, "default-domain", _DOMAIN.fullmatch(domain), "the name of a domain")
        check(options, "theme", theme in THEMES, f"one of {', '.join(THEMES)}")
        check(options, "image-upload", upload in UPLOADS, f"one of {', '.join(UPLOADS)}")
        origins = split(options["console-origins"])
        are_origins = all(map(_ORIGIN.fullmatch, origins))
        check(options, "console-origins", are_origins, "origins such as https://console.example")
        _check_literals(options.get("extra-config", ""))
        return cls(
            session_lifetime=_lifetime(options["session-lifetime"]),
            multi_domain=options["multi-domain"],
            default_domain=domain,
            theme=theme,
            image_upload=upload,
            console_origins=origins,
        )


def _lifetime(text: str) -> int:
    match = re.fullmatch(r"(\d+)([mhd])", text.strip())
    seconds = int(match[1]) * SECONDS[match[2]] if match else 0
    if not _LIFETIMES[0] <= seconds <= _LIFETIMES[1]:
        raise ConfigError("session-lifetime", text, "5m to 7d, as a number and m, h or d")
    return seconds


def _check_literals(lines: str) -> None:
    """See that an operator's lines are settings, and none ends the portal's process when it starts.

    That they are an INI file at all, and set nothing that the charm does, is checked where they are written.
    """
    parser = configparser.RawConfigParser(strict=False, default_section="")
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    try:
        parser.read_string(lines)
    except configparser.Error:
        return
    for section in parser.sections():
        if section != "settings":
            raise ConfigError("extra-config", lines, f"settings of Horizon below [settings], not [{section}]")
        for key, value in parser[section].items():
            if not key.isupper():
                raise ConfigError(
                    "extra-config", lines, f"names of Horizon's settings in capitals, not {key}"
                )
            try:
                ast.literal_eval(value)
            except (ValueError, SyntaxError) as error:
                raise ConfigError(
                    "extra-config", lines, f"a literal of Python for {key}, not {value}"
                ) from error
