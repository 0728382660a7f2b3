"""What every contract test looks at: the charms as written, and as packed."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from openinfra_model.charm_archive import read_archive
from openinfra_model.devtools.pack import Packed, charm_names, pack

ROOT = Path(__file__).parents[2]
NAMES = charm_names(ROOT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A charm's directory."""

    name: str
    path: Path
    project: dict[str, Any]

    @property
    def actions(self) -> dict[str, Any]:
        return self.project.get("actions", {})

    @property
    def endpoints(self) -> dict[str, Any]:
        return {
            name: endpoint
            for role in ("provides", "requires", "peers")
            for name, endpoint in self.project.get(role, {}).items()
        }


@pytest.fixture(scope="session")
def copy_site(tmp_path_factory):
    """Return a function that copies what packing reads, so that the repository's own builds stay as they are."""

    def copy():
        root = tmp_path_factory.mktemp("site")
        ignored = shutil.ignore_patterns("__pycache__", "tests")
        for directory in ("bundles", "charms", "lib"):
            shutil.copytree(ROOT / directory, root / directory, ignore=ignored)
        for file in ("pyproject.toml", "uv.lock"):
            shutil.copy(ROOT / file, root)
        return root

    return copy


@pytest.fixture(scope="session")
def site(copy_site):
    """The repository with every charm packed."""
    root = copy_site()
    pack(root)
    return root


@pytest.fixture(params=NAMES, scope="session")
def source(request):
    path = ROOT / "charms" / request.param
    project = yaml.safe_load((path / "charmcraft.yaml").read_text())
    return Source(name=request.param, path=path, project=project)


@pytest.fixture(scope="session")
def packed(site, source):
    """The charm's archive."""
    path = site / "build" / f"openinfra-{source.name}.charm"
    return next(entry for entry in pack(site, [source.name]) if entry.path == path)


@pytest.fixture(scope="session")
def charm(packed: Packed):
    return read_archive(packed.path)


@pytest.fixture(scope="session")
def unpacked(packed: Packed, source, tmp_path_factory):
    """The charm's archive, unpacked as Juju does it."""
    path = tmp_path_factory.mktemp(source.name)
    with zipfile.ZipFile(packed.path) as archive:
        archive.extractall(path)
        for info in archive.infolist():
            (path / info.filename).chmod(info.external_attr >> 16)
    return path


@pytest.fixture(scope="session")
def charms(site):
    """Every charm by the name of its directory."""
    return {name: read_archive(site / "build" / f"openinfra-{name}.charm") for name in NAMES}
