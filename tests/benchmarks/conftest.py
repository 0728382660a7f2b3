"""What the benchmarks share: deployments that note their hooks, and the table of figures."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import ROOT
from tests.integration.conftest import pytest_addoption as add_site_options
from tests.integration.site import Site
from tests.models import model

from . import charms
from .charms import Hook, hooks_of
from .figures import Figures

if TYPE_CHECKING:
    from collections.abc import Iterator

BUNDLE = ROOT / "bundles/openinfra.yaml"
OVERLAY = ROOT / "bundles/overlays/trial.yaml"
THREE_OF_EACH = ROOT / "bundles/overlays/ha.yaml"
DOCUMENT = ROOT / "docs/performance.md"
FIGURES = pytest.StashKey[Figures]()


def pytest_addoption(parser):
    add_site_options(parser)
    parser.addoption("--write-figures", action="store_true", help=f"put the figures into {DOCUMENT.name}")


def pytest_configure(config):
    config.stash[FIGURES] = Figures()


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash[FIGURES]
    if not figures:
        return
    terminalreporter.section("figures")
    terminalreporter.write(figures.text())
    if config.getoption("--write-figures"):
        figures.write(DOCUMENT)


@pytest.fixture(scope="session")
def figures(request) -> Figures:
    return request.config.stash[FIGURES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A bundle deployed until all its units were active and idle, and the hooks that this took."""

    site: Site
    begun: float
    machines: dict[str, list[Hook]]
    """By a principal unit of each machine: its machine's hooks in their order."""

    @property
    def hooks(self) -> list[Hook]:
        return [hook for hooks in self.machines.values() for hook in hooks]

    @property
    def seconds(self) -> float:
        """How long it took, to the end of the last hook."""
        return max(hook.ended for hook in self.hooks) - self.begun

    def hooks_per_unit(self, application: str) -> float:
        ran = [hook for hook in self.hooks if hook.application == application]
        return len(ran) / len({hook.unit for hook in ran})


class Cloud:
    """Where the benchmarks deploy."""

    def __init__(self, program: str, lxd_dir: Path) -> None:
        self._program = program
        self.lxd_dir = lxd_dir

    @contextlib.contextmanager
    def deployment(self, name: str, application: str, *arguments: str) -> Iterator[Deployment]:
        """Deploy a bundle into a model that is gone afterwards; the application has a unit on each machine."""
        with model(name, self._program) as juju:
            site = Site(juju, self.lxd_dir)
            juju.model_config({"update-status-hook-interval": "60m"})
            begun = time.time()
            juju.cli("deploy", *arguments)
            site.settle()
            machines = {unit: hooks_of(site, unit) for unit in site.units(application)}
            yield Deployment(site=site, begun=begun, machines=machines)


@pytest.fixture(scope="session")
def cloud(request) -> Cloud:
    option = request.config.getoption
    subprocess.run([ROOT / "openinfra", "pack"], check=True)
    return Cloud(option("--juju"), Path(option("--lxd-dir")))


@pytest.fixture(scope="session")
def bare(cloud, tmp_path_factory) -> Deployment:
    """The bundle with charms that do nothing: what Juju itself forces. The model is gone again."""
    bundle = charms.timed_bundle(BUNDLE, tmp_path_factory.mktemp("bare"), bare=True)
    with cloud.deployment("benchmark-bare", "ceph", str(bundle), "--overlay", str(OVERLAY)) as deployment:
        return deployment


@pytest.fixture(scope="session")
def deployed(cloud, tmp_path_factory) -> Iterator[Deployment]:
    """The bundle."""
    bundle = charms.timed_bundle(BUNDLE, tmp_path_factory.mktemp("bundle"))
    with cloud.deployment("benchmark", "ceph", str(bundle), "--overlay", str(OVERLAY)) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def tripled(cloud, tmp_path_factory) -> Iterator[Deployment]:
    """The bundle with three units of each service and a stable address. It is gone before another one is measured."""
    bundle = charms.timed_bundle(BUNDLE, tmp_path_factory.mktemp("tripled"))
    overlays = ("--overlay", str(OVERLAY), "--overlay", str(THREE_OF_EACH))
    with cloud.deployment("benchmark-tripled", "ceph", str(bundle), *overlays) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def beside(deployed, tmp_path_factory) -> str:
    """A unit of a bare charm on the machine of ceph/0."""
    archive = charms.timed(
        ROOT / "build/openinfra-ceph.charm", tmp_path_factory.mktemp("beside") / "bare.charm", bare=True
    )
    site = deployed.site
    site.juju.deploy(archive, "bare", to=site.machine_of("ceph/0"))
    site.settle()
    return "bare/0"


@pytest.fixture(scope="session")
def image(deployed) -> tuple[str, str]:
    """The image and the profile of the machines' containers."""
    name = deployed.site.instance("ceph/0")
    shown = json.loads(deployed.site._lxc("query", f"/1.0/instances/{name}").stdout)
    return shown["config"]["volatile.base_image"], shown["profiles"][-1]
