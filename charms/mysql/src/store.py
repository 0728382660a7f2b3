"""Where backups are kept: in a folder of this machine, or in a bucket of an object store by rclone.

A backup is a folder with a manifest, `backup.json`. It counts only when it is complete and durable: a local one gets its
name last, in a bucket the manifest comes last.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.interfaces.s3 import Bucket
    from openinfra_charm.machine import Machine, Result

MANIFEST = "backup.json"
HOURS = 24 * 3600
"""No transfer takes longer."""
LIST_SECONDS = 40
"""How long listing may take: actions do it."""
QUICK = ("--contimeout=5s", "--timeout=15s", "--retries=1", "--low-level-retries=2")
"""Options with which rclone gives an object store up that does not answer."""
NOT_FOUND = 3
"""rclone's exit code for a bucket or a path that is not there (rclone.org/docs, Exit code)."""


class StoreError(Exception):
    """The object store does not do what it is asked for; the message says which, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """A complete backup. `files` are its files' SHA-256 sums by name, `databases` the tables by database.

    `data` is how many bytes the server's data were; 0 where an earlier version has not said. `failed` names what the server could not
    give, such as an invalid view, and why.
    """

    id: str
    unit: str
    version: str
    started: float
    ended: float
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    databases: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    data: int = 0
    failed: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def parse(cls, text: str) -> Backup:
        """Read a manifest."""
        known: dict[str, Any] = json.loads(text)
        return cls(**{name: known[name] for name in cls.__dataclass_fields__ if name in known})

    def manifest(self) -> str:
        """Return the manifest's text."""
        return f"{json.dumps(asdict(self), indent=1, sort_keys=True)}\n"


class Folder:
    """Backups in a folder of this machine that only root can read."""

    def __init__(self, machine: Machine, path: str) -> None:
        self._machine = machine
        self.path = path

    def backups(self) -> list[Backup]:
        """Return the complete backups, the oldest first."""
        names = [name for name in self._machine.list_folder(self.path) if not name.startswith(".")]
        texts = (self._machine.read(f"{self.path}/{name}/{MANIFEST}") for name in names)
        found = (Backup.parse(text) for text in texts if text)
        whole = [
            one
            for one in found
            if all(self._machine.exists(f"{self.path}/{one.id}/{name}") for name in one.files)
        ]
        return sorted(whole, key=lambda backup: backup.started)

    def add(self, folder: str, backup: Backup) -> None:
        """Keep what is in a folder beside the others; it has all but the manifest."""
        self._machine.write(f"{folder}/{MANIFEST}", backup.manifest(), mode=0o600)
        self._machine.move_folder(folder, f"{self.path}/{backup.id}")

    def fetch(self, backup: Backup, names: list[str], scratch: str) -> str:
        """Return the folder in which these files are."""
        del names, scratch
        return f"{self.path}/{backup.id}"

    def delete(self, backup: Backup) -> None:
        """Delete a backup: first its name, so that half of one is never taken for a whole."""
        self._machine.move_folder(f"{self.path}/{backup.id}", f"{self.path}/.{backup.id}.deleted")
        self._machine.remove(f"{self.path}/.{backup.id}.deleted")


class ObjectStore:
    """Backups in a bucket, through rclone. Its configuration has the keys; only root can read it."""

    def __init__(self, machine: Machine, application: str, place: str) -> None:
        """Name the place: `bucket` or `bucket/path`."""
        self._machine = machine
        self._place = f"s3:{place}"
        self._options = ["--config", config_path(application), "--ask-password=false"]
        if machine.exists(_ca_path(application)):
            self._options += ["--ca-cert", _ca_path(application)]

    def backups(self) -> list[Backup]:
        """Return the complete backups, the oldest first.

        Raises:
            StoreError: The object store cannot be reached, or refuses, or has no such bucket.
        """
        listed = self._list("lsjson", "--recursive", "--files-only", self._place)
        bucket = self._place.partition("/")[0]
        # Nothing has been put under the path yet, or what answers there knows nothing of the bucket.
        if (
            not listed
            and self._run("lsf", "--max-depth=1", bucket, *QUICK, seconds=LIST_SECONDS).code == NOT_FOUND
        ):
            raise StoreError(
                f"the object store has no bucket {bucket.removeprefix('s3:')}; create-backup makes it"
            )
        sizes = {entry["Path"]: entry["Size"] for entry in json.loads(listed or "[]")}
        manifests = [path for path in sizes if path.endswith(f"/{MANIFEST}") and path.count("/") == 1]
        texts = (self._list("cat", f"{self._place}/{path}") for path in manifests)
        found = [Backup.parse(text) for text in texts if text]
        whole = [
            one
            for one in found
            if all(sizes.get(f"{one.id}/{name}") == size for name, size in one.sizes.items())
        ]
        return sorted(whole, key=lambda backup: backup.started)

    def add(self, folder: str, backup: Backup) -> None:
        """Upload what is in a folder, and then its manifest; the folder goes."""
        self._rclone("copy", folder, f"{self._place}/{backup.id}")
        self._machine.write(f"{folder}/{MANIFEST}", backup.manifest(), mode=0o600)
        self._rclone("copy", folder, f"{self._place}/{backup.id}")
        self._machine.remove(folder)

    def fetch(self, backup: Backup, names: list[str], scratch: str) -> str:
        """Download these files into a scratch folder, and return it."""
        for name in names:
            self._rclone("copyto", f"{self._place}/{backup.id}/{name}", f"{scratch}/{name}")
        return scratch

    def delete(self, backup: Backup) -> None:
        """Delete a backup: first its manifest, so that half of one is never taken for a whole."""
        self._rclone("deletefile", f"{self._place}/{backup.id}/{MANIFEST}")
        self._rclone("purge", f"{self._place}/{backup.id}")

    def _list(self, *words: str) -> str:
        return self._rclone(*QUICK, *words, seconds=LIST_SECONDS)

    def _rclone(self, *words: str, seconds: float = HOURS) -> str:
        done = self._run(*words, seconds=seconds)
        return "" if done.code == NOT_FOUND else done.stdout

    def _run(self, *words: str, seconds: float) -> Result:
        try:
            done = self._machine.run("rclone", *self._options, *words, timeout=seconds, check=False)
        except TimeoutError as error:
            raise StoreError(f"the object store of {self._place} does not answer: {error}") from error
        if done.code not in {0, NOT_FOUND}:
            # What it says last, after date and time, is what all before has led to; it may have several lines.
            last = re.split(r"^[\d/]+ [\d:]+ ", done.stderr, flags=re.MULTILINE)[-1]
            why = " ".join(last.split()) or f"rclone ended with exit code {done.code}"
            raise StoreError(f"the object store of {self._place} cannot be used: {why}")
        return done


Store = Folder | ObjectStore


def _ca_path(application: str) -> str:
    return f"/etc/{application}/backup/ca.pem"


def config_path(application: str) -> str:
    """Return where rclone's configuration is."""
    return f"/etc/{application}/backup/rclone.conf"


def configure(machine: Machine, application: str, bucket: Bucket | None) -> None:
    """Have rclone reach a bucket. Without one nothing is left of it."""
    path, ca_path = config_path(application), _ca_path(application)
    if bucket is None:
        machine.remove(path)
        machine.remove(ca_path)
        return
    lines = {
        "type": "s3",
        "provider": "Other",
        "endpoint": bucket.endpoint,
        "region": bucket.region or "us-east-1",
        "force_path_style": str(bucket.by_path).lower(),
        "access_key_id": bucket.access_key,
        "secret_access_key": bucket.secret_key,
    }
    text = "[s3]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())
    render.write(machine, File(path=path, content=text, mode=0o600))
    if bucket.ca:
        render.write(machine, File(path=ca_path, content=bucket.ca))
    else:
        machine.remove(ca_path)


def place(bucket: Bucket) -> str:
    """Return a bucket and the path in it, as `ObjectStore` wants them."""
    return f"{bucket.name}/{bucket.path}".strip("/")


def find(machine: Machine, application: str, folder: str, place: str) -> Store:
    """Return where backups are kept: in a bucket where there is a place, else in the folder."""
    return ObjectStore(machine, application, place) if place else Folder(machine, folder)
