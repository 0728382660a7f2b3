"""Pack charms: `charms/<name>` becomes the archive `build/openinfra-<name>.charm`.

An archive holds what `charmcraft pack` would put there: `charmcraft.yaml` split into Juju's four files, `dispatch`,
the charm's sources, and in `venv/` what they import of the shared package, with the locked dependencies. These are kept to
pure Python, so one archive serves every base and architecture that the charm names. The same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from openinfra_model.charm_archive import CharmError, read_archive
from openinfra_model.devtools.imports import needed
from openinfra_model.document import DocumentError, Json, Node, Problems, dump, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_SOURCES = ("LICENSE", "README.md", "icon.svg", "lib", "src")
_METADATA_KEYS = (
    "assumes",
    "charm-user",
    "containers",
    "description",
    "devices",
    "extra-bindings",
    "name",
    "peers",
    "provides",
    "requires",
    "resources",
    "storage",
    "subordinate",
    "summary",
    "terms",
)
_LINK_KEYS = {"documentation": "docs", "contact": "maintainers"}
_ARCHITECTURES = ("amd64", "arm64", "ppc64el", "riscv64", "s390x")
_DISPATCH = b"""\
#!/bin/sh
# Juju runs relation-changed for the same unit right after relation-joined, which no charm of ours observes.
case $JUJU_DISPATCH_PATH in *-relation-joined) exit ;; esac
charm="$(cd "${0%/*}" && pwd)"
export PYTHONPATH="$charm/lib:$charm/src:$charm/venv"
exec python3 "$charm/src/charm.py"
"""
# Wheels are chosen for one platform whatever machine packs: their compiled parts are left out, the rest is the same.
_PLATFORM = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28")
_KEPT_METADATA = ("METADATA", "entry_points.txt")


_Result = TypeVar("_Result")


class PackError(Exception):
    """A charm cannot be packed; the message names the file, the reason and the remedy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """A charm's archive; `changed` tells whether its bytes differ from those that were there before."""

    name: str
    path: Path
    sha256: str
    changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    content: bytes
    executable: bool = False


def charm_names(root: Path) -> list[str]:
    """Return the names of the charms under `root`/charms, sorted."""
    return sorted(path.parent.name for path in root.glob("charms/*/charmcraft.yaml"))


def pack(root: Path, names: Sequence[str] = ()) -> list[Packed]:
    """Pack the named charms, or all; an archive that would not change is not written.

    Raises:
        PackError: if a charm is unknown, cannot be packed, or would be refused by Juju.
    """
    return _for_each(root, names, _pack_one)


def stage(root: Path, names: Sequence[str] = ()) -> list[Path]:
    """Write a copy of each charm to `build/stage/<name>` from which `charmcraft pack` makes the same archive.

    charmcraft cannot reach outside the charm's directory; the copy has all that an archive has but the files that
    charmcraft writes itself.

    Raises:
        PackError: as `pack`.
    """
    return _for_each(root, names, _stage_one)


def uv(folder: Path, *arguments: str) -> str:
    """Run uv in a folder and return what it printed.

    Raises:
        PackError: uv is not to be found, or failed; the message has its words.
    """
    program = os.environ.get("UV") or shutil.which("uv")
    if program is None:
        raise PackError("uv is not to be found: put it on PATH, or name it in the environment variable UV")
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PackError(f"uv {arguments[0]} failed with exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _for_each(root: Path, names: Sequence[str], do: Callable[[Path, Path, str], _Result]) -> list[_Result]:
    known = charm_names(root)
    for name in names:
        if name not in known:
            raise PackError(
                f'no charm "{name}": there is no charms/{name}/charmcraft.yaml; known: {", ".join(known)}'
            )
    dependencies = _dependencies(root)
    # Not in threads: it is all computing, and ast.parse of Python 3.11 fails where two threads call it (SystemError).
    return [do(root, dependencies, name) for name in names or known]


def _pack_one(root: Path, dependencies: Path, name: str) -> Packed:
    project = _read_project(root / "charms" / name / "charmcraft.yaml")
    files = _sources(root, dependencies, name) | _juju_files(project)
    path = root / "build" / f"openinfra-{name}.charm"
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        made = Path(temporary) / path.name
        _write_archive(made, files)
        try:
            read_archive(made)
        except CharmError as error:
            raise PackError(f"charms/{name}: Juju would refuse the archive: {error.message}") from error
        digest = _sha256(made)
        changed = not path.exists() or _sha256(path) != digest
        if changed:
            made.replace(path)
    return Packed(name=name, path=path, sha256=digest, changed=changed)


def _stage_one(root: Path, dependencies: Path, name: str) -> Path:
    target = root / "build" / "stage" / name
    shutil.rmtree(target, ignore_errors=True)
    project = (root / "charms" / name / "charmcraft.yaml").read_bytes()
    files = _sources(root, dependencies, name) | {"charmcraft.yaml": _File(content=project)}
    for member, file in files.items():
        path = target / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.executable else 0o644)
    return target


def _write_archive(path: Path, files: dict[str, _File]) -> None:
    # Stored, not deflated: compressors differ between machines, and the bytes must not.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, file in sorted(files.items()):
            info = zipfile.ZipInfo(member)  # dated 1980-01-01
            info.create_system = 3  # Unix: the modes count
            info.external_attr = (stat.S_IFREG | (0o755 if file.executable else 0o644)) << 16
            archive.writestr(info, file.content)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sources(root: Path, dependencies: Path, name: str) -> dict[str, _File]:
    charm = root / "charms" / name
    if not (charm / "src/charm.py").is_file():
        raise PackError(f"{charm / 'src/charm.py'}: missing: dispatch runs it")
    files = {"dispatch": _File(content=_DISPATCH, executable=True)}
    for source in _SOURCES:
        files |= _tree(charm / source, source)
    files |= _tree(dependencies, "venv")
    shared = root / "lib/openinfra_charm/src/openinfra_charm"
    used = needed(shared, (charm / "src").rglob("*.py"))
    return files | {f"venv/{path.relative_to(shared.parent)}": _file(path) for path in used}


def _tree(path: Path, member: str) -> dict[str, _File]:
    found = [path] if path.is_file() else path.rglob("*")
    return {
        str(PurePosixPath(member) / file.relative_to(path)): _file(file)
        for file in found
        if file.is_file() and "__pycache__" not in file.parts
    }


def _file(path: Path) -> _File:
    return _File(content=path.read_bytes(), executable=bool(path.stat().st_mode & stat.S_IXUSR))


def _dependencies(root: Path) -> Path:
    """Return the directory of the locked dependencies, installed anew when the lock or this recipe changed."""
    inputs = (root / "uv.lock", root / "lib/openinfra_charm/pyproject.toml", Path(__file__))
    key = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()[:16]
    target = root / "build" / "venv" / key
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
            installed = Path(temporary) / "venv"
            _install(root, installed)
            _prune(installed)
            try:
                installed.replace(target)
            except OSError:
                # Another process may have been faster.
                if not target.exists():
                    raise
    return target


def _install(root: Path, target: Path) -> None:
    locked = uv(root, "export", "--frozen", "--package", "openinfra-charm", "--no-emit-workspace", "--no-dev")
    requirements = target.with_suffix(".txt")
    requirements.write_text(locked)
    install = ("pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:", *_PLATFORM)
    uv(root, *install, "--target", str(target), "--requirement", str(requirements))


def _prune(tree: Path) -> None:
    """Leave what a charm imports, the metadata that finds plugins, and the licences."""
    for path in tree.rglob("*"):
        if path.is_file() and not _is_shipped(path.relative_to(tree)):
            path.unlink()


def _is_shipped(path: Path) -> bool:
    if path.parts[0].endswith(".dist-info"):
        return path.name in _KEPT_METADATA or "licenses" in path.parts
    return path.suffix == ".py" and "tests" not in path.parts


def _read_project(path: Path) -> dict[str, Node]:
    try:
        documents = read(path)
        problems = Problems()
        project = problems.mapping(documents[0] if documents else None, "charmcraft.yaml", string_keys=True)
        problems.raise_if_any()
    except DocumentError as error:
        raise PackError(str(error)) from error
    if not project:
        raise PackError(f"{path}: empty: describe the charm there")
    return project


def _juju_files(project: dict[str, Node]) -> dict[str, _File]:
    contents: dict[str, Json] = {
        "metadata.yaml": _metadata(project),
        "manifest.yaml": {"bases": _manifest_bases(project)},
    }
    contents |= {f"{key}.yaml": project[key].plain() for key in ("actions", "config") if key in project}
    return {name: _File(content=dump(content).encode()) for name, content in contents.items()}


def _metadata(project: dict[str, Node]) -> Json:
    """Return what charmcraft writes to metadata.yaml: `title` and `links` have other names there."""
    metadata: dict[str, Json] = {key: project[key].plain() for key in _METADATA_KEYS if key in project}
    if "title" in project:
        metadata["display-name"] = project["title"].plain()
    links = project["links"].value if "links" in project else None
    for key, node in links.items() if isinstance(links, dict) else ():
        value = node.plain()
        metadata[_LINK_KEYS.get(key, key)] = [value] if key == "contact" and isinstance(value, str) else value
    return metadata


def _manifest_bases(project: dict[str, Node]) -> list[Json]:
    """Return the bases that the platforms name, each with all its architectures."""
    default = project["base"].text if "base" in project else ""
    architectures: dict[str, list[str]] = {}
    for target in _targets(project):
        base, _, architecture = target.rpartition(":")
        base = base or default
        if "@" not in base or architecture not in (*_ARCHITECTURES, "all"):
            raise PackError(f'platform "{target}": name a base and an architecture, as in ubuntu@24.04:amd64')
        named = _ARCHITECTURES if architecture == "all" else (architecture,)
        listed = architectures.setdefault(base, [])
        listed += [name for name in named if name not in listed]
    return [
        {"name": base.partition("@")[0], "channel": base.partition("@")[2], "architectures": [*names]}
        for base, names in architectures.items()
    ]


def _targets(project: dict[str, Node]) -> Iterable[str]:
    platforms = project["platforms"].value if "platforms" in project else None
    if not isinstance(platforms, dict):
        raise PackError("platforms: missing: name at least one, as in ubuntu@24.04:amd64")
    for label, node in platforms.items():
        targets = node.value.get("build-for") if isinstance(node.value, dict) else None
        if targets is None:
            yield label
        else:
            yield from (
                [target.text for target in targets.value]
                if isinstance(targets.value, list)
                else [targets.text]
            )
