"""The charm's own options, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import check

if TYPE_CHECKING:
    from collections.abc import Mapping

_ZONE = re.compile(r"[A-Za-z0-9._-]{1,255}")
_CEPH_BACKUP = re.compile(r"cinder\.backup\.drivers\.ceph", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What an operator wants of block storage."""

    zone: str

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: One has a value that cannot be used.
        """
        zone = options["availability-zone"]
        check(
            options,
            "availability-zone",
            _ZONE.fullmatch(zone),
            "letters, digits, dots, dashes and underscores",
        )
        shifts = _CEPH_BACKUP.search(options.get("extra-config", ""))
        words = (
            "another backup driver than Ceph's: in these releases its whole restore of a volume with holes shifts data "
            "(LP2155612); integrate s3-parameters with an object store"
        )
        check(options, "extra-config", not shifts, words)
        return cls(zone=zone)
