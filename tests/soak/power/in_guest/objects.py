"""Runs in the guest, with the ceph charm on its path: `setup DEVICE` makes a cluster as the charm does, `load`, `show`."""
# The guest has the charms' modules.
# pyright: reportMissingImports=false

import hashlib
import itertools
import json
import os
import pathlib
import sys
import threading
import uuid

from slow import TIMES, SlowMachine

POOL = "soak"
CLIENTS = 4
CONFIG, KEYRING = "/etc/ceph/ceph.conf", "/etc/ceph/ceph.client.admin.keyring"


def setup(device: str) -> None:
    """Make a cluster of one monitor, one manager and one OSD with the charm's own workload modules."""
    import yaml

    import options
    from ceph import Ceph
    from cephx import new_key
    from identity import Identity
    from members import Member
    from pools import create_pool
    from source import Source
    from state import Config, Settings, State

    declared = yaml.safe_load(pathlib.Path("/srv/payload/charms/ceph/config.yaml").read_text())["options"]
    values = {name.replace("-", "_"): option["default"] for name, option in declared.items()}
    values |= {
        "monitor_count": 1,
        "failure_domain": "osd",
        "osd_pool_default_size": 1,
        "osd_pool_default_min_size": 1,
        "osd_pool_default_pg_num": 8,
        "osd_memory_target": "512M",
        "osd_benchmark": False,
    }
    member = Member(unit="ceph/0", hostname="guest", public_address="127.0.0.1", cluster_address="127.0.0.1")
    ceph = Ceph(SlowMachine(), "ceph")
    ceph.admin._timeout *= TIMES
    ceph.install(Source())
    keys = {name: new_key(ceph.machine) for name in ("monitor_key", "admin_key")}
    state = State(
        settings=Settings.parse(Config(**values)),
        identity=Identity(fsid=str(uuid.uuid4()), **keys),
        member=member,
        monitors=(member,),
        runs_monitor=True,
        founds_cluster=True,
    )
    ceph.render(state)
    # As one hook after the other would.
    assert any(ceph.run_monitor(state) for _ in range(TIMES)), "the monitor is not in quorum"
    options.change(ceph.admin, state.settings.at_run_time(), {})
    ceph.osds.create(os.path.realpath(device))
    ceph.apply()
    create_pool(ceph.admin, POOL, replicas=1, pg_num=8, application="soak")


def pool(seconds: int):
    import rados  # pyright: ignore[reportMissingImports]  the guest has it

    options = {"keyring": KEYRING, "rados_osd_op_timeout": str(seconds), "rados_mon_op_timeout": str(seconds)}
    cluster = rados.Rados(conffile=CONFIG, name="client.admin", conf=options)
    cluster.connect(timeout=seconds)
    return cluster.open_ioctx(POOL)


def load() -> None:
    from ledger import Ledger

    ledger = Ledger()
    ioctx = pool(120)

    def write(first: int) -> None:
        for number in itertools.count(first, CLIENTS):
            ioctx.write_full(str(number), content(number))
            ledger.enter(str(number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def content(number: int) -> bytes:
    """Small ones go through BlueStore's write-ahead log, large ones straight to their place."""
    return hashlib.sha256(str(number).encode()).digest() * (32 << number % 6)


def show() -> list[int]:
    """Return the numbers of the objects that are there and what they were."""
    ioctx = pool(90)
    numbers = sorted(int(found.key) for found in ioctx.list_objects())
    return [number for number in numbers if ioctx.read(str(number), 1 << 20) == content(number)]


if __name__ == "__main__":
    match sys.argv[1]:
        case "setup":
            setup(sys.argv[2])
        case "load":
            load()
        case "show":
            sys.stdout.write(json.dumps(show()))
