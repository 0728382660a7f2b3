"""MariaDB with Galera on one machine: packages, configuration, the server. Everything here works without Juju."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.daemon import registry, render, tls
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.machine import program
from openinfra_charm.values import bracketed
from sql import Sql, StatementError, UnreachableError

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from state import State

HERE = Path(__file__).parent
DAEMON = "mariadb"
PACKAGES = (
    "galera-4",
    "iproute2",
    "mariadb-backup",
    "mariadb-client",
    "mariadb-server",
    "socat",
    *tls.PACKAGES,
)
UNIT = "mariadb.service"
CONFIG = "/etc/mysql/mariadb.conf.d/99-openinfra.cnf"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/openinfra.conf"
START = "/usr/lib/openinfra/mariadb-start"
DATA = "/var/lib/mysql"
PREPARED, REPLACED, ASIDE = f"{DATA}.restore-", f"{DATA}.before-restore-", f"{DATA}.aside-"
"""Folders beside the data, each with a restore's number: data made from a backup; data that a restore has replaced, on the unit
that restores the backup; other units' data, until they have copied those that are restored."""
BEGIN = "/run/mysqld/openinfra-new-cluster"
"""Asks the next start, and only that, to begin a primary component; see files/mariadb-start."""
NO_HISTORY = "00000000-0000-0000-0000-000000000000"
"""What Galera records as the history of data that are nobody's."""
STOP_SECONDS = 10
"""How long a server that does not serve has for a stop in good order."""
STATUS = (
    "wsrep_ready", "wsrep_cluster_status", "wsrep_local_state_comment", "wsrep_cluster_size", "wsrep_incoming_addresses",
    "wsrep_last_committed",
)  # fmt: skip
WITHOUT_RESTART = ("#", "wsrep_cluster_address", "require_secure_transport", "ssl-")
"""Lines that need no restart: a running server learns from the cluster where the others are, whom to let in by a statement, and
what is in [sst] is read for each copy."""
MIXED = ";socket.dynamic=true"
"""Lets members take each other in clear, too: needed only at the restart that brings TLS in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """What the server says of its place in the cluster. `addresses` are those of the component's members for clients.

    `committed` is the position of the last write that it has.
    """

    ready: bool
    primary: bool
    state: str
    size: int
    addresses: tuple[str, ...]
    committed: int

    @property
    def serves(self) -> bool:
        """Whether it is complete, in the primary component, and takes statements."""
        return self.ready and self.primary and self.state == "Synced"

    @property
    def gives_copy(self) -> bool:
        """Whether it gives another member what that one lacks."""
        return self.state == "Donor/Desynced"


class MySql:
    """The MariaDB server of this machine."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self.application = application
        self.sql = Sql(machine)
        self.services = Services(machine, application)
        self.templates = render.Templates(machine, application, HERE / "templates")
        self._folder = f"/var/lib/openinfra/{application}"
        self._version = ""

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        name = self.application
        units = (f"{name}-health.service", f"{name}-backup.timer", f"{name}-backup.service")
        own = (
            f"/usr/lib/openinfra/{name}-health",
            *(f"/etc/{name}/{one}" for one in ("health-files", "backup", "tls")),
        )
        return Footprint(
            daemon=DAEMON,
            does="runs MariaDB on this machine",
            paths=(CONFIG, DROP_IN, START, BEGIN, *own, *(f"/etc/systemd/system/{unit}" for unit in units)),
            data=(DATA,),
        )

    def install(self) -> None:
        """Install the packages; nothing starts."""
        registry.install(self.machine, self.application, PACKAGES)
        self._version = ""

    def version(self) -> str:
        """Return the installed version, such as `11.8.6`; a hook in which nothing is installed asks once."""
        self._version = self._version or registry.version(self.machine, "mariadb-server")
        return self._version

    def render(self, state: State) -> None:
        """Write the configuration, and leave the checks for `host`."""
        config = self.templates.fill(
            "openinfra.cnf.j2",
            CONFIG,
            application=self.application,
            node_name=state.member.unit,
            client_address=state.member.client_address,
            client_host=bracketed(state.member.client_address),
            cluster_host=bracketed(state.member.cluster_address),
            addresses=[bracketed(address) for address in state.members.values()],
            settings=state.settings,
            tls=state.tls,
        )
        # A Galera cluster's name has room for 32 characters (its messages between members).
        start = self.templates.fill(
            "mariadb-start.j2",
            START,
            application=self.application,
            cluster_name=state.cluster_id.replace("-", ""),
        )
        changed = render.write(
            self.machine,
            config,
            dataclasses.replace(start, mode=0o755),
            File(path=DROP_IN, content=_text("mariadb.conf")),
        )
        if DROP_IN in changed:
            self.machine.reload_systemd()
        for kind in registry.CHECKS:
            check = program.command(HERE / "check.py", kind, self.application)
            registry.leave_check(self.machine, kind, self.application, *check)

    @property
    def is_managed(self) -> bool:
        """Whether the server was started here, and is to run."""
        return UNIT in self.services.units

    def apply(self) -> bool:
        """Start the server if it does not run, and return whether it was; with an older configuration it is left for `outdated`."""
        if not self.is_managed and not self.machine.exists(f"{DATA}/mysql"):
            # The packages make it when they are installed; they may have been here before, for somebody else.
            self.machine.run("mariadb-install-db", "--user=mysql", "--skip-test-db", f"--datadir={DATA}")
        return bool(self.services.ensure_running([self._service]))

    def begin(self) -> None:
        """Start the server as the first of a new primary component, with the data that are here.

        It may do so once: a restart, whoever causes it, is that of an ordinary member.
        """
        if self.machine.service_states(UNIT)[UNIT] != "inactive":
            self.machine.run("systemctl", "stop", UNIT)
        if state := self.machine.read(f"{DATA}/grastate.dat"):
            marked = re.sub(r"safe_to_bootstrap: \d", "safe_to_bootstrap: 1", state)
            self.machine.write(f"{DATA}/grastate.dat", marked, mode=0o660, user="mysql", group="mysql")
        self.machine.write(BEGIN, "")
        self.apply()

    def outdated(self) -> bool:
        """Return whether the server runs with an older configuration and has to be restarted."""
        return bool(self.services.outdated([self._service]))

    def restart(self) -> None:
        """Restart the server with the present configuration."""
        self.services.restart(self._service)

    def stop(self) -> None:
        """Stop the server, and keep it stopped."""
        self.services.stop(*self.services.units)

    def pause(self) -> tuple[str, int, bool]:
        """Stop the server until it is started again, and return how far its data go.

        What Galera would form the former component from is taken away: from now on only `begin`, here or elsewhere,
        does so.

        Returns:
            The history's id, the last position in it, and whether this was the last member to leave the cluster.
        """
        self.machine.run("systemctl", "--no-block", "stop", UNIT)
        limit = self.machine.now() + STOP_SECONDS
        while self.machine.service_states(UNIT)[UNIT] not in {"inactive", "failed"}:
            if self.machine.now() >= limit:
                self.kill()
            self.machine.sleep(1)
        return self.position()

    def position(self) -> tuple[str, int, bool]:
        """Return how far the data of the stopped server go, as `pause` does, and take the same away."""
        last = self.left_last
        self.machine.remove(f"{DATA}/gvwstate.dat")
        answer = self.machine.run("/usr/bin/galera_recovery").stdout
        found = re.search(r"=([0-9a-f-]{36}):(-?\d+)", answer)
        return (found[1] if found else "", int(found[2]) if found else -1, last)

    def kill(self) -> None:
        """Kill a server that does not serve; systemd starts it again, unless it is to be stopped.

        While it looks for the others it hears no SIGTERM.
        """
        self.machine.run("systemctl", "--signal=SIGKILL", "kill", UNIT)

    def node(self) -> Node | None:
        """Return the server's place in the cluster; None where no server answers."""
        names = ", ".join(f"'{name}'" for name in STATUS)
        try:
            rows = self.sql.query(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
        except (UnreachableError, StatementError):
            return None
        found = {row[0]: row[1] if len(row) > 1 else "" for row in rows}
        addresses = found.get("wsrep_incoming_addresses", "").split(",")
        return Node(
            ready=found.get("wsrep_ready") == "ON",
            primary=found.get("wsrep_cluster_status") == "Primary",
            state=found.get("wsrep_local_state_comment", ""),
            size=int(found.get("wsrep_cluster_size", "0")),
            addresses=tuple(sorted(address for address in addresses if address)),
            committed=int(found.get("wsrep_last_committed", "-1")),
        )

    def is_ready(self) -> bool:
        """Return whether the server is complete and serves."""
        return (node := self.node()) is not None and node.serves

    def stands_still(self, seconds: float) -> bool:
        """Return whether the server has joined the component for good, but does nothing for so long to become complete."""
        limit, before = self.machine.now() + seconds, self.node()
        while (now := self.node()) and now == before and now.state == "Joining" and not self._applies:
            if self.machine.now() >= limit:
                return True
            self.machine.sleep(1)
        return False

    @property
    def _applies(self) -> bool:
        """Whether the server applies what others have written: one change of a table's structure can take hours."""
        # Id, User, Host, db, Command, Time, State, Info
        rows = [row for row in self.sql.query("SHOW PROCESSLIST") if row[1] == "system user"]
        return any(row[7] != "NULL" or not (row[6] == "" or row[6].endswith(" idle")) for row in rows)

    def wait_until_ready(self, seconds: float, *, note: bool = False) -> Node | None:
        """Wait up to `seconds` for the server to serve; return its last answer. `note` marks since when it has not."""
        limit = self.machine.now() + seconds
        while not ((node := self.node()) and node.serves):
            if note:
                self.down_for()
            if self.machine.now() >= limit:
                return node
            self.machine.sleep(1)
        return node

    @property
    def receives_copy(self) -> bool:
        """Whether the server is being given a whole copy of the data by another one."""
        return self.machine.exists(f"{DATA}/sst_in_progress")

    @property
    def has_history(self) -> bool:
        """Whether the disk has data of a cluster, by Galera's own record."""
        found = re.search(r"^uuid:\s+(\S+)", self.machine.read(f"{DATA}/grastate.dat") or "", re.MULTILINE)
        return found is not None and found[1] != NO_HISTORY

    @property
    def left_last(self) -> bool:
        """Whether the server was stopped in good order after all others, by Galera's own record: only it can begin."""
        mark = "safe_to_bootstrap: 1" in (self.machine.read(f"{DATA}/grastate.dat") or "")
        return mark and not self.machine.exists(f"{DATA}/gvwstate.dat")

    @property
    def member_count(self) -> int:
        """How many members the configuration on this machine names."""
        found = re.search(
            r"^wsrep_cluster_address = gcomm://(.*)$", self.machine.read(CONFIG) or "", re.MULTILINE
        )
        return len(found[1].split(",")) if found else 0

    def why_not_to_stop(self) -> str:
        """Return why the server must not stop now; empty if the cluster can do without it.

        A cluster of one member has no other to serve meanwhile: then it is for whoever stops it to know.
        """
        if self.member_count < 2:  # noqa: PLR2004  one is no cluster
            return ""
        node = self.node()
        if node is None or not node.serves:
            return "the database does not serve here: the cluster must be complete first, see cluster-status"
        if node.size < self.member_count:
            return f"only {node.size} of {self.member_count} members are in the cluster, see cluster-status"
        return ""

    # The certificate that the running server has

    @property
    def speaks_tls(self) -> bool:
        """Whether the server was started with a certificate."""
        return not self.outdated() and "socket.ssl=yes" in (self.machine.read(CONFIG) or "")

    def take_certificate(self, fingerprint: str, *, required: bool) -> None:
        """Have the running server read its certificate again, and let nobody in in clear if it is `required`.

        Sessions that are open stay. `LOCAL`: the statement is for this member, Galera does not replicate it.
        """
        taken = f"{fingerprint} {required}\n"
        if self.machine.read(f"{self._folder}/certificate") == taken:
            return
        # Where the provider's options are variables of their own (from 11.4 on), they cannot be set together.
        single = self.sql.query("SHOW GLOBAL VARIABLES LIKE 'wsrep_provider_socket_ssl_reload'")
        reload = "socket_ssl_reload = ON" if single else "options = 'socket.ssl_reload=1'"
        self.sql.query(
            f"FLUSH LOCAL SSL; SET GLOBAL wsrep_provider_{reload}; "
            f"SET GLOBAL require_secure_transport = {'ON' if required else 'OFF'}"
        )
        self.machine.write(f"{self._folder}/certificate", taken)

    def start_with_certificate(self, fingerprint: str) -> None:
        """Restart a server that does not serve, if it was started with another certificate.

        Members do not let it in with one that has expired, and a server outside of the cluster takes no statement that
        would have it read a new one.
        """
        taken, _, required = (self.machine.read(f"{self._folder}/certificate") or "").partition(" ")
        if taken == fingerprint or self.receives_copy:
            return
        if taken:
            self.kill()
            self.services.note_start(self._service)
        # Where nothing is on record, the server has just been started for the first time.
        self.machine.write(f"{self._folder}/certificate", f"{fingerprint} {required}")

    # Since when it has not served: a mark, so that hooks can tell how long

    @property
    def is_known_down(self) -> bool:
        """Whether an earlier hook has seen that the server does not serve, and has waited for it."""
        return self.machine.exists(f"{self._folder}/down-since")

    def down_for(self) -> float:
        """Return since how many seconds it is known that the server does not serve; from now on it is."""
        since = self.machine.read(f"{self._folder}/down-since")
        if since is None:
            self.down()
            return 0
        return self.machine.now() - float(since)

    def down(self) -> None:
        """Note that the server does not serve, as of now."""
        self.machine.write(f"{self._folder}/down-since", f"{self.machine.now()}")

    def up(self) -> None:
        """Note that the server serves."""
        self.machine.remove(f"{self._folder}/down-since")

    def remove(self) -> None:
        """Take everything of ours off the machine, the data too; packages that others need stay."""
        self.stop()
        for path in (CONFIG, DROP_IN, START, BEGIN):
            self.machine.remove(path)
        self.machine.reload_systemd()
        registry.remove_checks(self.machine, self.application)
        registry.uninstall(self.machine, self.application)
        for name in self.machine.list_folder(DATA):
            self.machine.remove(f"{DATA}/{name}")
        for path in self.beside():
            if path.startswith((PREPARED, REPLACED, ASIDE)):
                self.machine.remove(path)
        self.machine.remove(self._folder)

    def beside(self) -> list[str]:
        """Return the paths of what is beside the data."""
        parent = posixpath.dirname(DATA)
        return [f"{parent}/{name}" for name in self.machine.list_folder(parent)]

    @property
    def _service(self) -> Service:
        texts = (self.machine.read(path) or "" for path in (CONFIG, DROP_IN, START))
        lines = (line.replace(MIXED, "") for text in texts for line in text.splitlines())
        return Service(
            unit=UNIT, inputs=tuple(line for line in lines if not line.startswith(WITHOUT_RESTART))
        )


def why_not_ready(node: Node | None) -> str | None:
    """Return why a server that has answered this does not serve in full yet; None if it does."""
    if node is None:
        return "the database does not answer"
    if not node.serves:
        return f"the database is {node.state or 'not ready'}, {'Primary' if node.primary else 'not in the primary component'}"
    return None


def _text(name: str) -> str:
    return (HERE / "files" / name).read_text(encoding="utf-8")
