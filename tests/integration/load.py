"""Runs on a machine of the model: writes objects to Ceph and reads them again, for ten minutes at most.

`write` appends a line (number, time) to the log for each acknowledged write, `verify` reads all of these again,
`summary` tells how many there are and the longest gap between two.
"""

import hashlib
import itertools
import json
import os
import pathlib
import random
import sys
import time

LOG = pathlib.Path("/root/load.log")


def content(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest() * 512


def acknowledged() -> list[tuple[int, float]]:
    with LOG.open() as log:
        rows = [line.split() for line in log if line.endswith("\n")]
    return [(int(number), float(at)) for number, at in rows]


def pool(name: str):
    import rados  # pyright: ignore[reportMissingImports]  the machine has it

    cluster = rados.Rados(conffile="/etc/ceph/ceph.conf", name="client.admin")
    cluster.connect(timeout=60)
    return cluster.open_ioctx(name)


def write(name: str) -> None:
    ioctx = pool(name)
    end = time.time() + 600
    number = 0
    with LOG.open("a") as log:
        while time.time() < end:
            ioctx.write_full(f"object-{number}", content(number))
            log.write(f"{number} {time.time()}\n")
            log.flush()
            os.fsync(log.fileno())
            earlier = random.randint(0, number)
            assert ioctx.read(f"object-{earlier}", 1 << 20) == content(earlier), f"object-{earlier} differs"
            number += 1
            time.sleep(0.05)


def verify(name: str) -> None:
    ioctx = pool(name)
    rows = acknowledged()
    for number, _ in rows:
        assert ioctx.read(f"object-{number}", 1 << 20) == content(number), f"object-{number} differs"
    sys.stdout.write(f"{len(rows)}\n")


def summary(_name: str) -> None:
    times = [at for _, at in acknowledged()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    summary = {"writes": len(times), "longest-gap": max(gaps, default=0)}
    sys.stdout.write(json.dumps(summary))


if __name__ == "__main__":
    {"write": write, "verify": verify, "summary": summary}[sys.argv[1]](sys.argv[2])
