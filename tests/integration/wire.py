"""What whoever listens on the network of the model's machines can read."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL_PROTOCOLS = 3
"""ETH_P_ALL of linux/if_ether.h: a packet socket that gets every frame of every interface, see packet(7)."""
RECEIVE_BUFFER = 33
"""SO_RCVBUFFORCE of asm-generic/socket.h: a buffer larger than the system's limit, see socket(7)."""
BUFFER_BYTES = 256 * 1024 * 1024
LARGEST_FRAME = 65_600


class Wire:
    """Which of some texts have crossed the network in the open."""

    def __init__(self, *texts: bytes) -> None:
        self._texts = texts
        self._stop = threading.Event()
        self.read: set[bytes] = set()

    def listen(self) -> None:
        """Look at every frame until told to stop."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as frames:
            frames.setsockopt(socket.SOL_SOCKET, RECEIVE_BUFFER, BUFFER_BYTES)
            frames.settimeout(0.5)
            while not self._stop.is_set():
                try:
                    frame = frames.recv(LARGEST_FRAME)
                except TimeoutError:
                    continue
                self.read |= {text for text in self._texts if text in frame}

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def listening(*texts: bytes) -> Iterator[Wire]:
    """Listen for texts on all of this host's interfaces, the model's bridge among them, for as long as the block runs."""
    wire = Wire(*texts)
    thread = threading.Thread(target=wire.listen, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        wire.stop()
        thread.join()
