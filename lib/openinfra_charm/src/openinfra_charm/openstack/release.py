"""Releases of Python software: whole trees in /opt/<application>, side by side, built and switched atomically.

A tree is a virtual environment of the system's Python, made by uv from a hash-locked requirements file, wheels only:

    /opt/<application>/<release>-<hash>/     the tree; bin/, lib/, and etc/ and share/ of the packages
        release.json                         what it was made of (`Tree`)
        requirements.txt                     the lock
        sbom.cdx.json                        what is in it, with versions and licences (CycloneDX 1.6)
    /opt/<application>/current               a link to the tree in use
    /opt/openinfra/                          uv and its cache; trees of all applications share files (hard links)

The hash is over all that decides what is in a tree: the lock, the Python, the distribution's bindings. A tree is built
under a name that does not count, made durable, and only then gets its own. It is root's, and nobody else may write it;
it can be moved nowhere, but runs under whatever name leads to it.

A charm brings `src/releases/<release>/python<X.Y>.txt` for each release (`2026.1`) and each Python of its bases: all packages with
all their dependencies, each with `==` and `--hash`, as `uv pip compile --generate-hashes` writes it. What is not named there is not
installed; each has to have a wheel for each platform of the charm, or for any. `PACKAGES`, and those of its bindings
(`python3-rados`), are installed before. A build takes longer than a hook may: it is a job, `jobs.build_release`.

The programs of packages, started as `/opt/<application>/current/bin/...`, stay in the tree in which they were started;
`current/bin/python` itself, and what is given `current` as a path, find in the new tree what they import after a switch.

What more belongs into a tree than packages, a program of the charm's makes when they are installed (`Wanted.additions`). It runs with
the tree's Python, as the service's user, and is given the folder `made` of the tree, the only place where it may write, and the tree's
name. It and the other additions are in the tree's folder `openinfra`; the tree's hash is over them too.

Registries are reached as /etc/environment says (`UV_DEFAULT_INDEX`, `PIP_INDEX_URL`, `HTTPS_PROXY`, `SSL_CERT_FILE`, ...),
since a job does not have a hook's environment, and Juju's own proxies (/etc/juju-proxy.conf) where that says nothing;
certificates are the system's where neither names any.
"""

from __future__ import annotations

import dataclasses
import email.parser
import hashlib
import json
import re
import shlex
import urllib.parse
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon.job import JobError
from openinfra_charm.machine import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from openinfra_charm.machine import Machine

PACKAGES = ("python3-pip",)
"""What has to be installed before a build: pip, which fetches uv and nothing else."""

TOOLS = "/opt/openinfra"
_USERS = f"{TOOLS}/users"
"""A folder a release, in it a file an application that has trees of it: the last one to go takes the cache along.

While an application builds, its file holds the id of the machine's start: see `_distrust_cache`.
"""
_CACHE = f"{TOOLS}/cache"
_PYTHON = "/usr/bin/python3"
_DIST_PACKAGES = "/usr/lib/python3/dist-packages/"
_BUILDING = ".building-"
_RECORD = "release.json"
_SBOM = "sbom.cdx.json"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_ENVIRONMENT = ("/etc/juju-proxy.conf", "/etc/environment")
"""Where operators and Juju say how the machine reaches the world; the last one has the last word."""
_NAMES = re.compile(r"(UV|PIP)_[A-Z_]+|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|(?i:(https?|all|no)_proxy)")
_BUILD_SECONDS = 1800
_REASON_LENGTH = 500
_NO_REGISTRY = re.compile(r"(?i)connect|fetch|sending request|timed out|dns|matching distribution")

_UV = "0.13.9"
_UV_LOCK = f"""\
uv=={_UV} \\
    --hash=sha256:d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19 \\
    --hash=sha256:ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375
"""
"""uv's wheels for glibc on amd64 and arm64."""


class ReleaseError(JobError):
    """A release cannot be had; the message says why, and what the operator can do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A whole tree as its own record has it.

    `python` is the interpreter's path, `bindings` the versions of the distribution's packages that are linked in.
    """

    name: str
    release: str
    lock: str
    python: str
    bindings: Mapping[str, str]
    built: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A release as it shall be on this machine; `lock` is the path of the requirements file that the charm brings.

    `additions` are the paths of files that belong into the tree, by their names there; the first is the program that completes it.
    """

    release: str
    lock: str
    python: str
    bindings: Mapping[str, str]
    additions: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def lock_hash(self) -> str:
        """The SHA-256 of the lock."""
        return _digest(self.lock)

    @property
    def tree(self) -> str:
        """The name of the tree that holds exactly this."""
        made_of: tuple[object, ...] = (self.lock_hash, self.python, sorted(self.bindings.items()))
        if self.additions:
            made_of = (*made_of, [(name, _digest(path)) for name, path in self.additions.items()])
        return f"{self.release}-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]}"

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of the job `openinfra_charm.openstack.jobs.build_release`."""
        folder = str(Path(self.lock).parents[1])
        additions = {"additions": json.dumps(dict(self.additions))} if self.additions else {}
        return {
            "folder": folder, "release": self.release, "bindings": ",".join(sorted(self.bindings)), **additions,
        }  # fmt: skip


def find(
    machine: Machine,
    folder: Path,
    release: str,
    *,
    bindings: Iterable[str] = (),
    additions: Mapping[str, str] = MappingProxyType({}),
) -> Wanted:
    """Return what a release is made of on this machine.

    Args:
        machine: The machine.
        folder: The charm's locks, `<release>/python<X.Y>.txt`.
        release: Such as `2026.1`.
        bindings: Packages of the distribution whose Python modules the tree shall have too; they are installed.
        additions: The paths of files that belong into the tree, by their names there; the first is the program that completes it.

    Raises:
        ReleaseError: The charm has no lock of that release for this machine's Python, or a binding is not installed.
    """
    python = machine.resolve(_PYTHON)
    lock = folder / release / f"{Path(python).name}.txt"
    if not lock.is_file():
        known = sorted(f"{path.parent.name} for {path.stem}" for path in folder.glob("*/*.txt"))
        raise ReleaseError(
            f"release {release} cannot be had with {Path(python).name}: this charm has {', '.join(known) or 'none'}"
        )
    wanted = tuple(bindings)
    versions = machine.package_versions(wanted) if wanted else {}
    if missing := [name for name in wanted if name not in versions]:
        raise ReleaseError(f"release {release} needs packages that are not installed: {', '.join(missing)}")
    return Wanted(
        release=release, lock=str(lock), python=python, bindings=versions, additions=dict(additions)
    )


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Releases:
    """The trees of one application on this machine."""

    def __init__(self, machine: Machine, application: str) -> None:
        self._machine = machine
        self._application = application
        self.folder = f"/opt/{application}"
        self._link = f"{self.folder}/current"

    # What is there

    def all(self) -> list[Tree]:
        """Return all whole trees, the one that was built last first."""
        names = (name for name in self._machine.list_folder(self.folder) if name != "current")
        found = [tree for name in names if (tree := self.find(name))]
        return sorted(found, key=lambda tree: (tree.built, tree.name), reverse=True)

    def find(self, name: str) -> Tree | None:
        """Return a tree by its name; None where there is none, or one that was never finished."""
        text = None if name.startswith(".") else self._machine.read(f"{self.folder}/{name}/{_RECORD}")
        return Tree(name=name, **json.loads(text)) if text else None

    def is_built(self, wanted: Wanted) -> bool:
        """Return whether there is a tree that holds exactly this."""
        return self.find(wanted.tree) is not None

    @property
    def current(self) -> Tree | None:
        """The tree in use; None before the first `switch`."""
        path = self._machine.resolve(self._link)
        return self.find(Path(path).name) if path != self._link else None

    @property
    def previous(self) -> Tree | None:
        """The tree to go back to: of those that are not in use the one that was built last."""
        current = self.current
        return next((tree for tree in self.all() if tree != current), None)

    # What changes it

    def build(self, wanted: Wanted, report: Callable[[str], None]) -> Tree:
        """Build a tree beside those that are there, unless there is one that holds exactly this; this takes minutes.

        Args:
            wanted: What it is made of.
            report: Is told how far it is, in words.

        Raises:
            ReleaseError: It could not be built; nothing that counts was left.
        """
        if tree := self.find(wanted.tree):
            return tree
        self._distrust_cache(wanted.release)
        mark = f"{_USERS}/{wanted.release}/{self._application}"
        self._machine.write(mark, self._machine.boot_id())
        beside = f"{self.folder}/{_BUILDING}{wanted.tree}"
        self._machine.remove(beside)
        try:
            uv = self._fetch_uv(report)
            self._fill(uv, beside, wanted, report)
        except (CommandError, TimeoutError) as error:
            self._machine.remove(beside)
            raise ReleaseError(f"{wanted.release} cannot be built: {_reason(error)}") from error
        tree = Tree(
            name=wanted.tree,
            release=wanted.release,
            lock=wanted.lock_hash,
            python=wanted.python,
            bindings=dict(wanted.bindings),
            built=self._machine.now(),
        )
        self._machine.write(f"{beside}/{_SBOM}", json.dumps(self._bill(beside, tree), indent=1) + "\n")
        record = {key: value for key, value in dataclasses.asdict(tree).items() if key != "name"}
        self._machine.write(f"{beside}/{_RECORD}", json.dumps(record, indent=1, sort_keys=True) + "\n")
        report("writing it to disk")
        self._machine.move_folder(beside, f"{self.folder}/{wanted.tree}")
        self._machine.write(mark, "")
        return tree

    def switch(self, name: str) -> bool:
        """Have `current` lead to a tree; return whether it led elsewhere before.

        Raises:
            ReleaseError: There is no such tree, or it is not whole; nothing was changed.
        """
        if self.find(name) is None:
            known = ", ".join(tree.name for tree in self.all()) or "none"
            raise ReleaseError(f"there is no tree {name} of {self._application}; there are: {known}")
        return self._machine.link(self._link, name)

    def prune(self) -> list[str]:
        """Remove all but the tree in use and the one that was built last beside it; return the names of those that went.

        What interrupted builds have left goes too, so no job must be building now.
        """
        kept = {tree.name for tree in (self.current, self.previous) if tree}
        names = [name for name in self._machine.list_folder(self.folder) if name != "current"]
        gone = [name for name in names if name not in kept]
        for name in gone:
            # A tree stops counting before the first of its files goes.
            self._machine.remove(f"{self.folder}/{name}/{_RECORD}")
            self._machine.remove(f"{self.folder}/{name}")
        self._leave(keep={tree.release for tree in self.all()})
        return gone

    def remove(self) -> None:
        """Remove all trees, and the tools when no other application has trees."""
        self._machine.remove(self.folder)
        self._leave(keep=set())
        if not self._machine.list_folder(_USERS):
            self._machine.remove(TOOLS)

    def _leave(self, keep: set[str]) -> None:
        """Say that this application has trees of these releases only; a cache that nobody needs goes.

        The trees that were made from it keep their files: they have them by links of their own.
        """
        for release in set(self._machine.list_folder(_USERS)) - keep:
            self._machine.remove(f"{_USERS}/{release}/{self._application}")
            if not self._machine.list_folder(f"{_USERS}/{release}"):
                self._machine.remove(f"{_USERS}/{release}")
                self._machine.remove(f"{_CACHE}/{release}")

    # How it is made

    def _distrust_cache(self, release: str) -> None:
        """Remove a release's cache if the machine has stopped while somebody filled it: uv would take torn files for good."""
        marks = [f"{_USERS}/{release}/{name}" for name in self._machine.list_folder(f"{_USERS}/{release}")]
        torn = [mark for mark in marks if self._machine.read(mark) not in {"", None, self._machine.boot_id()}]
        if torn:
            self._machine.remove(f"{_CACHE}/{release}")
        for mark in torn:
            self._machine.write(mark, "")

    def _fetch_uv(self, report: Callable[[str], None]) -> str:
        """Return the path of uv, which is fetched where it is not there yet."""
        tool = f"{TOOLS}/uv-{_UV}"
        uv = f"{tool}/bin/uv"
        if self._machine.exists(uv):
            return uv
        report("fetching uv")
        # Applications of one machine may be at this at once: each does it on its own, the first gives it the name.
        beside = f"{TOOLS}/{_BUILDING}uv-{self._application}"
        self._machine.remove(beside)
        self._machine.write(f"{beside}/lock.txt", _UV_LOCK)
        self._machine.run(
            self._machine.resolve(_PYTHON), "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir",
            "--disable-pip-version-check", "--root-user-action=ignore", "--no-deps", "--only-binary=:all:",
            "--require-hashes", "--requirement", f"{beside}/lock.txt", "--target", f"{beside}/tree",
            env=environment(self._machine), timeout=_BUILD_SECONDS,
        )  # fmt: skip
        try:
            self._machine.move_folder(f"{beside}/tree", tool)
        except OSError:
            if not self._machine.exists(uv):
                raise
        self._machine.remove(beside)
        return uv

    def _fill(self, uv: str, beside: str, wanted: Wanted, report: Callable[[str], None]) -> None:
        lock = Path(wanted.lock).read_text(encoding="utf-8")
        count = len(re.findall(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[.*\])?==", lock, re.MULTILINE))
        env = {**environment(self._machine), "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}
        # Relocatable: its programs find the tree that they are in, whatever its name will be.
        self._machine.run(
            uv, "venv", "--quiet", "--no-project", "--relocatable", "--no-cache", "--python", wanted.python, beside,
            env=env,
        )  # fmt: skip
        self._machine.write(f"{beside}/requirements.txt", lock)
        report(f"installing {count} packages")
        # Sync installs what the lock names and nothing else. Services cannot write to the tree, so what they import has
        # to be compiled now.
        self._machine.run(
            uv, "pip", "sync", "--quiet", "--python", f"{beside}/bin/python", "--require-hashes", "--no-build",
            "--link-mode", "hardlink", "--compile-bytecode", "--cache-dir", f"{_CACHE}/{wanted.release}",
            f"{beside}/requirements.txt",
            env=env, timeout=_BUILD_SECONDS,
        )  # fmt: skip
        self._link_bindings(beside, wanted)
        self._machine.run("chmod", "-R", "a+rX,go-w", beside)
        if wanted.additions:
            report("completing it")
            self._complete(beside, wanted)

    def _complete(self, beside: str, wanted: Wanted) -> None:
        """Have the charm's program make what more belongs into a tree; none of it is the service's afterwards."""
        user, made, own = self._application, f"{beside}/made", f"{beside}/openinfra"
        self._machine.make_folder(own)
        for name, path in wanted.additions.items():
            self._machine.run("install", "--mode=0644", path, f"{own}/{name}")
        self._machine.make_folder(made, user=user, group=user)
        program = f"{own}/{next(iter(wanted.additions))}"
        self._machine.run(
            "runuser", "-u", user, "--", f"{beside}/bin/python", program, made, wanted.tree,
            env={"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}, timeout=_BUILD_SECONDS,
        )  # fmt: skip
        self._machine.run("chown", "-R", "--no-dereference", "root:root", made)
        self._machine.run("chmod", "-R", "a+rX,go-w", made)

    def _link_bindings(self, beside: str, wanted: Wanted) -> None:
        """Link the distribution's modules into a tree, and see that they can be imported there."""
        site = f"{beside}/lib/{Path(wanted.python).name}/site-packages"
        modules: set[str] = set()
        for package in sorted(wanted.bindings):
            listed = self._machine.run("dpkg-query", "-L", package).stdout.splitlines()
            for name in sorted(_top_level(listed)):
                self._machine.link(f"{site}/{name}", f"{_DIST_PACKAGES}{name}")
                modules.add(name.partition(".")[0])
        if modules:
            self._machine.run(f"{beside}/bin/python", "-c", f"import {', '.join(sorted(modules))}")

    def _bill(self, beside: str, tree: Tree) -> dict[str, Any]:
        """Return the bill of materials of a tree: what is installed there, and what is linked in.

        Source: https://cyclonedx.org/docs/1.6/json/ and https://github.com/package-url/purl-spec.
        """
        site = f"{beside}/lib/{Path(tree.python).name}/site-packages"
        folders = [name for name in self._machine.list_folder(site) if name.endswith(".dist-info")]
        components = [_installed(self._machine.read(f"{site}/{name}/METADATA") or "") for name in folders]
        vendor = dict(
            line.split("=", 1)
            for line in (self._machine.read("/etc/os-release") or "").splitlines()
            if "=" in line
        ).get("ID", "debian")
        for package, version in sorted(tree.bindings.items()):
            components.append(_component(f"pkg:deb/{vendor}/{package}", package, version))
        built = datetime.fromtimestamp(tree.built, tz=UTC)
        return {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{self._application}/{tree.name}')}",
            "version": 1,
            "metadata": {
                "timestamp": built.isoformat(timespec="seconds"),
                "component": {
                    "type": "application",
                    "bom-ref": tree.name,
                    "name": self._application,
                    "version": tree.release,
                },
            },
            "components": components,
        }


def _installed(metadata: str) -> dict[str, Any]:
    """Return the component that an installed package's METADATA describes."""
    fields = email.parser.HeaderParser().parsestr(metadata)
    name = re.sub(r"[-_.]+", "-", fields.get("Name", "")).lower()
    component = _component(f"pkg:pypi/{name}", name, fields.get("Version", ""))
    classified = [
        line.rpartition(" :: ")[2]
        for line in fields.get_all("Classifier", [])
        if line.startswith("License :: OSI Approved :: ")
    ]
    if expression := fields.get("License-Expression"):
        component["licenses"] = [{"expression": expression}]
    elif classified:
        component["licenses"] = [{"license": {"name": name}} for name in classified]
    return component


def _component(package: str, name: str, version: str) -> dict[str, Any]:
    url = f"{package}@{urllib.parse.quote(version, safe='')}"
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def environment(machine: Machine) -> dict[str, str]:
    """Return the variables that say how registries are reached from this machine."""
    found = {"SSL_CERT_FILE": _CERTIFICATES, "PIP_CERT": _CERTIFICATES}
    for path in _ENVIRONMENT:
        for word in shlex.split(machine.read(path) or "", comments=True):
            name, separator, value = word.partition("=")
            if separator and _NAMES.fullmatch(name):
                found[name] = value
    return found


def _top_level(paths: Iterable[str]) -> set[str]:
    """Return the names of modules and packages among a distribution package's files."""
    inside = (path.removeprefix(_DIST_PACKAGES) for path in paths if path.startswith(_DIST_PACKAGES))
    names = {path.partition("/")[0] for path in inside}
    modules = {name for name in names if name.partition(".")[0].isidentifier() and not name.endswith("-info")}
    return modules - {"__pycache__"}


def _reason(error: CommandError | TimeoutError) -> str:
    """Return what a program has said in short, and what to look at where it may not have reached a registry."""
    words = str(error)
    if isinstance(error, CommandError):
        lines = [line.strip() for line in error.stderr.splitlines()]
        told = [line for line in lines if re.match(r"(?i)error|cause|hint|\w+Error\b", line)]
        words = " ".join(told)[:_REASON_LENGTH] or words
    if isinstance(error, TimeoutError) or _NO_REGISTRY.search(words):
        words += "; is the package index reachable from this machine (/etc/environment)?"
    return words
