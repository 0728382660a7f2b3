"""A software twin of MariaDB with Galera: who forms a primary component from what, and what is in it.

Played: the start of a server from its data and its configuration (a request to begin, the only member of its cluster,
or an ordinary member that looks for the others); restoring the component of `gvwstate.dat` as soon as all who were in
it are there; joining one that is there, with a copy of its data; quorum by majority of the last component, which a
member that stops in good order leaves smaller; who lets whom in, in clear or by TLS, with certificates that are
really verified and that expire; `safe_to_bootstrap`; the history of each member, and the writes that
clients were told are done; databases and users; the statements that the charm sends.

Left out: the network between machines (every server reaches all others that it is configured for), how long copies
take, statements under way when a server dies (all members have a write or none), flow control, incremental transfers
(each joiner has all data at once; a test may say that a server is still `Joining`, or gives a copy), privileges
beyond the names of users, and the SQL that clients send.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import charset
from openinfra_charm.testing import Writers
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from programs import MariaDb

NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass
class Store:
    """What is on one member's disk: its history, and what that has led to."""

    uuid: str = NOBODY
    writes: list[int] = field(default_factory=list)
    databases: list[str] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    narrow: dict[str, list[str]] = field(default_factory=dict)
    """What holds three bytes a character: of a database nothing, of a table (`database.table`) what the charm asks for."""
    keys: dict[str, list[str]] = field(default_factory=dict)
    """Foreign keys over text (`database.table.key`): the parent's database and name, its columns and those of the parent, what is done."""
    safe: bool = False
    view: list[str] | None = None
    """The component it was in when it was last written, None after a stop in good order (gvwstate.dat)."""
    restored: bool = False
    """Whether it comes from a backup: what was acknowledged since is given up."""

    @property
    def seqno(self) -> int:
        """The last position of the history."""
        return len(self.writes) if self.uuid != NOBODY else -1


class Galera:
    """The servers of one application's machines, and the primary components among them.

    `begun` counts the components that began with a server's flag; `acknowledged` are the writes that clients were told
    are done; `given_up` is set by a test that forces a beginning on purpose.
    """

    def __init__(self) -> None:
        self.servers: dict[str, MariaDb] = {}
        self.components: list[set[str]] = []
        self.acknowledged: list[int] = []
        self.begun: list[str] = []
        self.faults: list[str] = []
        self.given_up = False
        self.refused = ""
        """The database that no server makes."""
        self._numbers = itertools.count(1)
        self._writers = Writers()
        self._had: set[str] = set()

    # Servers come and go

    def started(self, server: MariaDb, *, begin: bool) -> None:
        """Have a server look for its component, or begin one."""
        store = server.load()
        if begin:
            if store.uuid != NOBODY and not store.safe:
                server.abort("It may not be safe to bootstrap the cluster from this node")
                return
            if store.uuid == NOBODY:
                store.uuid = f"{next(self._numbers):08x}-0000-4000-8000-000000000000"
            if store.restored:
                self.acknowledged = list(store.writes)
                store.restored = False
            self.begun.append(server.name)
            server.save(store)
            self.components.append({server.name})
            self._note_views()
        self.tick()

    def stopped(self, server: MariaDb, *, in_order: bool) -> None:
        """Take a server out. One that leaves in good order is not counted any more, one that dies is."""
        component = self.component_of(server.name)
        if component is not None:
            size = len(component)
            component.discard(server.name)
            if in_order:
                store = server.load()
                store.view, store.safe = None, size == 1
                server.save(store)
            if not component:
                self.components.remove(component)
            elif not in_order and 2 * len(component) <= size:
                # What is left is no majority of what was there: it serves no more, and keeps the view it had.
                self.components.remove(component)
            else:
                self._note_views()
        elif in_order:
            store = server.load()
            # Galera leaves no mark of a history that it does not have.
            store.view, store.safe = None, store.safe and store.uuid != NOBODY
            server.save(store)
        self.tick()

    def tick(self) -> None:
        """Let servers find each other: old components form again, others join what is there."""
        waiting = [s for s in self.servers.values() if s.runs and self.component_of(s.name) is None]
        for server in waiting:
            store = server.load()
            names = set(store.view or ())
            there = {
                n for n in names if (o := self.servers.get(n)) and o.runs and o.load().view == store.view
            }
            if (
                names
                and there == names
                and not any(self.component_of(name) for name in names)
                and all(self.servers[one].talks_to(self.servers[other]) for one in names for other in names)
            ):
                self.components.append(names)
                self._even_out(names)
                self._note_views()
        for server in waiting:
            if self.component_of(server.name) is None:
                self._join(server)
        for server in self.servers.values():
            server.has_answered = server.runs and self.component_of(server.name) is not None

    def _join(self, server: MariaDb) -> None:
        for component in self.components:
            donors = [self.servers[name] for name in sorted(component)]
            if not any(
                donor.address in server.peers and donor.cluster == server.cluster != "" for donor in donors
            ) or not all(server.talks_to(donor) for donor in donors):
                continue
            theirs, mine = donors[0].load(), server.load()
            if mine.uuid == theirs.uuid and mine.writes != theirs.writes[: len(mine.writes)]:
                server.abort("Local state seqno is greater than group seqno: states diverged")
                return
            server.save(Store(**{**vars(theirs), "view": None, "safe": False}))
            component.add(server.name)
            self._note_views()
            return

    def _even_out(self, names: set[str]) -> None:
        """Bring the members of a component that forms again to the newest history among them."""
        best = max((self.servers[name].load() for name in sorted(names)), key=lambda store: store.seqno)
        for name in names:
            self.servers[name].save(Store(**{**vars(best), "view": self.servers[name].load().view}))

    def _note_views(self) -> None:
        for component in self.components:
            for name in component:
                store = self.servers[name].load()
                store.view, store.safe = sorted(component), len(component) == 1
                self.servers[name].save(store)

    def component_of(self, name: str) -> set[str] | None:
        """Return the primary component that a server is in."""
        return next((component for component in self.components if name in component), None)

    # What clients see

    def time_passed(self, now: float) -> None:
        """Have a client write when it does."""
        if self._writers.due(now, self.primaries()):
            self.write()

    def write(self) -> None:
        """Have a client write a row, if some component takes it."""
        for component in self.components[:1]:
            self._commit(component, lambda _store: None)

    def _commit(self, component: set[str], change: Any, *words: str | None) -> None:
        number = next(self._numbers)
        for name in component:
            store = self.servers[name].load()
            store.writes.append(number)
            change(store, *words)
            self.servers[name].save(store)
        self.acknowledged.append(number)

    def query(self, server: MariaDb, sql: str) -> list[list[str]] | str:  # noqa: PLR0911  one for each kind
        """Answer a statement with rows, or with the client program's error."""
        component = self.component_of(server.name)
        if not server.has_answered or component is None:
            return "ERROR 2002 (HY000): Can't connect to local server through socket '/run/mysqld/mysqld.sock' (111)"
        text = sql.strip().removesuffix(";")
        if text.startswith("SHOW GLOBAL STATUS"):
            addresses = ",".join(
                f"{bracketed(self.servers[name].address)}:3306" for name in sorted(component, reverse=True)
            )
            known = {
                "wsrep_ready": "OFF" if server.state == "Joining" else "ON",
                "wsrep_cluster_status": "Primary", "wsrep_local_state_comment": server.state,
                "wsrep_cluster_size": str(len(component)), "wsrep_incoming_addresses": addresses,
                "wsrep_last_committed": "-1" if server.state == "Joining" else str(server.load().seqno),
            }  # fmt: skip
            return [[name, known[name]] for name in re.findall(r"'(\w+)'", text)]
        if text == "SHOW PROCESSLIST":
            idle = ["1", "system user", "", "NULL", "Sleep", "9", "wsrep aborter idle", "NULL", "0.000"]
            applier = ["2", "system user", "", "NULL", "Sleep", "9", "", server.applies or "NULL", "0.000"]
            return [idle, applier]
        if text == "SHOW GLOBAL VARIABLES LIKE 'wsrep_provider_socket_ssl_reload'":
            return [["wsrep_provider_socket_ssl_reload", "OFF"]]
        if found := re.fullmatch(RELOAD, text):
            server.load_certificate()
            server.requires_tls = found[1] == "ON"
            return []
        if (rows := read(server.load(), text)) is not None:
            return rows
        if why := self._why_refused(server.load(), text):
            return why
        for pattern, change in CHANGES:
            if found := re.fullmatch(pattern, text):
                self._commit(component, change, *found.groups())
                return []
        return f"ERROR 1064 (42000) at line 1: You have an error in your SQL syntax near '{text.split()[0]}'"

    def _why_refused(self, store: Store, text: str) -> str:
        """Return the error of a statement that changes something and cannot."""
        if self.refused and text.startswith(f"CREATE DATABASE IF NOT EXISTS `{self.refused}`"):
            return f"ERROR 1102 (42000) at line 1: Incorrect database name '{self.refused}'"
        found = re.match(r"ALTER TABLE `(.+)`.`(.+)` CONVERT TO ", text)
        for key, row in store.keys.items() if found else ():
            if found and ".".join(found.groups()) in {key.rpartition(".")[0], f"{row[0]}.{row[1]}"}:
                return f"ERROR 1832 (HY000) at line 1: Cannot change column: used in a foreign key constraint '{key}'"
        return ""

    # What must not be

    def holders(self) -> list[str]:
        """Return the machines on whose disk is all that was acknowledged, be it beside the server's data."""
        return [
            name
            for name, server in self.servers.items()
            if any(set(self.acknowledged) <= set(store.writes) for store in server.copies())
        ]

    def deleted(self) -> list[str]:
        """Return the machines that run and have deleted all their data since this was asked last."""
        have = {
            name for name, server in self.servers.items() if any(store.seqno > 0 for store in server.copies())
        }
        deleted = [name for name in sorted(self._had - have) if self.servers[name].machine.powered]
        self._had = have
        return deleted

    def primaries(self) -> list[list[str]]:
        """Return the components that serve, as the names of their members."""
        return [sorted(component) for component in self.components]

    def lost(self) -> list[int]:
        """Return the acknowledged writes that a component that serves does not have."""
        stores = [self.servers[name].load() for component in self.components for name in component]
        kept = [set(store.writes) for store in stores]
        return [n for n in self.acknowledged if any(n not in writes for writes in kept)]


def _of_text(store: Store, text: str) -> list[list[str]] | None:
    """Answer what the charm asks about character sets and the keys over text."""
    tables = [[*name.split("."), *row] for name, row in sorted(store.narrow.items())]
    keys = [[*key.split("."), *row] for key, row in sorted(store.keys.items())]
    answers = {
        charset.DATABASES: [row for row in tables if len(row) == 1],
        charset.TABLES: [row for row in tables if len(row) > 1],
        charset.KEYS: keys,
        charset.PRESENT: [row[:3] for row in keys],
    }
    return next((rows for question, rows in answers.items() if text == question.strip()), None)


def read(store: Store, text: str) -> list[list[str]] | None:
    """Answer a statement that only reads; None where it is none."""
    databases = sorted(["mysql", *store.databases])
    if text == "SHOW DATABASES":
        return [[name] for name in ("information_schema", *databases, "performance_schema", "sys")]
    if text.startswith("SELECT table_schema, table_name"):
        return [[name, "user" if name == "mysql" else "thing"] for name in databases]
    if (of_text := _of_text(store, text.strip())) is not None:
        return of_text
    if text.startswith("SELECT CAST(SUM("):
        return [[str(1 << 20)]]
    if text.startswith("SELECT User FROM mysql.user"):
        return [[user] for user in sorted(store.users) if user.startswith("relation-")]
    return None


def _make_database(store: Store, name: str) -> None:
    if name not in store.databases:
        store.databases.append(name)


def _make_user(store: Store, user: str, password: str) -> None:
    store.users[user] = json.dumps({"password": password, "grants": []})


def _grant(store: Store, where: str, user: str, option: str | None) -> None:
    account = json.loads(store.users[user])
    account["grants"].append(where + (option or ""))
    store.users[user] = json.dumps(account)


def _widen(store: Store, database: str, table: str | None = None) -> None:
    store.narrow.pop(f"{database}.{table}" if table else database, None)


def _drop_key(store: Store, database: str, table: str, key: str) -> None:
    del store.keys[f"{database}.{table}.{key}"]


def _add_key(store: Store, *words: str) -> None:
    database, table, key, column, parent_database, parent, parent_column, *rules = words
    row = [parent_database, parent, column, parent_column, *rules]
    store.keys[f"{database}.{table}.{key}"] = row


def _drop_user(store: Store, user: str) -> None:
    store.users.pop(user, None)


RELOAD = (
    r"FLUSH LOCAL SSL; SET GLOBAL wsrep_provider_socket_ssl_reload = ON; "
    r"SET GLOBAL require_secure_transport = (ON|OFF)"
)
ADD_KEY = (
    r"SET SESSION foreign_key_checks = 0; ALTER TABLE `(.+)`.`(.+)` ADD CONSTRAINT `(.+)` FOREIGN KEY \(`(.+)`\) "
    r"REFERENCES `(.+)`.`(.+)` \(`(.+)`\) ON DELETE (.+) ON UPDATE (.+)"
)
CHANGES = (
    (r"ALTER DATABASE `(.+)` CHARACTER SET utf8mb4", _widen),
    (r"ALTER TABLE `(.+)`.`(.+)` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_\w+", _widen),
    (r"DROP TABLE IF EXISTS `.+`.`openinfra_trial`.*", lambda _store: None),
    (r"ALTER TABLE `(.+)`.`(.+)` DROP FOREIGN KEY `(.+)`", _drop_key),
    (ADD_KEY, _add_key),
    (r"CREATE DATABASE IF NOT EXISTS `(.+)` CHARACTER SET utf8mb4", _make_database),
    (r"CREATE OR REPLACE USER '(.+)'@'%' IDENTIFIED BY '(.+)'", _make_user),
    (r"GRANT ALL PRIVILEGES ON (\S+) TO '(.+)'@'%'( WITH GRANT OPTION)?", _grant),
    (r"DROP USER IF EXISTS '(.+)'@'%'", _drop_user),
)
