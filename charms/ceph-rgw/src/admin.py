"""What radosgw-admin does, as the daemon's own Ceph user."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from openinfra_charm.machine import Machine, Result

SECONDS = 20
"""How long a command may take: most need a tenth of a second, and one that meets no quorum waits for ever."""
AT_ONCE = 1000
"""How many buckets are looked at by one command, some hundred in a second; also the most that a user has who was given no
other limit."""
PURGE_SECONDS = 14 * 86400
"""How long a bucket's objects may take to be deleted, by a job: some hundred of them go in a second. Python waits for no
longer than 24 days (poll(2))."""


class UnreachableError(Exception):
    """The cluster does not answer: there is no quorum, or its disks are down."""


class RefusedError(Exception):
    """radosgw-admin refused something; the message is its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """What an S3 client signs its requests with."""

    access: str
    secret: str


class Admin:
    """The program radosgw-admin, with one configuration."""

    def __init__(self, machine: Machine, config: str, name: str) -> None:
        self._machine = machine
        self._config = config
        self._words = ("radosgw-admin", "-c", config, "--name", name)

    @property
    def configured(self) -> bool:
        """Whether this machine has what is needed to ask."""
        return self._machine.exists(self._config)

    def run(self, *words: str, seconds: float = SECONDS, stdin: str | None = None) -> Any:
        """Run a command and return its decoded JSON answer (None for an empty one).

        Args:
            words: The command.
            seconds: How long it may take.
            stdin: What it reads.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: The command was refused.
        """
        done = self._ask(*words, seconds=seconds, stdin=stdin)
        if done.code:
            raise RefusedError(f"radosgw-admin {' '.join(words[:2])}: {_last_line(done.stderr)}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def ensure(self, kind: str, *options: str) -> None:
        """Make a realm, zone group or zone unless it is there.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: It cannot be made.
        """
        done = self._ask(kind, "create", *options)
        if done.code not in {0, errno.EEXIST}:
            raise RefusedError(f"radosgw-admin {kind} create: {_last_line(done.stderr)}")

    def users(self) -> list[str]:
        """Return the names of all users.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        return sorted(self.run("user", "list"))

    def user(self, name: str) -> dict[str, Any] | None:
        """Return what is known of a user, with its keys; None where there is none.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        done = self._ask("user", "info", f"--uid={name}")
        return None if done.code else json.loads(done.stdout)

    def create_user(self, name: str, display_name: str, *, buckets: int = 0) -> Keys:
        """Make a user with one key, or give one that has none a key; return the key.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: It cannot be made.
        """
        known = self.user(name)
        if known is None:
            limit = (f"--max-buckets={buckets}",) if buckets else ()
            known = self.run("user", "create", f"--uid={name}", f"--display-name={display_name}", *limit)
        elif not known["keys"]:
            known = self.run("key", "create", f"--uid={name}", "--key-type=s3", "--gen-access-key")
        key = known["keys"][0]
        return Keys(access=key["access_key"], secret=key["secret_key"])

    def add_key(self, name: str) -> Keys:
        """Give a user, who is made where there is none, one more key; return it.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: It cannot be made.
        """
        known = self.user(name)
        if known is None:
            return self.create_user(name, name)
        before = {key["access_key"] for key in known["keys"]}
        after = self.run("key", "create", f"--uid={name}", "--key-type=s3", "--gen-access-key")["keys"]
        new = next(key for key in after if key["access_key"] not in before)
        return Keys(access=new["access_key"], secret=new["secret_key"])

    def keep_keys(self, name: str, kept: Collection[str]) -> None:
        """Take all keys of a user away but these, if there is such a user.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: One cannot be taken away.
        """
        for key in (self.user(name) or {"keys": []})["keys"]:
            if key["access_key"] not in kept:
                self.run("key", "rm", f"--uid={name}", "--key-type=s3", f"--access-key={key['access_key']}")

    def drop_keys(self, name: str) -> None:
        """Take all of a user's keys away.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        self.keep_keys(name, ())

    def bucket_names(self, user: str = "") -> list[str]:
        """Return the names of buckets, sorted; those of projects as `TENANT/NAME`.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: There is no such user.
        """
        return sorted(self.run("bucket", "list", *_of(user)))

    def buckets(self, user: str = "") -> list[dict[str, Any]]:
        """Return buckets, sorted by owner and name: name, owner, bytes and number of objects. It takes time for each.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: There is no such user.
        """
        found = map(_bucket, self.run("bucket", "stats", *_of(user)))
        return sorted(found, key=lambda one: (one["owner"], one["name"]))

    def bucket(self, name: str) -> dict[str, Any] | None:
        """Return the same of one bucket; None where there is none.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        done = self._ask("bucket", "stats", f"--bucket={name}")
        return None if done.code else _bucket(json.loads(done.stdout))

    def suspend(self, name: str) -> None:
        """Refuse a user's requests from now on; what it keeps stays.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: There is no such user.
        """
        self.run("user", "suspend", f"--uid={name}")

    def purge_bucket(self, name: str) -> None:
        """Delete a bucket with all that is in it, for as long as that takes.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: It cannot be deleted.
        """
        self.run("bucket", "rm", f"--bucket={name}", "--purge-objects", seconds=PURGE_SECONDS)

    def set_quota(self, user: str, size: int) -> None:
        """Limit what a user may keep, in bytes; 0 lifts the limit.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: There is no such user.
        """
        which = (f"--uid={user}", "--quota-scope=user")
        if size:
            self.run("quota", "set", *which, f"--max-size={size}B")
            self.run("quota", "enable", *which)
        else:
            self.run("quota", "disable", *which)

    def _ask(self, *words: str, seconds: float = SECONDS, stdin: str | None = None) -> Result:
        try:
            done = self._machine.run(*self._words, *words, stdin=stdin, timeout=seconds, check=False)
        except TimeoutError as error:
            raise UnreachableError(f"the Ceph cluster does not answer within {seconds:g} s") from error
        if "couldn't init storage provider" in done.stderr.lower():
            raise UnreachableError(f"the Ceph cluster does not let this unit in: {_last_line(done.stderr)}")
        return done


def _of(user: str) -> tuple[str, ...]:
    return (f"--uid={user}",) if user else ()


def _bucket(stats: dict[str, Any]) -> dict[str, Any]:
    used = stats["usage"].get("rgw.main", {})
    return {
        "name": f"{stats['tenant']}/{stats['bucket']}" if stats.get("tenant") else stats["bucket"],
        "owner": stats["owner"],
        "bytes": used.get("size_actual", 0),
        "objects": used.get("num_objects", 0),
    }


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no error output"
