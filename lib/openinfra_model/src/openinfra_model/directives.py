"""The short texts by which Juju is told about storage and hardware."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from openinfra_model.charm import parse_size

_POOL = re.compile(r"[a-zA-Z]+[-?a-zA-Z0-9]*")
_COUNT = re.compile(r"\d+")
_SIZE = re.compile(r"\d+(?:\.\d+)?[MGTPEZY]?")
_WORDS = re.compile(r"\S+")
_CONSTRAINTS = {
    "allocate-public-ip": re.compile("true|false"),
    "arch": re.compile("amd64|arm64|ppc64el|riscv64|s390x"),
    "container": re.compile("none|lxd"),
    "cores": _COUNT,
    "cpu-cores": _COUNT,
    "cpu-power": _COUNT,
    "image-id": _WORDS,
    "instance-role": _WORDS,
    "instance-type": _WORDS,
    "mem": _SIZE,
    "root-disk": _SIZE,
    "root-disk-source": _WORDS,
    "spaces": _WORDS,
    "tags": _WORDS,
    "virt-type": _WORDS,
    "zones": _WORDS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageRequest:
    """How much of a store each unit gets; size in MiB; what is not given follows the charm and the cloud."""

    pool: str = ""
    size: int | None = None
    count: int | None = None


def parse_storage(text: str) -> StorageRequest:
    """Read a storage directive: pool, count and size in any order, with commas between, as in `loop,2,10G`.

    Raises:
        ValueError: if a part is none of these, or given twice.
    """
    request = StorageRequest()
    for part in filter(None, text.split(",")):
        if _POOL.fullmatch(part) and not request.pool:
            request = replace(request, pool=part)
        elif _COUNT.fullmatch(part) and request.count is None:
            request = replace(request, count=int(part))
        elif part[0].isdigit() and part[-1].isalpha() and request.size is None:
            request = replace(request, size=parse_size(part))
        else:
            raise ValueError(
                f'unrecognized storage directive "{part}": write POOL,COUNT,SIZE as in loop,2,10G'
            )
    if request.count == 0:
        raise ValueError("count must be greater than zero, got 0")
    if request.size is not None and request.count is None:
        return replace(request, count=1)
    return request


def check_constraints(text: str) -> None:
    r"""Check constraints such as `cores=4 mem=8G`; a space inside a value is written `\ `.

    Raises:
        ValueError: if one is unknown, given twice, or its value of the wrong form.
    """
    seen: set[str] = set()
    for word in text.replace(r"\ ", "_").split():
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f'malformed constraint "{word}": write NAME=VALUE')
        if name not in _CONSTRAINTS:
            raise ValueError(f'unknown constraint "{name}": use one of {", ".join(_CONSTRAINTS)}')
        if name in seen:
            raise ValueError(f'bad "{name}" constraint: already set')
        if value and not _CONSTRAINTS[name].fullmatch(value):
            raise ValueError(
                f'bad "{name}" constraint: "{value}" does not match {_CONSTRAINTS[name].pattern}'
            )
        seen.add(name)
