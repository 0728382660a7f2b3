"""The LXD daemon: the packaged service where systemd manages the host, else one of our own.

Without systemd there is no cgroup hierarchy that a container's systemd would accept, so our daemon lives in a mount
namespace that shows nothing but cgroup v2. It keeps its state below the engine's directory, apart from any other LXD.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from openinfra_model import host
from openinfra_model.machines import loops
from openinfra_model.machines.lxd import Lxd

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_model.paths import Paths

PROFILE = "openinfra"
POOL = "default"
# Marks what the engine made in an LXD that others may use too.
OWNED = {"user.openinfra": "true"}

_PREPARE = """\
if mountpoint -q /sys/fs/cgroup; then umount -R /sys/fs/cgroup; fi
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /var/lib/lxcfs
lxcfs --pidfile "$1/lxcfs.pid" /var/lib/lxcfs &
"""
_RUN = """\
echo $$ >"$1/lxd.pid"
exec lxd --group root
"""
_SNAP = Path("/var/snap/lxd")
_START_SECONDS = 60
_STOP_SECONDS = 90


def lxd_directory(paths: Paths) -> Path:
    """Where the LXD daemon that the engine uses keeps its state and socket."""
    if not host.has_systemd():
        return paths.state / "lxd"
    return _SNAP / "common/lxd" if _SNAP.exists() else Path("/var/lib/lxd")


def container_root(lxd: Lxd, instance_id: str) -> Path:
    """Where a container's root is on the host."""
    return lxd.directory / "storage-pools" / POOL / "containers" / instance_id / "rootfs"


def start(paths: Paths, profile: Path) -> Lxd:
    """Start LXD unless it runs, and give it the storage pool, the bridge and the profile of our machines.

    Raises:
        HostError: the daemon does not start, or its bridge's name is taken.
        LxdError: it refuses the configuration.
    """
    lxd = Lxd(lxd_directory(paths))
    for directory in (paths.state, paths.log, paths.run, lxd.directory):
        directory.mkdir(parents=True, exist_ok=True)
    paths.state.chmod(0o700)
    host.raise_limits(paths.state / "sysctl.json")
    loops.make_devices()
    if not lxd.is_up():
        _launch(lxd, paths)
    _configure(lxd, yaml.safe_load(profile.read_text(encoding="utf-8")))
    return lxd


def stop(paths: Paths) -> list[loops.Attached]:
    """Take everything of ours out of LXD, then end the daemon if it is our own, and restore the kernel's limits.

    Returns:
        The loop devices of our machines, which are detached; those of others stay as they are.

    Raises:
        HostError: LXD ended before, and does not start again.
        LxdError: it does not give an item up.
    """
    lxd = Lxd(lxd_directory(paths))
    detached: list[loops.Attached] = []
    if (lxd.directory / "database").exists():
        if not lxd.is_up():  # only LXD itself takes its instances and its bridge away
            _launch(lxd, paths)
        detached = _clear(lxd, paths)
    if not host.has_systemd():
        _end(paths)
        shutil.rmtree(lxd.directory, ignore_errors=True)
        # LXD takes its chains out of the firewall and leaves the empty table; it is no error if there is none
        subprocess.run(["nft", "delete", "table", "inet", "lxd"], check=False, capture_output=True)
    host.restore_limits(paths.state / "sysctl.json")
    return detached


def _launch(lxd: Lxd, paths: Paths) -> None:
    if host.has_systemd():
        socket = "snap.lxd.daemon.unix.socket" if _SNAP.exists() else "lxd.socket"
        subprocess.run(["systemctl", "start", socket], check=False, capture_output=True)
    else:
        # Where LXD alone has ended, its machines live on, and with them lxcfs and the namespace of both.
        if lxcfs := _pid(paths, "lxcfs"):
            namespace, script = ["nsenter", "--target", str(lxcfs), "--mount"], _RUN
        else:
            namespace, script = ["unshare", "--mount", "--propagation", "private"], _PREPARE + _RUN
        with (paths.log / "lxd.log").open("ab") as log:
            subprocess.Popen(
                [*namespace, "sh", "-ec", script, "sh", str(paths.run)],
                env={**os.environ, "LXD_DIR": str(lxd.directory)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    if not _within(_START_SECONDS, lxd.is_up):
        raise host.HostError(f"LXD did not start within {_START_SECONDS} s: see {paths.log / 'lxd.log'}")


def _configure(lxd: Lxd, profile: dict[str, Any]) -> None:
    """Bring pool, bridge and profile to what the profile's file says; a second time changes nothing."""
    network = profile["devices"]["eth0"]["network"]
    if not lxd.exists(f"/1.0/storage-pools/{POOL}"):
        lxd.request("POST", "/1.0/storage-pools", {"name": POOL, "driver": "dir", "config": OWNED})
    # LXD tells of the host's own interfaces, too.
    known = {item["name"]: item for item in lxd.request("GET", "/1.0/networks?recursion=1")}
    if network in known and not known[network]["managed"]:
        raise host.HostError(
            f"this machine has an interface {network} that is not LXD's, perhaps left by an LXD that was removed: "
            f"if nothing uses it, run `ip link delete {network}`"
        )
    if network not in known:
        subnet = host.unused_network()
        settings = {
            "ipv4.address": f"{subnet[1]}/{subnet.prefixlen}",
            "ipv4.nat": "true",
            # The addresses above are left to operators, such as for a gateway's VIP.
            "ipv4.dhcp.ranges": f"{subnet[2]}-{subnet[199]}",
            "ipv6.address": "none",
            "bridge.mtu": str(host.default_mtu()),
        }
        lxd.request("POST", "/1.0/networks", {"name": network, "type": "bridge", "config": settings | OWNED})
    wanted = {key: profile[key] for key in ("config", "description", "devices")}
    path = f"/1.0/profiles/{PROFILE}"
    if not lxd.exists(path):
        lxd.request("POST", "/1.0/profiles", {"name": PROFILE, **wanted})
    elif any(lxd.request("GET", path)[key] != value for key, value in wanted.items()):
        lxd.request("PUT", path, wanted)


def _clear(lxd: Lxd, paths: Paths) -> list[loops.Attached]:
    """Delete our instances, images, profile, and the bridge and pool if we made them; return the loop devices detached."""
    detached: list[loops.Attached] = []
    for instance in lxd.request("GET", "/1.0/instances?recursion=1"):
        if PROFILE in instance["profiles"]:
            # As long as their files are there, which tell whose they are.
            root, shared = container_root(lxd, instance["name"]), paths.machine(instance["name"])
            detached += loops.detach(partial(loops.places, root, shared))
            if instance["status"] != "Stopped":
                lxd.set_state(instance["name"], "stop", force=True)
            lxd.delete(f"/1.0/instances/{instance['name']}")
    lxd.delete(f"/1.0/profiles/{PROFILE}")
    for image in lxd.request("GET", "/1.0/images?recursion=1"):
        if image["properties"].get("os") == "openinfra":
            lxd.delete(f"/1.0/images/{image['fingerprint']}")
    for kind in ("networks", "storage-pools"):
        for item in lxd.request("GET", f"/1.0/{kind}?recursion=1"):
            if item["config"].items() >= OWNED.items():
                lxd.delete(f"/1.0/{kind}/{item['name']}")
    return detached


def _end(paths: Paths) -> None:
    """End our own daemons, LXD first."""
    for name in ("lxd", "lxcfs"):
        if pid := _pid(paths, name):
            os.kill(pid, signal.SIGTERM)
            if not _within(_STOP_SECONDS, lambda name=name: not _pid(paths, name)):
                os.kill(pid, signal.SIGKILL)
        (paths.run / f"{name}.pid").unlink(missing_ok=True)  # lxcfs removes its own


def _pid(paths: Paths, name: str) -> int:
    """Return the process id of our own `lxd` or `lxcfs`; 0 if it does not run, or if its id has been used again."""
    try:
        pid = (paths.run / f"{name}.pid").read_text(encoding="ascii").strip()
        runs = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == name
    except FileNotFoundError:
        return 0
    return int(pid) if runs else 0


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait until the condition holds; tell whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
