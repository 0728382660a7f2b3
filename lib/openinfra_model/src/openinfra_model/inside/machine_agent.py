"""The agent of one machine: runs what the controller asks for, inside the machine.

It speaks lines of JSON over the controller's socket. First it says who it is:

    {"hello": {"hostname": ..., "boot": ..., "interfaces": [...]}}

`boot` changes when the machine starts anew. Then the controller asks, with an id of its choice:

    {"run": ID, "argv": [...], "env": {...}, "cwd": ...}    {"stop": ID}

and the agent tells what happens:

    {"output": ID, "stream": "stdout" | "stderr", "text": ...}    {"exit": ID, "code": N}
    {"interfaces": [...]}    when addresses have come or gone since

What is to stop gets SIGTERM, and SIGKILL where that does not end it. Processes have the variables of `env` and no others,
as Juju's hooks have: what /etc/environment says is for logins.

When the connection ends, the agent ends, and systemd ends all that it had started.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

SOCKET = "/var/lib/juju/controller.socket"
RETRY_SECONDS = 0.2
KILL_SECONDS = 10.0
RTMGRP_IPV4_IFADDR = 0x10
"""The group of messages about IPv4 addresses (linux/rtnetlink.h)."""
SETTLE_SECONDS = 1.0
"""Addresses that come together are told together."""


def main() -> None:
    """Connect, and serve until the controller goes away."""
    connection = connect()
    Agent(connection).serve()
    sys.exit("the controller closed the connection")


def connect() -> socket.socket:
    """Wait for the controller, for as long as it takes."""
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(SOCKET)
        except OSError:
            connection.close()
            time.sleep(RETRY_SECONDS)
        else:
            return connection


class Agent:
    """Serves one connection; each process has two threads that read its output and one that waits for it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._write_lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def serve(self) -> None:
        """Say hello, then answer every request until the connection ends."""
        known = interfaces()
        self._send({"hello": {"hostname": socket.gethostname(), "boot": boot_id(), "interfaces": known}})
        threading.Thread(target=self._watch_addresses, args=(known,), daemon=True).start()
        for line in self._connection.makefile("r", encoding="utf-8"):
            request = json.loads(line)
            if "run" in request:
                self._run(request)
            else:
                self._stop(request["stop"])

    def _watch_addresses(self, known: list[dict[str, Any]]) -> None:
        """Tell when the interfaces have other addresses: the kernel says so at once (rtnetlink(7))."""
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
            kernel.bind((0, RTMGRP_IPV4_IFADDR))
            while True:
                if (now := interfaces()) != known:
                    known = now
                    self._send({"interfaces": now})
                try:
                    kernel.recv(1 << 16)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:  # some messages were lost: what they said is looked up
                        raise
                time.sleep(SETTLE_SECONDS)

    def _run(self, request: dict[str, Any]) -> None:
        number = request["run"]
        try:
            process = subprocess.Popen(
                request["argv"],
                env=request["env"],
                cwd=request["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            self._send({"output": number, "stream": "stderr", "text": f"{error}\n"})
            self._send({"exit": number, "code": 127})
            return
        self._processes[number] = process  # before the next request, which may be to stop it
        threading.Thread(target=self._wait, args=(number, process), daemon=True).start()

    def _wait(self, number: str, process: subprocess.Popen[bytes]) -> None:
        readers = [
            threading.Thread(target=self._copy, args=(number, name, stream), daemon=True)
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
            if stream is not None
        ]
        for reader in readers:
            reader.start()
        code = process.wait()
        for reader in readers:
            reader.join(timeout=1)  # a daemon that the process left behind may hold its output open for ever
        del self._processes[number]
        self._send({"exit": number, "code": code if code >= 0 else 128 - code})

    def _copy(self, number: str, name: str, stream: IO[bytes]) -> None:
        """Tell what a process prints; what daemons that it left behind print later is read, and lost."""
        for line in stream:
            if number in self._processes:
                self._send({"output": number, "stream": name, "text": line.decode("utf-8", errors="replace")})

    def _stop(self, number: str) -> None:
        process = self._processes.get(number)
        if process is not None:
            _signal(process, signal.SIGTERM)
            threading.Thread(target=self._kill, args=(number, process), daemon=True).start()

    def _kill(self, number: str, process: subprocess.Popen[bytes]) -> None:
        """Kill what does not end: the machine's other hooks wait for it."""
        deadline = time.monotonic() + KILL_SECONDS
        while number in self._processes:
            if time.monotonic() > deadline:
                _signal(process, signal.SIGKILL)
                return
            time.sleep(RETRY_SECONDS)

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._write_lock:
            self._connection.sendall(data)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a process and its children; it is no error that they have just ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def boot_id() -> str:
    """Tell this start of the machine from every other (LXC gives each start its own)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def interfaces() -> list[dict[str, Any]]:
    """List the network interfaces that have an IPv4 address, without the loopback."""
    shown = subprocess.run(["ip", "-json", "-4", "address"], stdout=subprocess.PIPE, check=True)
    routed = subprocess.run(["ip", "-json", "route", "show", "default"], stdout=subprocess.PIPE, check=True)
    gateways = {route["dev"]: route.get("gateway", "") for route in json.loads(routed.stdout)}
    return [
        {
            "name": link["ifname"],
            "mac": Path("/sys/class/net", link["ifname"], "address").read_text(encoding="ascii").strip(),
            "addresses": [f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"]],
            "gateway": gateways.get(link["ifname"], ""),
        }
        for link in json.loads(shown.stdout)
        if link.get("addr_info") and link["ifname"] != "lo"
    ]


if __name__ == "__main__":
    main()
