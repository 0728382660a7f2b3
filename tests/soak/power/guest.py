"""A QEMU guest without a network whose power is cut with SIGKILL, and the host's books of what it acknowledged."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .image import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .image import Image

HERE = Path(__file__).parent
BOOT_SECONDS = 900
COMMAND_SECONDS = 900
# Emulated: a guest with KVM may never come up on a machine that is a guest itself. One processor: of several, QEMU 7.2 lets
# one now and then run code that the kernel is patching on another one, which the kernel takes for its own fault.
_MACHINE = (
    "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "pc", "-accel", "tcg",
    "-cpu", "Nehalem", "-smp", "1", "-m", "2048",
)  # fmt: skip
_KERNEL_ARGUMENTS = " ".join(
    (
        "root=/dev/vda rw console=ttyS0 quiet mitigations=off panic=-1 no_timer_check",
        # On a busy machine all takes its time.
        "systemd.default_timeout_start_sec=900 systemd.default_device_timeout_sec=900 systemd.service_watchdogs=no",
        # They take an emulated machine a while, and have nothing to do in it.
        *(f"systemd.mask={name}.service" for name in ("e2scrub_reap", "lvm2-monitor", "rbdmap")),
    )
)
_PORTS = ("agent", "ledger")


class GuestError(Exception):
    """A program in the guest failed, or the guest does not answer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the guest acknowledged, and how many bytes the log of its disk's writes had then."""

    line: str
    position: int


class Ledger:
    """The books: an entry is in them, with the state of the log, before the guest goes on."""

    def __init__(self, port: socket.socket, log: Path | None) -> None:
        self._port, self._log = port, log
        self.entries: list[Entry] = []
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def close(self) -> list[Entry]:
        """Return all entries, when the guest is dead."""
        self._thread.join()
        return self.entries

    def _keep(self) -> None:
        with self._port, self._port.makefile("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                position = self._log.stat().st_size if self._log else 0
                self.entries.append(Entry(line.decode().rstrip("\n"), position))
                with contextlib.suppress(OSError):  # it has just died
                    self._port.sendall(b"\n")


class Guest:
    """A running guest. Its system disk is `root`, what is tested is on `data`, whose writes go to `log` if there is one."""

    def __init__(
        self, folder: Path, image: Image, *, root: Path, payload: Path, data: Path, log: Path | None = None
    ) -> None:
        self._folder = folder
        for name in (*_PORTS, "monitor"):
            self._socket(name).unlink(missing_ok=True)
        if log:
            log.touch()
        disks = [
            {"driver": "qcow2", "node-name": "root", "file": _file(root)},
            {**_file(payload), "node-name": "payload", "read-only": True},
            *_data(data, log),
        ]
        command = ["nice", "-n", "10", "qemu-system-x86_64", *_MACHINE]
        command += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", _KERNEL_ARGUMENTS]
        command += ["-serial", f"file:{folder / 'console.log'}"]
        command += [
            "-qmp",
            f"unix:{self._socket('monitor')},server=on,wait=off",
            "-device",
            "virtio-serial-pci",
        ]
        for name in _PORTS:
            command += ["-chardev", f"socket,id={name},path={self._socket(name)},server=on,wait=off"]
            command += ["-device", f"virtserialport,chardev={name},name={name}"]
        for disk in disks:
            command += ["-blockdev", json.dumps(disk)]
        for name in ("root", "payload", "data"):
            command += ["-device", json.dumps(_device(name))]
        with (folder / "qemu.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            self._agent = self._connect("agent")
            self.ledger = Ledger(self._connect("ledger"), log)
            self._monitor = self._connect("monitor")
            self._replies = self._monitor.makefile("rb")
            self._events: list[dict] = [json.loads(self._replies.readline())]
            self._execute("qmp_capabilities")
            self.run("systemctl", "is-system-running", "--wait", check=False, timeout=BOOT_SECONDS)
        except BaseException:
            self.cut_power()
            raise

    def run(self, *argv: str, stdin: str = "", check: bool = True, timeout: float = COMMAND_SECONDS) -> str:
        """Run a program in the guest to its end; return what it printed.

        Raises:
            GuestError: It failed (where `check` is set), or the guest does not answer.
        """
        self._agent.settimeout(timeout)
        try:
            self._agent.sendall(json.dumps({"argv": argv, "stdin": stdin}).encode() + b"\n")
            reply = b""
            while not reply.endswith(b"\n"):
                part = self._agent.recv(1 << 20)
                if not part:
                    raise GuestError(f"{argv}: the guest is dead")
                reply += part
        except TimeoutError as error:
            raise GuestError(f"{argv}: no answer within {timeout} s; {self._last_words()}") from error
        done = json.loads(reply)
        if check and done["code"]:
            raise GuestError(f"{argv}: exit code {done['code']}: {done['stderr'] or done['stdout']}")
        return done["stdout"]

    def script(self, text: str, *, check: bool = True) -> str:
        """Run shell commands in the guest; the first that fails ends them."""
        return self.run("sh", "-ec", text, check=check)

    def cut_power(self) -> list[Entry]:
        """Kill it where it stands; return what it had acknowledged."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        return self.ledger.close() if hasattr(self, "ledger") else []  # where QEMU never ran

    def unplug(self) -> None:
        """Take the data disk away."""
        self._execute("device_del", id="data")
        while not any(
            event.get("event") == "DEVICE_DELETED" and event["data"].get("device") == "data"
            for event in self._events
        ):
            self._events.append(json.loads(self._replies.readline()))
        self._events.clear()
        self._execute("blockdev-del", **{"node-name": "data"})

    def plug(self, data: Path) -> None:
        """Put another data disk in."""
        (disk,) = _data(data, None)
        self._execute("blockdev-add", **disk)
        self._execute("device_add", **_device("data"))
        self.script("until [ -e /dev/disk/by-id/virtio-data-part2 ]; do sleep 0.1; done; udevadm settle")

    def _execute(self, command: str, **arguments: Any) -> None:
        self._monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            reply = json.loads(self._replies.readline())
            if "error" in reply:
                raise GuestError(f"{command} {arguments}: {reply['error']}")
            if "return" in reply:
                return
            self._events.append(reply)

    def _connect(self, name: str) -> socket.socket:
        limit = time.monotonic() + 10
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._socket(name)))
            except OSError as error:
                connection.close()
                if self._process.poll() is not None or time.monotonic() > limit:
                    told = (self._folder / "qemu.log").read_text(errors="replace")
                    raise GuestError(f"QEMU does not run: {told}") from error
                time.sleep(0.05)
            else:
                return connection

    def _socket(self, name: str) -> Path:
        return self._folder / f"{name}.sock"

    def _last_words(self) -> str:
        return (self._folder / "console.log").read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def workshop(image: Image, archives: dict[str, Path]) -> Iterator[Workshop]:
    """A folder with all that guests of one test need; it goes, and the guests in it, at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="openinfra-power-") as folder:
        shop = Workshop(Path(folder), image, archives)
        try:
            yield shop
        finally:
            shop.close()


class Workshop:
    """Makes disks, and guests of them, one at a time."""

    def __init__(self, folder: Path, image: Image, archives: dict[str, Path]) -> None:
        self.folder, self._image = folder, image
        self._payload = folder / "payload.tar"
        _pack(self._payload, archives)
        self._guest: Guest | None = None

    def start(self, *, root: Path, data: Path, log: Path | None = None) -> Guest:
        """Start a guest; one that runs is dead from now on."""
        self.close()
        self._guest = Guest(self.folder, self._image, root=root, payload=self._payload, data=data, log=log)
        return self._guest

    def new_root(self, name: str, backing: Path | None = None) -> Path:
        """Make a system disk on top of another one, by default the image's."""
        path = self.folder / f"{name}.qcow2"
        under, kind = (backing, "qcow2") if backing else (self._image.root, "raw")
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", str(under), str(path))
        return path

    def close(self) -> None:
        """Kill the guest that runs."""
        if self._guest:
            self._guest.cut_power()
            self._guest = None


def _pack(path: Path, archives: dict[str, Path]) -> None:
    """Make a tar file of the programs for the guest and of charms' archives, each in a folder of its name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, archive in archives.items():
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(Path(folder, name))
        with tarfile.open(path, "w") as tar:
            tar.add(folder, "charms")
            for program in sorted((HERE / "in_guest").glob("[a-z]*.py")):
                tar.add(program, program.name)


def _file(path: Path) -> dict:
    # The guest's flushes need not reach the host's disk: it is not the host that loses its power.
    return {"driver": "file", "filename": str(path), "cache": {"no-flush": True}}


def _data(path: Path, log: Path | None) -> list[dict]:
    if log is None:
        return [{**_file(path), "node-name": "data"}]
    # Each write and each flush is in the log before the guest hears of it (QEMU: block/blklogwrites.c).
    return [
        {**_file(path), "node-name": "data-file"},
        {**_file(log), "node-name": "log-file"},
        {"driver": "blklogwrites", "node-name": "data", "file": "data-file", "log": "log-file", "log-sector-size": 512},
    ]  # fmt: skip


def _device(name: str) -> dict:
    return {
        "driver": "virtio-blk-pci",
        "id": name,
        "drive": name,
        "serial": name,
        "physical_block_size": 4096,
    }
