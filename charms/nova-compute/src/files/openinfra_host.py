"""What this host is waited for before nova-compute starts: `python openinfra_host.py CONFIG KEYRING`, with the release tree's Python.

nova-compute starts servers once that ran before the machine stopped, and gives up those that cannot start then. So libvirt, Ceph and
Open vSwitch answer first; libvirt has the key with which guests reach Ceph. The exit code is 1, with the reason as the last line, as long as
one of them does not: systemd tries again. Nothing here needs Juju.
"""

import base64
import configparser
import re
import socket
import sys
from pathlib import Path

SECONDS = 10
SWITCH = "/run/openvswitch/db.sock"
DEFINITION = """<secret ephemeral='no' private='yes'>
  <uuid>{uuid}</uuid>
  <usage type='ceph'><name>client.{user} {uuid}</name></usage>
</secret>
"""


def read(config_path):
    """Return nova.conf; oslo.config would read a single dollar as a reference."""
    config = configparser.RawConfigParser(strict=False, default_section="")
    config.read(config_path)
    return config


def key_of(keyring_path):
    """Return the key in a keyring."""
    text = Path(keyring_path).read_text(encoding="utf-8")
    found = re.search(r"^\s*key\s*=\s*(\S+)", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"there is no key in {keyring_path}")
    return found[1]


def give_secret(libvirt, connection, uuid, user, key):
    """Have libvirt keep the key under a uuid."""
    try:
        secret = connection.secretLookupByUUIDString(uuid)
    except libvirt.libvirtError:
        secret = connection.secretDefineXML(DEFINITION.format(uuid=uuid, user=user))
    secret.setValue(base64.b64decode(key))


def ask_ceph(rados, config_path, user):
    """See that the cluster answers."""
    cluster = rados.Rados(
        conffile=config_path, name=f"client.{user}", conf={"client_mount_timeout": str(SECONDS)}
    )
    cluster.connect(timeout=SECONDS)
    cluster.shutdown()


def ask_switch(path):
    """See that Open vSwitch's database answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(path)
        connection.sendall(b'{"method": "echo", "params": [], "id": 1}')
        if not connection.recv(1):
            raise ConnectionError("it hangs up")


def why_not(config_path, keyring_path):
    """Return what does not answer, empty if all do."""
    # The distribution's, which the release tree has.
    import libvirt  # noqa: PLC0415
    import rados  # noqa: PLC0415

    options = read(config_path)["libvirt"]
    user, uuid = options["rbd_user"], options["rbd_secret_uuid"]
    try:
        connection = libvirt.open("qemu:///system")
        give_secret(libvirt, connection, uuid, user, key_of(keyring_path))
        connection.close()
    except libvirt.libvirtError as error:
        return f"libvirt: {error}"
    try:
        ask_ceph(rados, f"{keyring_path.rpartition('/')[0]}/ceph.conf", user)
    except rados.Error as error:
        return f"Ceph: {error}"
    try:
        ask_switch(SWITCH)
    except OSError as error:
        return f"Open vSwitch: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(why_not(*sys.argv[1:]) or 0)
