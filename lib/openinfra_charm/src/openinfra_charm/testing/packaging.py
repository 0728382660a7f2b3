"""The twin of what `openinfra_charm.openstack.release` builds with: pip, uv, and the distribution's Python modules.

A charm's twin brings it to its machines: `machine.bring(Packaging(machine))`. Left out: the packages themselves (of each
there is one file), and the network but for `offline`.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.openstack import release
from openinfra_charm.testing import Software

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine


class Packaging(Software):
    """Python on one machine. `offline` tells that no registry is reached; `broken_modules` cannot be imported.

    `files` maps a package of the distribution to the files that it has.
    """

    def __init__(self, machine: MemoryMachine, python: str = "python3.13") -> None:
        super().__init__()
        self.machine = machine
        self.offline = False
        self.broken_modules: set[str] = set()
        self.files: dict[str, list[str]] = {}
        self.installed: list[str] = []
        self.programs = {
            "chmod": lambda _argv, _stdin: None,
            "chown": lambda _argv, _stdin: None,
            "dpkg-query": self._dpkg_query,
            "install": self._install,
        }
        self.set_python(python)

    def set_python(self, name: str) -> None:
        """Have the system's Python be another one, such as `python3.14`."""
        self.machine.have(f"/usr/bin/{name}", "program", mode=0o755)
        self.machine.link("/usr/bin/python3", name)
        self.machine.handlers[f"/usr/bin/{name}"] = self._pip

    def _make(self, path: str, content: str = "content\n") -> None:
        """Make a file as programs do: nobody has synced it. One that is there is as good."""
        if self.machine.exists(path):
            return
        self.machine._make_file(path, content.encode(), mode=0o644, user="root", group="root")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def _install(self, argv: tuple[str, ...], _stdin: str | None) -> None:
        """Put a file of the charm's into a tree; where it is from is no part of the machine."""
        source, target = argv[-2:]
        self._make(target, Path(source).read_bytes().decode(errors="replace"))

    def _pip(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        if self.offline:
            return Result(code=1, stdout="", stderr="ERROR: No matching distribution found for uv\n")
        lock = self.machine.read(argv[argv.index("--requirement") + 1]) or ""
        tool = argv[argv.index("--target") + 1]
        self._make(f"{tool}/bin/uv", "program")
        version = re.findall(r"^uv==(\S+)", lock)[0]
        self.machine.handlers[f"{release.TOOLS}/uv-{version}/bin/uv"] = self._uv
        return None

    def _uv(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        if argv[1] == "venv":
            tree, python = argv[-1], argv[argv.index("--python") + 1]
            self._make(f"{tree}/pyvenv.cfg", "home = /usr/bin\n")
            self._make(f"{tree}/bin/python", python)
            self.machine.handlers[f"{tree}/bin/python"] = self._import
            return None
        if self.offline:
            return Result(
                code=2, stdout="", stderr="error: Failed to fetch: https://index/simple\n  dns error\n"
            )
        python = argv[argv.index("--python") + 1]
        tree = python.removesuffix("/bin/python")
        interpreter = (self.machine.read(python) or "").rpartition("/")[2]
        site = f"{tree}/lib/{interpreter}/site-packages"
        for name, version in re.findall(
            r"^([\w.-]+)==([\w.]+)", self.machine.read(argv[-1]) or "", re.MULTILINE
        ):
            cached = f"{argv[argv.index('--cache-dir') + 1]}/{name}"
            self._make(cached)
            # Its name may reach the disk long before what it holds.
            self.machine._sync(posixpath.dirname(cached))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            self._make(f"{site}/{name}.py", self.machine.read(cached) or "")
            self._make(f"{site}/{name}-{version}.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n")
            self.installed.append(name)
        return None

    def _dpkg_query(self, argv: tuple[str, ...], _stdin: str | None) -> str:
        return "".join(f"{path}\n" for path in self.files.get(argv[-1], []))

    def _import(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        wanted = set(argv[-1].removeprefix("import ").split(", "))
        missing = sorted(wanted & self.broken_modules)
        words = f"ModuleNotFoundError: No module named {missing[0]!r}\n" if missing else ""
        return Result(code=1 if missing else 0, stdout="", stderr=words)
