"""What Cinder's processes do otherwise when they start, each for its reason: `python openinfra_start.py volume --config-file=...`.

- There is no root here, and RBD needs none: what Cinder would run by `sudo cinder-rootwrap`, such as `qemu-img info`, runs as its user.
- os-brick is to know RBD alone: it asks each kind of storage what this host is called there, and for some only root can say.
- The key of its Ceph user is in a folder of the application: os-brick looks for it in one that all of the machine's share.
- A database that comes later, as after a power loss, is waited for also where the locks are kept. To be started every second
  would take the processor from it.
- A driver that cannot be set up ends its process, and systemd starts it again: Cinder itself looks once, or four times, and is down from
  then on for ever. Why it could not is left in a file, for the unit's status.
"""

import contextlib
import importlib
import os
import sys
import time
from pathlib import Path

TRIES, PAUSE_SECONDS = 10, 2
"""How often the locks' database is looked for, and after how long again."""
LONGEST = 200


def wait_for_locks():
    """Have whoever takes a place among the locks wait a while for their database."""
    coordination = importlib.import_module("cinder.coordination")
    tooz = importlib.import_module("tooz.coordination")
    start = coordination.Coordinator.start

    def patient(self):
        for _ in range(TRIES - 1):
            with contextlib.suppress(tooz.ToozConnectionError):
                return start(self)
            time.sleep(PAUSE_SECONDS)
        return start(self)

    coordination.Coordinator.start = patient


def use_rbd_alone():
    """Have os-brick know RBD alone, and take the key of the only Ceph user that there is here."""
    importlib.import_module("os_brick.initiator.connector").unix_connector_list[:] = [
        "os_brick.initiator.connectors.base.BaseLinuxConnector",
        "os_brick.initiator.connectors.rbd.RBDConnector",
    ]
    connector = importlib.import_module("os_brick.initiator.connectors.rbd").RBDConnector

    def keyring_of(keyring, _cluster, _user):
        if keyring is not None:
            return keyring
        return Path(os.environ["OPENINFRA_KEYRING"]).read_text(encoding="utf-8")

    setattr(connector, "_check_or_get_keyring_contents", staticmethod(keyring_of))  # noqa: B010  it is a name of its own


def end(name, error):
    """End this process, as its driver cannot be set up; leave why."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]
    path(name).write_text(text, encoding="utf-8")
    time.sleep(PAUSE_SECONDS)
    # What only ends this thread would leave a process that does nothing.
    os._exit(1)


def serves(name):
    """Take back why a process could not serve."""
    path(name).unlink(missing_ok=True)


def path(name):
    """Return where a process leaves why its driver cannot be set up."""
    return Path(os.environ["OPENINFRA_STATE"]) / f"{name}-problem"


def main(name):
    """Run a process of Cinder's."""
    # It patches the standard library for eventlet, before anything else of Cinder's is there.
    command = importlib.import_module(f"cinder.cmd.{name}")
    utils = importlib.import_module("cinder.utils")
    utils.get_root_helper = lambda: "env"
    wait_for_locks()
    use_rbd_alone()
    # What the process is called among those that answer, too.
    sys.argv = [f"cinder-{name}", *sys.argv[2:]]
    command.main()


if __name__ == "__main__":
    # Managers import this module by its name.
    sys.exit(importlib.import_module("openinfra_start").main(sys.argv[1]))
