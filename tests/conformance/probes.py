"""The probe charms as archives, such as `juju deploy` takes them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import yaml

from .recording import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DISPATCH = "#!/bin/sh\nPYTHONPATH=lib:src:venv exec ./src/charm.py\n"
MANIFEST = {"bases": [{"name": "ubuntu", "channel": "24.04", "architectures": ["amd64"]}]}
EXECUTABLE = 0o755 << 16


def build(name: str, target: Path, program: Path | None = None) -> Path:
    """Pack a probe charm, by default with its own program, and return the archive."""
    source = ROOT / name
    written = yaml.safe_load((source / "charmcraft.yaml").read_text())
    config, actions = written.pop("config", {}), written.pop("actions", {})
    written.pop("type")
    archive = target / f"{name}.charm"
    code = (program or source / "src/charm.py").read_text()
    with zipfile.ZipFile(archive, "w") as charm:
        charm.writestr("metadata.yaml", yaml.safe_dump(written))
        charm.writestr("config.yaml", yaml.safe_dump(config))
        charm.writestr("actions.yaml", yaml.safe_dump(actions))
        charm.writestr("manifest.yaml", yaml.safe_dump(MANIFEST))
        for path, text in (("dispatch", DISPATCH), ("src/charm.py", f"#!/usr/bin/env python3\n{code}")):
            entry = zipfile.ZipInfo(path)
            entry.external_attr = EXECUTABLE
            charm.writestr(entry, text)
    return archive
