"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import check, whole
from openinfra_charm.model.status import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTO = "auto"
CUSTOM = "custom"
KINDS = (AUTO, "kvm", "qemu")
MODES = (AUTO, "host-model", "host-passthrough", "maximum", CUSTOM)
PAGES = {"2M": 2048, "1G": 1048576}
"""The kernel's sizes in KiB, by what operators call them."""
_CPUS = re.compile(r"\d+(-\d+)?(,\^?\d+(-\d+)?)*")
_MODEL = re.compile(r"[A-Za-z0-9._-]+")
_RESERVED = re.compile(r"node:\d+,size:\d+,count:\d+")
_MOST_CPUS = 4096
_LONGEST = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the operator wants. `huge_pages` has the number of pages of each size in KiB."""

    virt_type: str
    cpu_mode: str
    cpu_model: str
    nested: bool
    dedicated: str
    shared: str
    huge_pages: tuple[tuple[int, int], ...]
    reserved_memory: int
    reserved_disk: int
    reserved_cpus: int
    reserved_huge_pages: str
    shutdown_timeout: int

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Read the charm's options.

        Raises:
            ConfigError: One has a value that cannot be used.
        """
        check(options, "virt-type", options["virt-type"] in KINDS, " or ".join(KINDS))
        mode, model = options["cpu-mode"], options["cpu-model"]
        check(options, "cpu-mode", mode in MODES, " or ".join(MODES))
        is_named = bool(_MODEL.fullmatch(model)) if mode == CUSTOM else not model
        check(options, "cpu-model", is_named, "with cpu-mode=custom a model that libvirt knows, else nothing")
        dedicated, shared = (_cpus(options, name) for name in ("cpu-dedicated-set", "cpu-shared-set"))
        if both := dedicated & shared:
            wanted = f"CPUs that are not in cpu-dedicated-set, as {min(both)} is"
            raise ConfigError("cpu-shared-set", options["cpu-shared-set"], wanted)
        reserved = options["reserved-huge-pages"].split()
        is_usable = all(_RESERVED.fullmatch(one) for one in reserved)
        check(options, "reserved-huge-pages", is_usable, "node:NUMBER,size:KIB,count:NUMBER")
        cpus = whole(options, "reserved-host-cpus", 0)
        is_alone = not (cpus and (dedicated or shared))
        check(options, "reserved-host-cpus", is_alone, "0 with cpu-dedicated-set or cpu-shared-set")
        return cls(
            virt_type=options["virt-type"],
            cpu_mode=mode,
            cpu_model=model,
            nested=options["nested"],
            dedicated=options["cpu-dedicated-set"],
            shared=options["cpu-shared-set"],
            huge_pages=_pages(options),
            reserved_memory=whole(options, "reserved-host-memory", 0),
            reserved_disk=whole(options, "reserved-host-disk", 0),
            reserved_cpus=cpus,
            reserved_huge_pages=" ".join(reserved),
            shutdown_timeout=whole(options, "shutdown-timeout", 10, _LONGEST),
        )


def _cpus(options: Mapping[str, Any], option: str) -> set[int]:
    """Return the CPUs of a set; none where it is empty."""
    text = options[option]
    if not text:
        return set()
    check(options, option, _CPUS.fullmatch(text), "CPUs such as 4-15,20-31,^7")
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.removeprefix("^").partition("-")
        numbers = range(int(first), min(int(last or first), _MOST_CPUS) + 1)
        found = found - set(numbers) if part.startswith("^") else found | set(numbers)
    check(options, option, found, "CPUs such as 4-15,20-31,^7")
    return found


def _pages(options: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    words = options["huge-pages"].replace(",", " ").split()
    found: dict[int, int] = {}
    for word in words:
        size, _, number = word.partition(":")
        is_one = size in PAGES and number.isdecimal() and PAGES[size] not in found
        check(options, "huge-pages", is_one, "2M:NUMBER and 1G:NUMBER, each once")
        found[PAGES[size]] = int(number)
    return tuple(sorted(found.items()))


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine; `migration` is the address at which other hosts reach libvirt."""

    settings: Settings
    migration: str
