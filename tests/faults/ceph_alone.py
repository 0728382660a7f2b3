"""A Ceph cluster in a model of its own: versions of Ceph that cannot be installed beside the bundle's."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests import models
from tests.integration.conftest import ROOT
from tests.integration.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = os.environ.get(
    "OPENINFRA_CEPH_SOURCE", "deb [check-valid-until=no] http://deb.debian.org/debian testing main"
)
"""Where a later version is. What a mirror has may have been there for long."""
OPTIONS = {"osd-memory-target": "896M", "osd-pool-default-pg-num": 8, "osd-benchmark": False}


@contextlib.contextmanager
def deployed(request, name: str, *, seconds: float = 600, **options: str) -> Iterator[Site]:
    """Deploy three machines with an OSD each, and wait until they are settled."""
    subprocess.run([ROOT / "openinfra", "pack", "ceph"], check=True)
    with models.model(name, request.config.getoption("--juju")) as model:
        site = Site(model, Path(request.config.getoption("--lxd-dir")))
        config = OPTIONS | {option.replace("_", "-"): value for option, value in options.items()}
        archive = ROOT / "build/openinfra-ceph.charm"
        model.deploy(archive, "ceph", num_units=3, base="ubuntu@24.04", config=config)
        site.settle(seconds)
        yield site


def make_pool(site) -> None:
    """Make a pool for a load, and wait until it is healthy."""
    site.run("ceph/0", "create-pool", name="probe", app_name="test")
    site.wait_for_health("ceph/0")


def old_keys(site) -> set[str]:
    """Who has a key of the older type, which is the first number in it."""
    entries = site.ceph("ceph/0", "auth ls")["auth_dump"]
    return {entry["entity"] for entry in entries if entry["key"].startswith("AQ")}
