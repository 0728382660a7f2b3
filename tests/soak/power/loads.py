"""What writes under load: files as charms write them, MariaDB and a Ceph cluster as the charms set them up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from openinfra_charm.machine import is_unfinished

from .in_guest import steps

if TYPE_CHECKING:
    from .guest import Guest

SERVE_SECONDS = 600
_CHARM = "/srv/payload/charms"


class Files:
    """Changes of files through `openinfra_charm.machine`, or by somebody `careless`, for comparison."""

    def __init__(self, seed: int, *, file_system: str = "ext4", verb: str = "write") -> None:
        self.name = f"files ({verb}, {file_system})"
        self.file_system = file_system
        self._seed, self._verb = seed, verb

    def prepare(self, guest: Guest) -> None:
        """Files need nothing."""

    def start(self, guest: Guest) -> None:
        _start(guest, "mysql", "files.py", self._verb, str(self._seed))

    def serve(self, guest: Guest) -> None:
        guest.script("mount -a")

    def stop(self, guest: Guest) -> None:
        guest.script("umount /srv/data", check=False)

    def missing(self, guest: Guest, acknowledged: list[str]) -> list[str]:
        shown: dict[str, str] = json.loads(_run(guest, "mysql", "files.py", "show"))
        found = {path: what for path, what in shown.items() if not is_unfinished(path)}
        played = steps.steps(self._seed)
        before: dict[str, str] = {}
        for _ in acknowledged:
            before = steps.apply(before, next(played))
        wrong = compare(found, before, next(played))
        if not wrong:
            _run(guest, "mysql", "files.py", "mend")
        return wrong


def compare(found: dict[str, str], before: dict[str, str], step: steps.Step) -> list[str]:
    """Return what is neither as before the step that was under way nor as after it."""
    after = steps.apply(before, step)
    wrong = [
        f"{path} is {found.get(path)}, not {before.get(path)}{f' nor {after.get(path)}' if after.get(path) != before.get(path) else ''}"
        for path in sorted({*found, *before, *after})
        if found.get(path) not in {before.get(path), after.get(path)}
        # The sparse file of an OSD is on record before it is made.
        and (step.kind, step.path) != ("allocate", path)
    ]
    if step.kind == "move_folder":
        there = [path for path in found if path.startswith(f"{step.path}/")]
        if there and len(there) != steps.IN_A_FOLDER:
            wrong.append(f"{step.path} has only {len(there)} files")
    return wrong


class Database:
    """Rows in MariaDB, as the charm runs it; or with `weak` settings, for comparison."""

    file_system = "ext4"

    def __init__(self, *, weak: str = "") -> None:
        self.name = f"MariaDB ({weak or 'as the charm sets it'})"
        self._weak = weak

    def prepare(self, guest: Guest) -> None:
        _move_to_disk(guest, "/var/lib/mysql")
        if self._weak:
            guest.script(f"printf '[mariadbd]\\n{self._weak}\\n' >/etc/mysql/mariadb.conf.d/99-weak.cnf")
        _run(guest, "mysql", "database.py", "setup")

    def start(self, guest: Guest) -> None:
        _start(guest, "mysql", "database.py", "load")

    def serve(self, guest: Guest) -> None:
        guest.script("mount -a; systemctl start mariadb")
        guest.script(
            f'timeout {SERVE_SECONDS} sh -c \'until mariadb --connect-timeout=5 -e "SELECT * FROM soak.kept LIMIT 1";'
            " do sleep 1; done' >/dev/null 2>&1 || { journalctl -b -n 20 -u mariadb >&2; exit 1; }"
        )

    def stop(self, guest: Guest) -> None:
        guest.script("systemctl kill -s KILL mariadb; systemctl stop mariadb", check=False)
        guest.script("umount /var/lib/mysql; umount /srv/data", check=False)

    def missing(self, guest: Guest, acknowledged: list[str]) -> list[str]:
        rows = set(json.loads(_run(guest, "mysql", "database.py", "show")))
        return [f"row {number}" for number in acknowledged if int(number) not in rows]


class Objects:
    """Objects in a Ceph cluster of one OSD, all on the disk, as the charm makes it."""

    name = "Ceph"
    file_system = "ext4"

    def prepare(self, guest: Guest) -> None:
        _move_to_disk(guest, "/var/lib/ceph")
        # The charm takes whole devices. Later the OSD finds its label on the partition itself.
        make = "losetup --find --show --direct-io=on /dev/disk/by-id/virtio-data-part2"
        _run(guest, "ceph", "objects.py", "setup", guest.script(make).strip())

    def start(self, guest: Guest) -> None:
        _start(guest, "ceph", "objects.py", "load")

    def serve(self, guest: Guest) -> None:
        # One guest looks at many disks, and systemd starts a daemon of Ceph three times in half an hour.
        guest.script(
            "mount -a; systemctl reset-failed; systemctl start ceph-mon@guest ceph-osd@0"
            " || { journalctl -b -n 30 -u 'ceph-mon@*' -u 'ceph-osd@*' >&2; exit 1; }"
        )

    def stop(self, guest: Guest) -> None:
        guest.script("systemctl kill -s KILL 'ceph-*'; systemctl stop 'ceph-*'", check=False)
        guest.script("umount /var/lib/ceph; umount /srv/data", check=False)

    def missing(self, guest: Guest, acknowledged: list[str]) -> list[str]:
        objects = set(json.loads(_run(guest, "ceph", "objects.py", "show")))
        return [f"object {number}" for number in acknowledged if int(number) not in objects]


def _move_to_disk(guest: Guest, path: str) -> None:
    """Have a folder that the packages have made on the disk, with what is in it."""
    place = f"/srv/data/{path.rpartition('/')[2]}"
    guest.script(f"cp -a {path} {place}; echo '{place} {path} none bind 0 0' >>/etc/fstab; mount {path}")


def _environment(charm: str) -> list[str]:
    folders = ":".join(f"{_CHARM}/{charm}/{name}" for name in ("lib", "src", "venv"))
    return ["env", f"PYTHONPATH={folders}", "python3"]


def _run(guest: Guest, charm: str, program: str, *arguments: str) -> str:
    return guest.run(*_environment(charm), f"/srv/payload/{program}", *arguments)


def _start(guest: Guest, charm: str, program: str, *arguments: str) -> None:
    command = (*_environment(charm), f"/srv/payload/{program}", *arguments)
    guest.run("systemd-run", "--quiet", "--unit=load", *command)
