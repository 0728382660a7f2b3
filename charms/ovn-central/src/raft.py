"""One of OVN's databases on one machine: its file, its server, and its place in the raft cluster.

The server is asked over its control socket (ovs-appctl(8), `cluster/...` in ovsdb-server(1)), the file with ovsdb-tool(1).
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.machine import Machine

FOLDER = "/var/lib/ovn"
RUN = "/run/ovn"
MEMBER, CUT_OFF, JOINING, LEFT = "cluster member", "disconnected from the cluster", "joining cluster", "left"
"""States of a server: it is a member; it is one and there is no quorum; it joins; it was removed, and has closed its database."""
ANSWER_SECONDS = 10
"""How long a server has for an answer: one that is busy with a large transaction takes a while."""


class DatabaseError(Exception):
    """A database's server or file does not do what it was asked for; the message says what and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A member of the cluster as another one, or itself, knows it. `prefix` is the beginning of its server id."""

    prefix: str
    address: str
    is_connected: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """What a server says of its cluster (`cluster/status`). `timer` is the election timer, in milliseconds."""

    cluster: str
    server: str
    state: str
    role: str
    leader: str
    timer: int
    servers: tuple[Server, ...]

    @property
    def is_member(self) -> bool:
        """Whether it has joined the cluster, and has not left it, as far as it knows."""
        return self.state.startswith((MEMBER, CUT_OFF))

    @property
    def has_left(self) -> bool:
        """Whether it was removed from the cluster: its file is of no use any more."""
        return self.state == LEFT

    @property
    def serves(self) -> bool:
        """Whether it is in a quorum, as far as it knows: there is a leader."""
        return self.state == MEMBER and self.leader not in {"", "unknown"}

    @property
    def leads(self) -> bool:
        """Whether it is the leader."""
        return self.role == "leader"

    @property
    def reachable(self) -> int:
        """How many members it reaches, itself included."""
        return sum(server.is_connected for server in self.servers)

    def has(self, server: str) -> bool:
        """Return whether a server, by its id, is in the cluster."""
        return any(server.startswith(one.prefix) for one in self.servers)


NOBODY = Status(cluster="", server="", state="", role="", leader="", timer=0, servers=())


def majority(members: int) -> int:
    """Return how many of so many members are a quorum."""
    return members // 2 + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """One of the two databases.

    `key` is what facts about it are published under; its clients connect to `client_port`, members to `raft_port`, northd of
    all units to `northd_port`.
    """

    key: str
    title: str
    schema: str
    unit: str
    raft_port: int
    northd_port: int

    @property
    def path(self) -> str:
        """The file."""
        return f"{FOLDER}/ovn{self.key}_db.db"

    @property
    def schema_path(self) -> str:
        """The schema that the installed version of OVN has."""
        return f"/usr/share/ovn/ovn-{self.key}.ovsschema"

    @property
    def socket(self) -> str:
        """Where programs on this machine connect, as OVSDB's clients have it."""
        return f"unix:{RUN}/ovn{self.key}_db.sock"

    @property
    def control(self) -> str:
        """The server's control socket."""
        return f"{RUN}/ovn{self.key}_db.ctl"

    def remote(self, address: str) -> str:
        """Return where members reach the one at this address."""
        return f"ssl:{bracketed(address)}:{self.raft_port}"


NORTHBOUND = Database(
    key="nb", title="northbound", schema="OVN_Northbound", unit="ovn-ovsdb-server-nb.service",
    raft_port=6643, northd_port=16643,
)  # fmt: skip
SOUTHBOUND = Database(
    key="sb", title="southbound", schema="OVN_Southbound", unit="ovn-ovsdb-server-sb.service",
    raft_port=6644, northd_port=16644,
)  # fmt: skip
DATABASES = (NORTHBOUND, SOUTHBOUND)


class Raft:
    """One database's file and server on this machine."""

    def __init__(self, machine: Machine, database: Database) -> None:
        self._machine = machine
        self.database = database

    # The file

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self._machine.exists(self.database.path)

    @property
    def server(self) -> str:
        """The server id in the file; empty where there is no file.

        Raises:
            DatabaseError: It is not that of a cluster's member.
        """
        return self._tool("db-sid", self.database.path) if self.exists else ""

    @property
    def cluster(self) -> str:
        """The cluster id in the file; empty where there is none.

        Raises:
            DatabaseError: It is not that of a cluster's member.
        """
        return self._tool("db-cid", self.database.path) if self.exists else ""

    def create(self, address: str, *, timer: int, anew: bool = False) -> None:
        """Make the file of a new cluster of one member.

        Args:
            address: Where members will reach it.
            timer: The election timer, in milliseconds.
            anew: Whether it begins with what is in the file of a cluster that is given up, which it replaces.

        Raises:
            DatabaseError: It could not be made; the file is as it was.
        """
        database, content = self.database, self.database.schema_path
        new, alone = f"{database.path}.new", f"{database.path}.alone"
        for path in (new, alone):
            self._machine.remove(path)
        if anew:
            content = alone
            self._tool("cluster-to-standalone", alone, database.path)
        self._tool(f"--election-timer={timer}", "create-cluster", new, content, database.remote(address))
        self._keep(new)
        for path in (alone, _lock_of(alone)):
            self._machine.remove(path)

    def _keep(self, new: str) -> None:
        """Give a new file its name when it is whole, and have both outlast a power loss: once it runs, the cluster counts on it."""
        for argv in (("sync", new), ("mv", new, self.database.path), ("sync", FOLDER)):
            self._run(*argv)
        self._machine.remove(_lock_of(new))

    def join(self, cluster: str, address: str, others: Iterable[str]) -> None:
        """Make the file of a server that joins a cluster as soon as it runs.

        Args:
            cluster: The cluster's id.
            address: Where members will reach it.
            others: Where it reaches members.

        Raises:
            DatabaseError: It could not be made.
        """
        database = self.database
        new, remotes = f"{database.path}.new", map(database.remote, others)
        self._machine.remove(new)
        self._tool(
            f"--cid={cluster}", "join-cluster", new, database.schema, database.remote(address), *remotes
        )
        self._keep(new)

    def discard(self) -> None:
        """Delete the file of a server that is not in the cluster any more."""
        for path in (self.database.path, f"{self.database.path}.new", f"{self.database.path}.alone"):
            self._machine.remove(path)
            self._machine.remove(_lock_of(path))

    # The server

    def status(self) -> Status | None:
        """Return what the server says of its cluster; None where it does not answer.

        One that was removed says that it knows no cluster, and does not start again: then its file says so.
        """
        argv = self._control_argv("cluster/status", self.database.schema)
        try:
            answer = self._machine.run(*argv, check=False)
        except FileNotFoundError:  # its packages are not here
            return None
        if answer.code == 0:
            return parse_status(answer.stdout)
        if "unknown cluster" in answer.stderr or self._file_has_left:
            return dataclasses.replace(NOBODY, state=LEFT)
        return None

    @property
    def _file_has_left(self) -> bool:
        """Whether the file, of a server that does not answer, says that it was removed from its cluster."""
        if not self.exists:
            return False
        answer = self._machine.run("ovsdb-tool", "check-cluster", self.database.path, check=False)
        return "shows that the server left the cluster" in answer.stdout + answer.stderr

    def kick(self, server: str) -> None:
        """Have the cluster remove a member, by its server id; the quorum does so later, if there is one.

        Raises:
            DatabaseError: The server refuses, or does not answer.
        """
        self._control("cluster/kick", self.database.schema, server)

    def leave(self) -> None:
        """Have this machine's server leave the cluster; the quorum removes it later, if there is one.

        Raises:
            DatabaseError: The server refuses, or does not answer.
        """
        self._control("cluster/leave", self.database.schema)

    def set_timer(self, milliseconds: int) -> None:
        """Have the leader, this machine's server, change the election timer, at most to the double.

        Raises:
            DatabaseError: The server refuses, or does not answer.
        """
        self._control("cluster/change-election-timer", self.database.schema, str(milliseconds))

    def reload(self) -> None:
        """Have the server read its configuration again; connections that are still allowed stay.

        Raises:
            DatabaseError: The server refuses, or does not answer.
        """
        self._control("ovsdb-server/reload")

    def compact(self) -> None:
        """Have the server write its file anew, without what is of the past.

        Raises:
            DatabaseError: The server refuses, or does not answer.
        """
        try:
            self._control("ovsdb-server/compact", self.database.schema, seconds=50)
        except DatabaseError as error:
            # Nothing was written since it was compacted last.
            if "duplicate snapshot" not in str(error):
                raise

    @property
    def is_of_older_schema(self) -> bool:
        """Whether the database has an older schema than the installed version of OVN.

        Raises:
            DatabaseError: The server does not answer.
        """
        database = self.database
        answer = self._run("ovsdb-client", "needs-conversion", database.socket, database.schema_path)
        return answer == "yes"

    def convert(self) -> None:
        """Bring the database to the schema of the installed version of OVN.

        Raises:
            DatabaseError: The server refuses, or does not answer.
        """
        self._run("ovsdb-client", "-t", "30", "convert", self.database.socket, self.database.schema_path)

    def _control(self, *words: str, seconds: int = ANSWER_SECONDS) -> str:
        return self._run(*self._control_argv(*words, seconds=seconds))

    def _control_argv(self, *words: str, seconds: int = ANSWER_SECONDS) -> tuple[str, ...]:
        return ("ovn-appctl", "-T", str(seconds), "-t", self.database.control, *words)

    def _tool(self, *words: str) -> str:
        return self._run("ovsdb-tool", *words)

    def _run(self, *argv: str) -> str:
        try:
            answer = self._machine.run(*argv, check=False)
        except FileNotFoundError as error:
            raise DatabaseError(f"the {self.database.title} database: {argv[0]} is not installed") from error
        if answer.code:
            why = " ".join((answer.stderr or answer.stdout).split()) or f"exit code {answer.code}"
            raise DatabaseError(f"the {self.database.title} database: {why}")
        return answer.stdout.strip()


def _lock_of(path: str) -> str:
    """Return the file by which OVSDB's programs lock another one (lockfile.c)."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}.~lock~"


def parse_status(text: str) -> Status:
    """Read what `cluster/status` prints."""
    fields = dict(re.findall(r"^([A-Z][\w ]*): (.*)$", text, re.MULTILINE))
    # A connection that is not established stands in parentheses; one that it has opened may not say yet to whom (0000).
    connected = set(re.findall(r"(?:^| )(?:->|<-)([0-9a-f]{4})\b", fields.get("Connections", "")))
    servers = re.findall(r"^ +([0-9a-f]{4}) \([0-9a-f]{4} at (\S+?)\)(.*)$", text, re.MULTILINE)
    return Status(
        cluster=_full_id(fields.get("Cluster ID", "")),
        server=_full_id(fields.get("Server ID", "")),
        state=fields.get("Status", ""),
        role=fields.get("Role", ""),
        leader=fields.get("Leader", ""),
        timer=int(fields.get("Election timer", 0)),
        servers=tuple(
            Server(prefix=prefix, address=address, is_connected="(self)" in rest or prefix in connected)
            for prefix, address, rest in servers
        ),
    )


def _full_id(text: str) -> str:
    """Return the id that is shown as `3ee8 (3ee8f0a2-...)`; empty while it is not known yet."""
    found = re.search(r"\(([0-9a-f-]{36})\)", text)
    return found[1] if found else ""
