"""Lock OpenStack's releases: `charms/<name>/releases.toml` becomes `charms/<name>/src/releases/<release>/python<X.Y>.txt`.

A lock names every package that is installed, with one version and the hashes of its wheels for amd64 and arm64;
`openinfra_charm.openstack.release` makes a tree of it. Versions are those of OpenStack's upper-constraints of the release, but for

- the charm's own pins: what the constraints leave open, the service itself among it, and what has no wheel there;
- `security-overrides.txt` (beside `charms/`): packages whose version is older than one without a known vulnerability.

Nothing is left for the day on which it is made: a package that nobody has pinned is refused. So the same input gives
the same bytes, as long as the index has the same wheels.
"""

from __future__ import annotations

import re
import tempfile
import tomllib
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from openinfra_model.devtools import pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

CONSTRAINTS = "https://releases.openstack.org/constraints/upper/{release}"
_OVERRIDES = "security-overrides.txt"
# glibc is that of the oldest base, Ubuntu 24.04.
_PLATFORMS = {"x86_64": "x86_64-manylinux_2_39", "aarch64": "aarch64-manylinux_2_39"}
_SECONDS = 60
_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)===?([^\s;]+)")


class RelockError(Exception):
    """A release cannot be locked; the message names it, the package and the remedy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One release of a charm, as its releases.toml has it."""

    charm: str
    name: str
    pythons: tuple[str, ...]
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    pins: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Locked:
    """A package as it is locked; `platforms` are those that need it."""

    version: str
    hashes: frozenset[str]
    platforms: frozenset[str]


def releases(root: Path, charm: str) -> list[Release]:
    """Return the releases that a charm's releases.toml names.

    Raises:
        RelockError: The charm has none, or the file is not of its form.
    """
    path = root / "charms" / charm / "releases.toml"
    if not path.is_file():
        known = ", ".join(sorted(path.parent.name for path in root.glob("charms/*/releases.toml"))) or "none"
        raise RelockError(
            f'charm "{charm}": there is no {path.relative_to(root)}; charms that have one: {known}'
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return [_read_release(charm, name, content) for name in content["releases"]]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise RelockError(
            f"{path.relative_to(root)}: cannot be used ({error!r}): it has packages, exclude, pins, and for each "
            'release a table [releases."2026.1"] with pythons and pins, all of them lists'
        ) from error


def _read_release(charm: str, name: str, content: dict[str, Any]) -> Release:
    own = content["releases"][name]
    return Release(
        charm=charm,
        name=name,
        pythons=tuple(own["pythons"]),
        packages=tuple(content["packages"]),
        exclude=tuple(content["exclude"]),
        pins=(*content["pins"], *own["pins"]),
    )


def relock(root: Path, release: Release, python: str, constraints: str) -> str:
    """Return the lock of one release for one Python.

    Args:
        root: The clone.
        release: The release.
        python: Such as `3.13`.
        constraints: The text of OpenStack's upper-constraints of that release.

    Raises:
        RelockError: A package has no wheel, or conflicts, or is pinned nowhere.
    """
    where = f"{release.charm} {release.name} for Python {python}"
    pinned = _pinned(constraints.splitlines()) | _pinned(release.pins)
    overrides = _pinned((root / _OVERRIDES).read_text(encoding="utf-8").splitlines())
    pinned |= {
        name: lines for name, lines in overrides.items() if _newest(lines) > _newest(pinned.get(name, []))
    }
    locked: dict[str, _Locked] = {}
    for platform, target in _PLATFORMS.items():
        for name, package in _resolve(f"{where} on {platform}", release, python, target, pinned).items():
            known = locked.get(name, package)
            if known.version != package.version:
                raise RelockError(
                    f"{where}: {name} is {known.version} on one platform and {package.version} on {platform}: pin it"
                )
            locked[name] = _Locked(
                version=package.version,
                hashes=known.hashes | package.hashes,
                platforms=known.platforms | {platform},
            )
    if loose := [f"{name}=={package.version}" for name, package in locked.items() if name not in pinned]:
        raise RelockError(
            f"{where}: pinned nowhere; add to pins in releases.toml: {', '.join(sorted(loose))}"
        )
    return _text(release, python, locked)


def lock(root: Path, names: Sequence[str] = (), constraints: Sequence[str] = ()) -> Iterator[str]:
    """Lock the releases of charms; yield a line for each lock.

    Args:
        root: The clone.
        names: Charms; all that have releases where none is named.
        constraints: `RELEASE=FILE` or `RELEASE=URL`: where upper-constraints are read instead of at OpenStack's site.

    Raises:
        RelockError: A charm or a release is unknown, or cannot be locked; what was locked before stays so.
    """
    named = _named_constraints(constraints)
    charms = names or sorted(path.parent.name for path in root.glob("charms/*/releases.toml"))
    wanted = [release for charm in charms for release in releases(root, charm)]
    if unknown := sorted(set(named) - {release.name for release in wanted}):
        raise RelockError(
            f"--constraints {unknown[0]}=...: no such release; there are: {', '.join(release.name for release in wanted)}"
        )
    texts: dict[str, str] = {}
    for release in wanted:
        if release.name not in texts:
            texts[release.name] = _read_constraints(
                named.get(release.name) or CONSTRAINTS.format(release=release.name)
            )
        for python in release.pythons:
            text = relock(root, release, python, texts[release.name])
            path = root / "charms" / release.charm / "src/releases" / release.name / f"python{python}.txt"
            changed = not path.exists() or path.read_text(encoding="utf-8") != text
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            yield f"{path.relative_to(root)}: {'locked' if changed else 'unchanged'}, {_count(text)} packages"
    for charm in charms:
        yield from _drop_others(root, charm, wanted)


def _named_constraints(words: Sequence[str]) -> dict[str, str]:
    named = dict(word.split("=", 1) for word in words if "=" in word)
    if wrong := [word for word in words if "=" not in word]:
        raise RelockError(
            f"--constraints {wrong[0]}: name the release too, as in 2026.1=upper-constraints.txt"
        )
    return named


def _read_constraints(place: str) -> str:
    try:
        if "://" in place:
            with urllib.request.urlopen(place, timeout=_SECONDS) as answer:  # noqa: S310  # the developer's own words
                return str(answer.read(), "utf-8")
        return Path(place).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RelockError(
            f"upper-constraints cannot be read from {place} ({error}); with a copy: --constraints RELEASE=FILE"
        ) from error


def _drop_others(root: Path, charm: str, wanted: Sequence[Release]) -> Iterator[str]:
    """Remove the locks that releases.toml does not name any more."""
    folder = root / "charms" / charm / "src/releases"
    named = {
        folder / release.name / f"python{python}.txt"
        for release in wanted
        for python in release.pythons
        if release.charm == charm
    }
    for path in sorted(set(folder.glob("*/python*.txt")) - named):
        path.unlink()
        yield f"{path.relative_to(root)}: removed"


def _pinned(lines: Iterable[str]) -> dict[str, list[str]]:
    """Return the lines that pin a package, by its name: there may be one for each Python."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if match := _PINNED.match(line):
            found.setdefault(_normalized(match[1]), []).append(line)
    return found


def _newest(lines: Iterable[str]) -> Version:
    versions = [Version(match[2]) for line in lines if (match := _PINNED.match(line))]
    return max(versions, default=Version("0"))


def _resolve(
    where: str, release: Release, python: str, target: str, pinned: Mapping[str, Sequence[str]]
) -> dict[str, _Locked]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inputs = {
            "packages": release.packages,
            "excludes": release.exclude,
            "constraints": [line for lines in pinned.values() for line in lines],
        }
        for name, lines in inputs.items():
            (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        try:
            pack.uv(
                folder, "pip", "compile", "--quiet", "--no-config", "--no-python-downloads", "--only-binary", ":all:",
                "--python-version", python, "--python-platform", target, "--constraints", "constraints",
                "--excludes", "excludes", "--format", "pylock.toml", "--output-file", "pylock.toml", "packages",
            )  # fmt: skip
        except pack.PackError as error:
            raise RelockError(f"{where}: {error}; pin or exclude it in releases.toml") from error
        packages = tomllib.loads((folder / "pylock.toml").read_text(encoding="utf-8"))["packages"]
    return {
        package["name"]: _Locked(
            version=package["version"],
            hashes=frozenset(wheel["hashes"]["sha256"] for wheel in package["wheels"]),
            platforms=frozenset(),
        )
        for package in packages
    }


def _text(release: Release, python: str, locked: Mapping[str, _Locked]) -> str:
    lines = [
        f"# Made by ./openinfra relock {release.charm} from releases.toml, {_OVERRIDES} and OpenStack's upper-constraints of",
        f"# {release.name}: wheels for Python {python} on {' and '.join(_PLATFORMS)}.",
    ]
    for name, package in sorted(locked.items()):
        (*others, platform) = package.platforms
        only = "" if others else f" ; platform_machine == '{platform}'"
        hashes = [f"    --hash=sha256:{digest}" for digest in sorted(package.hashes)]
        lines.append(" \\\n".join([f"{name}=={package.version}{only}", *hashes]))
    return "\n".join(lines) + "\n"


def _count(text: str) -> int:
    return sum(line[:1] not in {"#", " "} for line in text.splitlines())


def _normalized(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
