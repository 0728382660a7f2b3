"""Making, verifying and restoring backups: one of the whole server, and beside it a dump of each database."""

from __future__ import annotations

import posixpath
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import store
from mysql import DATA, MySql
from openinfra_charm.daemon import registry
from openinfra_charm.daemon.job import JobError
from openinfra_charm.machine import CommandError
from sql import SOCKET, Sql, StatementError, UnreachableError
from store import HOURS, Backup, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.daemon.job import Job

PACKAGES = ("rclone", "zstd")
FULL = "full.mbstream.zst"
COPY = 'mariadb-backup --backup --stream=mbstream --user=root --socket="$1" --target-dir="$2/.tmp" 2>"$2/full.log" | zstd -q -T0 >"$2/$3"'
DUMP = (
    'mariadb-dump --no-defaults --user=root --socket="$1" --single-transaction --quick --routines --events --triggers '
    '--force --hex-blob --add-drop-database --databases "$4" 2>"$2/dump.log" | zstd -q -T0 >"$2/$3" || '
    '{ codes=("${PIPESTATUS[@]}"); [ "${codes[1]}" = 0 ] && exit 3; exit 1; }'
)
IN_PART = 3
"""DUMP's exit code where all is dumped but what the log names: a view that refers to something that is gone, for one."""
LOST = range(2000, 3000)
"""Errors of the client: the server went away, and nobody knows how far the dump goes (MariaDB: include/errmsg.h)."""
NOT_SAVED = "not saved: "
LONGEST_REASON = 200
UNPACK = 'zstd -q -dc "$1" | mbstream -x -C "$2"'
LOAD = 'zstd -q -dc "$1" | mariadb --no-defaults --user=root --socket="$2" --binary-mode'
VIRTUAL = frozenset({"information_schema", "performance_schema", "sys"})
"""Databases that hold nothing of their own."""
TABLES = (
    "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema "
    "NOT IN ('information_schema', 'performance_schema', 'sys') ORDER BY 1, 2"
)
SIZE = "SELECT CAST(SUM(data_length + index_length) AS UNSIGNED) FROM information_schema.tables"
SYSTEM = "mysql"
"""The database of users and rights: it is in the whole backup only, since each cluster has its own."""
SPARE = 64 << 20
START_SECONDS = 300
"""How long a server that starts on a backup may take."""


def dump_name(database: str) -> str:
    """Return the file that a database's dump is in."""
    return f"databases/{quote(database, safe='')}.sql.zst"


def is_name(text: str) -> bool:
    """Return whether this can be a backup's id."""
    return bool(re.fullmatch(r"\d{8}T\d{6}Z-[a-z0-9-]+", text))


def install(mysql: MySql) -> None:
    """Install what backups need and a server does not."""
    registry.install(mysql.machine, f"{mysql.application}-backup", PACKAGES)


class Backups:
    """The backups of a cluster as a job on one of its machines sees them."""

    def __init__(self, job: Job, folder: str, place: str) -> None:
        """Name where they are made, and where they are kept: see `store.find`."""
        self._machine = job.machine
        self._mysql = MySql(job.machine, job.application)
        self._folder = folder
        self._store = store.find(job.machine, job.application, folder, place)
        self._report = job.report
        install(self._mysql)

    def create(self, unit: str, retention: int) -> str:
        """Make a backup; then delete those beyond the newest `retention`.

        Raises:
            JobError: Nothing could be saved; what was there is as it was. What of it could not be saved is named in the backup.
        """
        started = self._machine.now()
        moment = datetime.fromtimestamp(started, UTC).strftime("%Y%m%dT%H%M%SZ")
        name = f"{moment}-{unit.replace('/', '-')}"
        scratch = f"{self._folder}/.{name}.unfinished"
        self._clean_up()
        try:
            databases = _tables(self._mysql.sql)
            data = int(self._mysql.sql.query(SIZE)[0][0])
            # Compressed they need less.
            self._check_space(self._folder, data)
            for folder in (self._folder, scratch, f"{scratch}/databases"):
                self._machine.make_folder(folder, mode=0o700)
            self._report("copying the whole server")
            names, failed = self._copy(scratch)
            for database in sorted(set(databases) - {SYSTEM}):
                self._report(f"dumping {database}")
                made, lacking = self._dump(scratch, database)
                names += [dump_name(database)] if made else []
                failed |= lacking
            if not names:
                raise JobError(f"no backup was made: {_described(failed)}")
            for rest in (".tmp", "full.log", "dump.log"):
                self._machine.remove(f"{scratch}/{rest}")
            backup = Backup(
                id=name,
                unit=unit,
                version=self._mysql.version(),
                started=started,
                ended=self._machine.now(),
                files={name: self._sum(f"{scratch}/{name}") for name in names},
                sizes={name: self._size(f"{scratch}/{name}") for name in names},
                databases=databases,
                data=data,
                failed=failed,
            )
            self._report("keeping it")
            self._store.add(scratch, backup)
            outdated = self._outdated(backup, retention)
            for one in outdated:
                self._store.delete(one)
        except (CommandError, StatementError, UnreachableError, TimeoutError, StoreError) as error:
            raise JobError(f"no backup was made: {error}") from error
        finally:
            self._machine.remove(scratch)
        size = sum(backup.sizes.values())
        words = f"{name}: {len(set(names) - {FULL})} databases, {size} bytes; {len(outdated)} older deleted"
        return f"{words}; {NOT_SAVED}{_described(failed)}" if failed else words

    def _copy(self, scratch: str) -> tuple[list[str], dict[str, str]]:
        """Copy the whole server; return the file, or why there is none."""
        try:
            self._pipe(COPY, SOCKET, scratch, FULL)
        except CommandError as error:
            self._machine.remove(f"{scratch}/{FULL}")
            *_, why = (self._machine.read(f"{scratch}/full.log") or str(error)).strip().splitlines()
            return [], {"the copy of the whole server": why[:LONGEST_REASON]}
        return [FULL], {}

    def _dump(self, scratch: str, database: str) -> tuple[bool, dict[str, str]]:
        """Dump what can be dumped of a database; return whether there is a dump, and what it lacks."""
        words = (SOCKET, scratch, dump_name(database), database)
        done = self._machine.run(*_bash(DUMP), *words, timeout=HOURS, check=False)
        log = (self._machine.read(f"{scratch}/dump.log") or done.stderr).strip().splitlines()
        reasons = [line.partition(": ")[2][:LONGEST_REASON] or line for line in log]
        codes = [
            int(code)
            for line in log
            for code in re.findall(r"\((\d{4})\)|[Ee]rror:? (\d{4})", line)
            for code in code
            if code
        ]
        if not done.code:
            return True, {}
        if done.code == IN_PART and codes and not any(code in LOST for code in codes):
            return True, {f"of {database}": "; ".join(reasons)}
        self._machine.remove(f"{scratch}/{dump_name(database)}")
        return False, {database: "; ".join(reasons) or f"exit code {done.code}"}

    def _outdated(self, backup: Backup, retention: int) -> list[Backup]:
        """Return those that are too many now. One without the whole server takes the place of none that has it."""
        others = [one for one in self._store.backups() if one.id != backup.id]
        if FULL not in backup.files:
            others = [one for one in others if FULL not in one.files]
        return others[: max(len(others) - retention + 1, 0)]

    def prepare(self, name: str, target: str) -> Backup:
        """Make a folder of data from a backup, ready for a server to start with; it has its name when all is durable.

        Raises:
            JobError: The backup is not what its manifest says, or cannot be prepared.
        """
        backup = self._find(name)
        if FULL not in backup.files:
            raise JobError(f"{name} has no copy of the whole server: take its databases back one by one")
        scratch, unfinished = f"{target}.files", f"{target}.unfinished"
        for rest in (target, scratch, unfinished):
            self._machine.remove(rest)
        # The server that runs has its data on the same file system.
        self._check_space(target, backup.sizes.get(FULL, 0) + max(backup.data, backup.sizes.get(FULL, 0)))
        for folder in (scratch, unfinished):
            self._machine.make_folder(folder, mode=0o700)
        try:
            self._report("fetching it")
            path = self._store.fetch(backup, [FULL], scratch)
            self._check_sums(backup, path, [FULL])
            self._report("unpacking it")
            self._pipe(UNPACK, f"{path}/{FULL}", unfinished)
            self._report("preparing it")
            self._machine.run("mariadb-backup", "--prepare", f"--target-dir={unfinished}", timeout=HOURS)
            self._machine.run("chown", "-R", "mysql:mysql", unfinished)
            self._machine.move_folder(unfinished, target)
        except (CommandError, StoreError) as error:
            raise JobError(f"{name} cannot be used: {error}") from error
        finally:
            for rest in (scratch, unfinished):
                self._machine.remove(rest)
        return backup

    def verify(self, name: str) -> str:
        """Check all sums, and start a server of its own on the whole backup: it must have all tables, each sound.

        Raises:
            JobError: The backup is no good; the message says why.
        """
        # Beside the server's data: nobody but root may look into the folder of the backups.
        target = f"{DATA}.verify"
        unit = f"{self._mysql.application}-verify.service"
        self._machine.run("systemctl", "stop", unit, check=False)
        try:
            backup = self.prepare(name, target)
            dumps = [one for one in backup.files if one != FULL]
            self._machine.make_folder(f"{target}.files/databases", mode=0o700)
            path = self._store.fetch(backup, dumps, f"{target}.files")
            self._check_sums(backup, path, dumps)
            self._report("starting a server on it")
            self._machine.run(
                "systemd-run", "--quiet", "--collect", f"--unit={unit}", "--property=User=mysql",
                "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={target}", f"--socket={target}/socket",
                f"--pid-file={target}/pid", "--skip-networking", "--wsrep-on=OFF", "--innodb-buffer-pool-size=64M",
            )  # fmt: skip
            found = self._tables_once_there(Sql(self._machine, socket=f"{target}/socket"))
            _compare(backup, found)
            self._report("checking its tables")
            check = ("mariadb-check", "--no-defaults", "--user=root", f"--socket={target}/socket")
            self._machine.run(*check, "--all-databases", timeout=HOURS)
        except (CommandError, UnreachableError, StatementError, StoreError) as error:
            raise JobError(f"{name} is no good: {error}") from error
        finally:
            self._machine.run("systemctl", "stop", unit, check=False)
            for rest in (target, f"{target}.files"):
                self._machine.remove(rest)
        count = sum(map(len, found.values()))
        return f"{name} is good: a server has started on it, with {len(found)} databases and {count} sound tables"

    def restore_database(self, name: str, database: str) -> str:
        """Put a database in the place of the one that is there, from its dump; others are not touched.

        Raises:
            JobError: The dump is not what the manifest says (nothing has changed), or could not be loaded.
        """
        backup = self._find(name)
        file = dump_name(database)
        scratch = f"{self._folder}/.restore"
        self._check_space(scratch, backup.sizes.get(file, 0))
        self._machine.make_folder(f"{scratch}/databases", mode=0o700)
        try:
            path = self._store.fetch(backup, [file], scratch)
            self._check_sums(backup, path, [file])
            self._report(f"loading {database}")
            self._pipe(LOAD, f"{path}/{file}", SOCKET)
        except StoreError as error:
            raise JobError(f"nothing has changed: {error}") from error
        except CommandError as error:
            raise JobError(f"{database} is not whole now; run it again: {error}") from error
        finally:
            self._machine.remove(scratch)
        return f"{database} is as it was in {name}"

    def _find(self, name: str) -> Backup:
        try:
            kept = self._store.backups()
        except StoreError as error:
            raise JobError(str(error)) from error
        for backup in kept:
            if backup.id == name:
                return backup
        raise JobError(f"there is no complete backup {name} here; see list-backups")

    def _clean_up(self) -> None:
        """Remove what interrupted jobs have left."""
        for name in self._machine.list_folder(self._folder):
            if name.startswith(".") and name.endswith((".unfinished", ".deleted")):
                self._machine.remove(f"{self._folder}/{name}")

    def _check_space(self, path: str, size: int) -> None:
        """Refuse to begin where so many bytes might not fit."""
        needed = size + SPARE
        there = path
        while not self._machine.exists(there) and there != "/":
            there = posixpath.dirname(there)
        free = self._machine.free_space(there)
        if free < needed:
            raise JobError(f"{path} has {free >> 20} MiB left and {needed >> 20} may be needed: make room")

    def _tables_once_there(self, sql: Sql) -> dict[str, list[str]]:
        limit = self._machine.now() + START_SECONDS
        while True:
            try:
                return _tables(sql)
            except UnreachableError:
                if self._machine.now() > limit:
                    raise
                self._machine.sleep(1)

    def _pipe(self, script: str, *words: str) -> None:
        self._machine.run(*_bash(script), *words, timeout=HOURS)

    def _sum(self, path: str) -> str:
        return self._machine.run("sha256sum", "--", path, timeout=HOURS).stdout.split()[0]

    def _size(self, path: str) -> int:
        return int(self._machine.run("stat", "--format=%s", path).stdout)

    def _check_sums(self, backup: Backup, folder: str, names: list[str]) -> None:
        for name in names:
            if self._sum(f"{folder}/{name}") != backup.files[name]:
                raise JobError(f"{backup.id} is damaged: {name} is not what it was when the backup was made")


def _bash(script: str) -> tuple[str, ...]:
    return ("bash", "-euo", "pipefail", "-c", script, "backup")


def _described(failed: Mapping[str, str]) -> str:
    return "; ".join(f"{what}: {why}" for what, why in failed.items())


def _tables(sql: Sql) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {row[0]: [] for row in sql.query("SHOW DATABASES") if row[0] not in VIRTUAL}
    for database, table in sql.query(TABLES):
        found.setdefault(database, []).append(table)
    return found


def _compare(backup: Backup, found: Mapping[str, list[str]]) -> None:
    for database, tables in backup.databases.items():
        if database not in found:
            raise JobError(f"{backup.id} is not complete: it lacks the database {database}")
        if missing := sorted(set(tables) - set(found[database])):
            raise JobError(f"{backup.id} is not complete: {database} lacks {', '.join(missing)}")
