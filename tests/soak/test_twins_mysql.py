"""What rehearsals play for MariaDB answers like MariaDB: the same statements, in the same order, come to the same on both."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from openinfra_model import bundle
from openinfra_model.devtools import pack
from openinfra_model.rehearsal.play import Listed, Play, Plot
from openinfra_model.rehearsal.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
SECONDS = 180
UNIT = "mariadb.service"
DATA = "/var/lib/mysql"
CLIENT = (
    "mariadb",
    "--no-defaults",
    "--batch",
    "--skip-column-names",
    "--user=root",
    "--socket=/run/mysqld/mysqld.sock",
)
STATUS = ("wsrep_ready", "wsrep_cluster_status", "wsrep_local_state_comment", "wsrep_cluster_size")
USER = "twins"


class Cluster(Protocol):
    """Three members, as whoever sends them statements sees them."""

    def run(self, member: int, *argv: str, stdin: str = "") -> tuple[int, str]: ...
    def read(self, member: int, path: str) -> str | None: ...
    def stop(self, member: int) -> None: ...
    def start(self, member: int) -> None: ...
    def wait(self) -> None: ...


class Real:
    """MariaDB on the deployed model."""

    def __init__(self, site) -> None:
        self._site = site
        self._units = site.units("mysql")

    def run(self, member: int, *argv: str, stdin: str = "") -> tuple[int, str]:
        words = f"printf %s {shlex.quote(stdin)} | {shlex.join(argv)} 2>&1; code=$?; echo; echo code $code"
        told = self._site.shell(self._units[member], words)
        output, _, code = told.rstrip().rpartition("code ")
        return int(code), output.strip()

    def read(self, member: int, path: str) -> str | None:
        code, text = self.run(member, "cat", path)
        return None if code else text

    def stop(self, member: int) -> None:
        self.run(member, "systemctl", "stop", UNIT)

    def start(self, member: int) -> None:
        self.run(member, "systemctl", "start", UNIT)

    def wait(self) -> None:
        time.sleep(1)


class Played:
    """The twin, behind the charms that have deployed it in a rehearsal."""

    def __init__(self, folder: Path) -> None:
        pack.pack(ROOT, ["mysql", "certificates"])
        stage = Stage(bundle.load(ROOT / "charms/mysql/tests/bundle.yaml"), folder, ROOT / "charms")
        self._world = Play(stage, Plot(faults=()), Listed()).run()
        units = [f"mysql/{number}" for number in range(3)]
        self._machines: list[Any] = [
            self._world.machines[self._world.state.units[unit].machine] for unit in units
        ]

    def run(self, member: int, *argv: str, stdin: str = "") -> tuple[int, str]:
        done = self._machines[member].run(*argv, stdin=stdin, check=False)
        return done.code, (done.stdout + done.stderr).strip()

    def read(self, member: int, path: str) -> str | None:
        return self._machines[member].read(path)

    def stop(self, member: int) -> None:
        self._machines[member].run("systemctl", "stop", UNIT)

    def start(self, member: int) -> None:
        self._machines[member].start_services(UNIT)

    def wait(self) -> None:
        self._world.pass_time(60)


class Session:
    """Sends statements to a cluster, and keeps what comes of each, as far as the charm looks at it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.seen: list[tuple[str, Any]] = []

    def ask(self, sql: str, member: int = 0) -> list[list[str]] | str:
        """Return the rows of an answer, or the number of the error."""
        code, output = self.cluster.run(member, *CLIENT, stdin=f"{sql};\n")
        if code:
            found = re.search(r"ERROR (\d+)", output)
            return found[1] if found else output
        return [line.split("\t") for line in output.splitlines() if line]

    def note(
        self, what: str, sql: str, look: Callable[[Any], Any] = lambda answer: answer, *, member: int = 0
    ) -> None:
        """Send a statement and keep what `look` makes of its rows; of a refusal the number of its error."""
        answer = self.ask(sql, member)
        self.seen.append((f"{what}: {sql}", answer if isinstance(answer, str) else look(answer)))

    def keep(self, what: str, value: Any) -> None:
        """Keep something else."""
        self.seen.append((what, value))

    def wait_for_size(self, size: int, *members: int) -> None:
        """Wait until these members are complete in a component of so many."""
        wanted = [["wsrep_cluster_size", str(size)], ["wsrep_local_state_comment", "Synced"]]
        limit = time.monotonic() + SECONDS
        while any(sorted(self.status(member))[:2] != wanted for member in members):
            assert time.monotonic() < limit, [self.status(member) for member in members]
            self.cluster.wait()
        self.keep("members", size)

    def status(self, member: int = 0) -> list[list[str]]:
        names = "'wsrep_cluster_size', 'wsrep_local_state_comment'"
        answer = self.ask(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})", member)
        return [] if isinstance(answer, str) else answer


def place(session: Session) -> None:
    names = ", ".join(f"'{name}'" for name in STATUS)
    for member in range(3):
        session.note("in it", f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})", sorted, member=member)
    addresses = "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_incoming_addresses')"
    session.note("members", addresses, lambda rows: [a.endswith(":3306") for a in rows[0][1].split(",")])


def users(session: Session) -> None:
    session.note("made", f"CREATE DATABASE IF NOT EXISTS `{USER}`")
    session.note("made again", f"CREATE DATABASE IF NOT EXISTS `{USER}`")
    session.note("there, elsewhere", "SHOW DATABASES", lambda rows: [USER] in rows, member=2)
    session.note("made", f"CREATE OR REPLACE USER '{USER}'@'%' IDENTIFIED BY 'x'")
    session.note("made anew", f"CREATE OR REPLACE USER '{USER}'@'%' IDENTIFIED BY 'y'", member=1)
    session.note("allowed", f"GRANT ALL PRIVILEGES ON `{USER}`.* TO '{USER}'@'%'")
    session.note("gone", f"DROP USER IF EXISTS '{USER}'@'%'", member=2)
    session.note("gone already", f"DROP USER IF EXISTS '{USER}'@'%'")
    session.note("of clients", "SELECT User FROM mysql.user WHERE User LIKE 'relation-twins-%'")
    session.note("no statement", "NONSENSE")


def settings(session: Session) -> None:
    single = "SHOW GLOBAL VARIABLES LIKE 'wsrep_provider_socket_ssl_reload'"
    session.note("known", single, lambda rows: [row[0] for row in rows])
    session.note(
        "read again",
        "FLUSH LOCAL SSL; SET GLOBAL wsrep_provider_socket_ssl_reload = ON; SET GLOBAL require_secure_transport = ON",
    )
    session.note("sizes", "SELECT CAST(SUM(data_length + index_length) AS UNSIGNED) FROM information_schema.tables", lambda rows: int(rows[0][0]) > 0)  # fmt: skip


def stopping(session: Session) -> None:
    session.keep("a view on its disk", bool(session.cluster.read(2, f"{DATA}/gvwstate.dat")))
    session.cluster.stop(2)
    session.wait_for_size(2, 0, 1)
    session.note("stopped", "SELECT 1", member=2)
    saved = session.cluster.read(2, f"{DATA}/grastate.dat") or ""
    session.keep("not the last to leave", "safe_to_bootstrap: 0" in saved)
    session.keep("no view on its disk", session.cluster.read(2, f"{DATA}/gvwstate.dat") is None)
    session.note("made meanwhile", f"CREATE DATABASE IF NOT EXISTS `{USER}_2`")
    session.cluster.start(2)
    session.wait_for_size(3, 0, 1, 2)
    session.note("there", "SHOW DATABASES", lambda rows: [f"{USER}_2"] in rows, member=2)


def preparing(session: Session) -> None:
    code, _ = session.cluster.run(0, "mariadb-backup", "--prepare", "--target-dir=/var/lib/no-backup")
    session.keep("no backup is prepared", code != 0)
    code, _ = session.cluster.run(0, "sha256sum", "--", "/var/lib/no-backup/file")
    session.keep("no file has a sum", code != 0)
    for text in ("daily", "now and then"):
        code, _ = session.cluster.run(0, "systemd-analyze", "calendar", text)
        session.keep(f"a calendar event: {text}", code == 0)


@pytest.fixture(scope="module")
def sessions(cloud, tmp_path_factory):
    real, played = Session(Real(cloud)), Session(Played(tmp_path_factory.mktemp("charms")))
    yield real, played
    for name in (USER, f"{USER}_2"):
        real.ask(f"DROP DATABASE IF EXISTS `{name}`")
    real.ask(f"DROP USER IF EXISTS '{USER}'@'%'")


@pytest.mark.parametrize(
    "script", [place, users, settings, stopping, preparing], ids=lambda script: script.__name__
)
def test_the_twin_answers_like_mariadb(sessions, script):
    for session in sessions:
        session.seen.clear()
        script(session)
    real, played = sessions
    assert played.seen == real.seen


def test_what_is_acknowledged_is_on_the_disk(sessions):
    real, _ = sessions
    asked = "SELECT @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite, @@sync_binlog, @@require_secure_transport"
    for member in range(3):
        ((flush, doublewrite, sync, secure),) = real.ask(asked, member)
        assert (flush, sync, secure) == ("1", "1", "1")
        assert doublewrite in {"1", "ON"}
