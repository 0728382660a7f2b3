"""The bundle deployed once, for all tests of this folder, by whatever `juju` the options name.

Against our engine: pytest tests/integration (the default). Against a Juju controller on LXD:
pytest tests/integration --juju juju --lxd-dir /var/snap/lxd/common/lxd (archives packed before).
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import jubilant
import pytest

from tests import guest, models

from . import servers
from .clients import Clients
from .servers import Servers
from .site import Site

if TYPE_CHECKING:
    from openstack.compute.v2.flavor import Flavor
    from openstack.connection import Connection
    from openstack.image.v2.image import Image
    from openstack.network.v2.network import Network

ROOT = Path(__file__).parents[2]
OVERLAYS = ("trial.yaml",)
"""Of each service as few units as serve. Three of each are for tests that break them (tests/faults)."""
API_SECONDS = 60
"""How long the SDK waits for an answer of a cloud on two processors."""


def pytest_addoption(parser):
    parser.addoption(
        "--juju", default=str(ROOT / "openinfra"), help="the juju program: our engine or Juju's own"
    )
    parser.addoption(
        "--lxd-dir", default="/var/lib/openinfra/lxd", help="where the cloud's LXD has its socket"
    )
    parser.addoption("--model", default="integration", help="the model to make; one of this name is removed")
    parser.addoption(
        "--keep-model",
        action="store_true",
        help="use the model if it is there, and leave it for the next time",
    )


@pytest.fixture(scope="session")
def overlays() -> tuple[str, ...]:
    """Which of the bundle's overlays are deployed."""
    return OVERLAYS


@pytest.fixture(scope="session")
def site(request, overlays):
    """The model with the bundle deployed, and the power switch of its machines."""
    model = request.config.getoption("--model")
    juju = jubilant.Juju(model=model, cli_binary=request.config.getoption("--juju"), wait_timeout=600)
    site = Site(juju, Path(request.config.getoption("--lxd-dir")))
    keep = request.config.getoption("--keep-model")
    if not keep:
        models.remove(juju, model)
    if not models.exists(juju, model):
        site.pack(ROOT)
        juju.add_model(model)
        laid_over = [
            word for name in overlays for word in ("--overlay", str(ROOT / "bundles/overlays" / name))
        ]
        juju.cli("deploy", str(ROOT / "bundles/openinfra.yaml"), *laid_over)
    yield site
    if not keep:
        models.remove(juju, model)


@pytest.fixture(scope="session")
def juju(site) -> jubilant.Juju:
    return site.juju


@pytest.fixture(scope="session")
def cloud(site) -> Site:
    """The site with all units active and all data clean, which look after themselves each minute."""
    site.settle()
    site.juju.model_config({"update-status-hook-interval": "1m"})
    site.hurry_copies()
    site.wait_for_health()
    return site


@pytest.fixture(scope="session")
def clients(cloud, tmp_path_factory) -> Clients:
    """What a user of the cloud has on this host."""
    return Clients(cloud, tmp_path_factory.mktemp("clients"))


# What servers need


@pytest.fixture(scope="session")
def administrator(cloud, tmp_path_factory) -> Connection:
    """The administrator, logged in."""
    return Clients(cloud, tmp_path_factory.mktemp("administrator")).connect(seconds=API_SECONDS)


@pytest.fixture(scope="session")
def guest_image(administrator, tmp_path_factory) -> Image:
    """An image of a small system that boots within seconds, uploaded through the gateway."""
    if found := administrator.image.find_image(servers.GUEST):
        return found
    return servers.provide_image(administrator, guest.build(tmp_path_factory.mktemp("guest") / "guest.raw"))


@pytest.fixture(scope="session")
def flavor(administrator) -> Flavor:
    """What the guest needs."""
    return servers.provide_flavor(administrator)


@pytest.fixture(scope="session")
def provider_network(administrator, cloud) -> Network:
    """The network of floating IPs, which this host reaches."""
    return servers.provide_provider_network(administrator, cloud)


@pytest.fixture(scope="session")
def network(administrator, provider_network) -> Network:
    """The administrator's own network, with a router to the provider's."""
    return servers.provide_network(administrator, provider_network)


@pytest.fixture(scope="session")
def people(*, administrator, guest_image, flavor, network, provider_network, tmp_path_factory) -> Servers:
    """What people do with servers; they are the administrator."""
    return Servers(
        administrator,
        image=guest_image,
        flavor=flavor,
        network=network,
        provider=provider_network,
        folder=tmp_path_factory.mktemp("servers"),
    )


class Controller:
    """Our engine's controller process, which any command starts again."""

    PID = Path("/run/openinfra/controller.pid")

    def kill(self) -> None:
        os.kill(int(self.PID.read_text()), signal.SIGKILL)

    @contextlib.contextmanager
    def stopped(self):
        """Without a controller: nothing must call the juju program in the block."""
        self.kill()
        yield


@pytest.fixture(scope="session")
def controller(request) -> Controller:
    if Path(request.config.getoption("--juju")) != ROOT / "openinfra":
        pytest.skip("NOT RUN: only our own engine's controller can be killed from here")
    return Controller()
