"""Verbs on this machine: the cloud up and down."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openinfra_model import bundle as bundles
from openinfra_model import host
from openinfra_model.cli.applications import deploy_bundle
from openinfra_model.cli.client import Client, CliError
from openinfra_model.cli.models import confirmed
from openinfra_model.cli.output import tell
from openinfra_model.cli.progress import show_until_settled
from openinfra_model.cli.project import ROOT
from openinfra_model.cli.verb import argument, seconds, verb
from openinfra_model.cli.welcome import welcome
from openinfra_model.document import DocumentError
from openinfra_model.host import HostError
from openinfra_model.machines import daemon
from openinfra_model.machines.image import ensure_image
from openinfra_model.machines.leftovers import CHECKED, leftovers
from openinfra_model.machines.lxd import LxdError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

    from openinfra_model.paths import Paths

_BASE = "ubuntu@24.04"
_MODEL = "openinfra"
_BUNDLE = ROOT / "bundles/openinfra.yaml"
_TRIAL = ROOT / "bundles/overlays/trial.yaml"
_UP_SECONDS = 1800.0
_CONTROLLER_STOP_SECONDS = 90

_NEXT = """
Next:
  ./openinfra status                    the model; each unit's message says what it lacks
  ./openinfra actions {application:<18}what an application can do
  ./openinfra watch                     what runs now, and what is next
  ./openinfra down                      remove everything again"""


@contextmanager
def _refusals() -> Generator[None]:
    """Turn what bundles, LXD and this machine refuse into the command line's own error."""
    try:
        yield
    except (DocumentError, HostError, LxdError) as error:
        raise CliError(str(error)) from error


@verb(
    argument("bundle", nargs="?", type=Path, help="default: bundles/openinfra.yaml"),
    argument(
        "--overlay",
        action="append",
        default=[],
        metavar="FILE",
        help="default for bundles/openinfra.yaml: bundles/overlays/trial.yaml",
    ),
    argument(
        "--wait", type=seconds, default=_UP_SECONDS, metavar="DURATION", help="how long to wait for it (30m)"
    ),
)
def up(client: Client, arguments: argparse.Namespace) -> int:
    """Bring up the cloud on this machine: packages, charms, LXD, and the bundle in model `openinfra`."""
    stages = _Stages()
    with _refusals():
        host.require_root()
        _install_packages()
        stages.end("this machine's packages")
        _prepare(client.paths)
        stages.end("LXD, the machine image and the charms")
    client = Client(client.model or _MODEL, client.paths)
    if client.model not in _model_names(client):
        client.call("add_model", name=client.model, config={}, switch=True)
    bundle, overlays = arguments.bundle or _BUNDLE, arguments.overlay
    if bundle == _BUNDLE and not overlays:
        tell(f"Using {_TRIAL.relative_to(ROOT)}, made for small computers (--overlay replaces it)")
        overlays = [str(_TRIAL)]
    deploy_bundle(client, bundle, overlays)
    settled = show_until_settled(client, arguments.wait)
    stages.end("the model")
    for text in welcome(client, bundles.load(bundle, [Path(overlay) for overlay in overlays])):
        print(f"\n{text}", flush=True)
    tell(f"\n{stages}")
    tell(_NEXT.format(application=next(iter(client.call("status")["applications"]), "APPLICATION")))
    return 0 if settled else 1


@verb(
    argument("--no-prompt", action="store_true", help="do not ask"),
    argument("--keep-images", action="store_true", help="keep the machine images for the next time"),
)
def down(client: Client, arguments: argparse.Namespace) -> int:
    """Remove all models, machines and data of this engine from this machine."""
    with _refusals():
        host.require_root()
    if not arguments.no_prompt and not confirmed("This removes every model with its machines and data."):
        raise CliError("aborted (use --no-prompt to skip the question)")
    paths = client.paths
    _stop_controller(paths)
    with _refusals():
        devices = daemon.stop(paths)
    for directory in (paths.state, paths.log, paths.run, *([] if arguments.keep_images else [paths.cache])):
        shutil.rmtree(directory, ignore_errors=True)
    left = leftovers(paths, with_cache=not arguments.keep_images, devices=devices)
    for item in left:
        tell(f"left over: {item}")
    tell(f"Checked: {CHECKED}." + ("" if left else " Nothing is left."))
    return 1 if left else 0


class _Stages:
    """How long each stage of `up` takes, the one after the other."""

    def __init__(self) -> None:
        self._times = [time.monotonic()]
        self._names: list[str] = []

    def end(self, name: str) -> None:
        """Say what has taken all time since the stage before."""
        self._times.append(time.monotonic())
        self._names.append(name)

    def __str__(self) -> str:
        """Return all of them in words."""
        seconds = (later - earlier for earlier, later in itertools.pairwise(self._times))
        stages = ", ".join(f"{name} {took:.0f} s" for name, took in zip(self._names, seconds, strict=True))
        return f"Took {self._times[-1] - self._times[0]:.0f} s: {stages}"


def _install_packages() -> None:
    if missing := host.missing_packages():
        tell(f"Installing on this machine: {', '.join(missing)}")
        host.install_packages(missing)


def _prepare(paths: Paths) -> None:
    """Pack the charms while LXD starts and the machine image is made."""
    from openinfra_model.devtools import pack as packing

    with ThreadPoolExecutor() as workers:
        packed = workers.submit(packing.pack, ROOT)
        tell("Starting LXD")
        lxd = daemon.start(paths, ROOT / "bundles" / "lxd-profile.yaml")
        tell(f"Preparing the machine image of {_BASE}")
        ensure_image(lxd, _BASE, paths.cache)
        try:
            charms = packed.result()
        except packing.PackError as error:
            raise CliError(str(error)) from error
        for charm in charms:
            tell(f"{'Packed' if charm.changed else 'Unchanged:'} {charm.path.relative_to(ROOT)}")


def _model_names(client: Client) -> list[str]:
    listing: dict[str, Any] = client.call("models")
    return [model["short-name"] for model in listing["models"]]


def _stop_controller(paths: Paths) -> None:
    """End the controller after the hooks that run; kill it when they do not end."""
    if not paths.controller_pid.exists():
        return
    pid = int(paths.controller_pid.read_text(encoding="ascii"))
    for number, patience in ((signal.SIGTERM, _CONTROLLER_STOP_SECONDS), (signal.SIGKILL, 5)):
        if not _is_controller(pid):
            return
        os.kill(pid, number)
        deadline = time.monotonic() + patience
        while _is_controller(pid) and time.monotonic() < deadline:
            time.sleep(0.1)


def _is_controller(pid: int) -> bool:
    """Tell whether the process is our controller: its id may have been used again."""
    try:
        return b"openinfra_model.controller" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
