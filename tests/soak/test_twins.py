"""What rehearsals play for Ceph answers like Ceph: the same commands, in the same order, come to the same on both."""

from __future__ import annotations

import contextlib
import errno
import json
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from openinfra_model import bundle
from openinfra_model.devtools import pack
from openinfra_model.rehearsal.play import Listed, Play, Plot
from openinfra_model.rehearsal.stage import Stage
from tests.integration.conftest import OVERLAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
CLEAN_SECONDS = 120
POOL = "twins"
CAPS = ["mon", "profile rbd", "osd", f"profile rbd pool={POOL}"]

SEND = """
import base64, json, sys, rados
way, request, data = json.loads(sys.argv[1])
with rados.Rados(conffile="/etc/ceph/ceph.conf") as cluster:
    code, output, message = getattr(cluster, way)(json.dumps(request), data.encode(), timeout=20)
print(json.dumps([code, output.decode(), message]))
"""


class Cluster(Protocol):
    """A cluster of three hosts with two OSDs each, as whoever sends commands sees it."""

    def send(self, way: str, request: dict[str, Any], data: str) -> tuple[int, str, str]: ...
    def fill(self) -> None: ...
    def stop(self, osd: int) -> None: ...
    def start(self, osd: int) -> None: ...
    def wait(self) -> None: ...


class Real:
    """Ceph on the deployed model."""

    def __init__(self, site) -> None:
        self._site = site
        self._at = site.units("ceph")[0]

    def send(self, way: str, request: dict[str, Any], data: str) -> tuple[int, str, str]:
        words = json.dumps([way, request, data]).replace("'", "'\\''")
        told = self._site.shell(self._at, f"python3 -c '{SEND}' '{words}'")
        code, output, message = json.loads(told.splitlines()[-1])
        return code, output, message

    def fill(self) -> None:
        self._site.shell(
            self._at, f"head -c 8M /dev/urandom > /tmp/thing; rados -p {POOL} put thing /tmp/thing"
        )

    def stop(self, osd: int) -> None:
        self._service("stop", osd)

    def start(self, osd: int) -> None:
        self._service("start", osd)

    def _service(self, verb: str, osd: int) -> None:
        unit = next(unit for unit in self._site.units("ceph") if osd in self._site.osds_of(unit))
        self._site.shell(unit, f"systemctl {verb} ceph-osd@{osd}")

    def wait(self) -> None:
        time.sleep(1)


class Played:
    """The twin, behind the charms that have deployed it in a rehearsal."""

    def __init__(self, folder: Path) -> None:
        pack.pack(ROOT)
        wanted = bundle.load(
            ROOT / "bundles/openinfra.yaml", [ROOT / "bundles/overlays" / name for name in OVERLAYS]
        )
        stage = Stage(wanted, folder, ROOT / "charms")
        self._world = Play(stage, Plot(faults=()), Listed()).run()
        self._twin: Any = self._world.twins["ceph"]

    def send(self, way: str, request: dict[str, Any], data: str) -> tuple[int, str, str]:
        machine = self._world.machines["0"]
        rados = machine.load_library("rados")
        keyring = {"keyring": "/etc/ceph/ceph.client.admin.keyring"}
        client = rados.Rados(conffile="/etc/ceph/ceph.conf", name="client.admin", conf=keyring)
        client.connect(timeout=20)
        code, output, message = getattr(client, way)(json.dumps(request), data.encode(), timeout=20)
        return code, output.decode(), message

    def fill(self) -> None:
        self._twin.fill()

    def stop(self, osd: int) -> None:
        self._machine(osd).stop_services(f"ceph-osd@{osd}.service")

    def start(self, osd: int) -> None:
        self._machine(osd).start_services(f"ceph-osd@{osd}.service")

    def _machine(self, osd: int):
        unit = f"ceph-osd@{osd}.service"
        return next(machine for machine in self._world.machines.values() if unit in machine.services)

    def wait(self) -> None:
        self._world.pass_time(60)


class Session:
    """Sends commands to a cluster and keeps what comes of each, as far as charms look at it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.seen: list[tuple[str, Any]] = []

    def ask(self, prefix: str, *, data: str = "", manager: bool = False, **arguments: Any) -> Any:
        """Return the answer to a command, or how it was refused."""
        request = {"prefix": prefix, "format": "json", **arguments}
        code, output, message = self.cluster.send("mgr_command" if manager else "mon_command", request, data)
        return json.loads(output) if not code and output.strip() else self.Refusal(code, message)

    class Refusal(tuple):
        """A code (0 where there is just nothing to say) and the message."""

        __slots__ = ()

        def __new__(cls, code: int, message: str):
            return super().__new__(cls, (code, message))

    def note(
        self, what: str, prefix: str, look: Callable[[Any], Any] = lambda answer: answer, **arguments: Any
    ):
        """Send a command and keep what `look` makes of its answer; of a refusal the name of its error."""
        answer = self.ask(prefix, **arguments)
        if isinstance(answer, self.Refusal):
            self.seen.append((f"{what}: {prefix}", errno.errorcode.get(-answer[0], "done")))
        else:
            self.seen.append((f"{what}: {prefix}", look(answer)))

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until the cluster is as expected."""
        limit = time.monotonic() + CLEAN_SECONDS
        while not condition():
            assert time.monotonic() < limit, f"{what}: never so; {self.ask('status')}"
            self.cluster.wait()
        self.seen.append((what, "so it is"))

    def is_clean(self) -> bool:
        groups = self.ask("status")["pgmap"].get("pgs_by_state", [])
        return all(
            set(group["state_name"].split("+")) <= {"active", "clean", "scrubbing", "deep"}
            for group in groups
        )

    def is_up(self, osd: int) -> bool:
        return next(bool(entry["up"]) for entry in self.ask("osd dump")["osds"] if entry["osd"] == osd)

    def hosts(self) -> list[list[int]]:
        """Return the numbers of each host's OSDs."""
        nodes = self.ask("osd tree")["nodes"]
        return sorted(
            sorted(node["children"]) for node in nodes if node["type"] == "host" and node["children"]
        )


def quorum(session: Session) -> None:
    session.note("all there", "quorum_status", lambda a: (len(a["quorum_names"]), len(a["monmap"]["mons"])))
    session.note("all there", "mon dump", lambda a: len(a["mons"]))
    session.note("a stranger", "mon remove", name="nobody")


def pools(session: Session) -> None:
    session.note("made", "osd pool create", pool=POOL, pool_type="replicated", pg_num=32, pgp_num=32, size=3)
    session.note(
        "made again", "osd pool create", pool=POOL, pool_type="replicated", pg_num=32, pgp_num=32, size=3
    )
    session.note("named", "osd pool application enable", pool=POOL, app="rbd")
    session.note("named again", "osd pool application enable", pool=POOL, app="rbd")
    session.note("of nobody", "osd pool application enable", pool="none", app="rbd")
    session.note("there", "osd pool ls", lambda names: POOL in names)
    session.note("in full", "osd pool ls", in_full, detail="detail")
    session.note("by number", "osd lspools", lambda a: POOL in [pool["poolname"] for pool in a])
    session.note(
        "groups", "pg dump", lambda a: {*a["pg_stats"][0]} >= {"pgid", "state"}, dumpcontents=["pgs_brief"]
    )
    session.note("unlike", "osd pool delete", pool=POOL, pool2="other", yes_i_really_really_mean_it=True)
    session.note("not allowed", "osd pool delete", pool=POOL, pool2=POOL, yes_i_really_really_mean_it=True)
    session.cluster.fill()
    session.wait("all groups are clean", session.is_clean)
    session.note(
        "filled", "df", lambda a: [p["stats"]["stored"] > 0 for p in a["pools"] if p["name"] == POOL]
    )


def in_full(pools: list[dict[str, Any]]) -> Any:
    keys = ("type", "size", "min_size", "pg_num", "application_metadata")
    return [[pool[key] for key in keys] for pool in pools if pool["pool_name"] == POOL]


def stopping(session: Session) -> None:
    hosts = session.hosts()
    (first, second), *others = hosts
    session.note("one", "osd ok-to-stop", lambda _: "done", ids=[str(first)])
    session.note("a host", "osd ok-to-stop", lambda _: "done", ids=[str(first), str(second)])
    session.note("two hosts", "osd ok-to-stop", ids=[str(osd) for host in hosts[:2] for osd in host])
    session.note("in use", "osd safe-to-destroy", safety, ids=[str(first)])
    session.note("up", "osd purge-actual", id=first, yes_i_really_mean_it=True)
    session.note("not sure", "osd purge-actual", id=first, yes_i_really_mean_it=False)
    session.note("up", "osd destroy-actual", id=first, yes_i_really_mean_it=True)
    session.note("in use", "osd purge", id=first, manager=True)
    session.note(
        "in use, and it is really meant", "osd purge", id=first, yes_i_really_mean_it=True, manager=True
    )
    session.cluster.stop(first)
    session.wait("the OSD is down", lambda: not session.is_up(first))
    session.wait("copies are missed", lambda: not session.is_clean())
    session.note("one down", "health", health, detail="detail")
    session.wait("nobody knows what it holds", lambda: asked_for_safety(session, first) == ["missing_stats"])
    session.note("down", "osd purge", id=first, manager=True)
    session.note("another host", "osd ok-to-stop", ids=[str(osd) for osd in others[0]])
    session.cluster.start(first)
    session.wait("the OSD is up", lambda: session.is_up(first))
    session.wait("all groups are clean again", session.is_clean)


def safety(answer: dict[str, list[int]]) -> list[str]:
    """Return what is said of the one OSD that was asked for."""
    return [word for word, numbers in answer.items() if numbers]


def health(answer: dict[str, Any]) -> Any:
    told = {name: check["severity"] for name, check in answer["checks"].items()}
    return answer["status"], told.get("OSD_DOWN")


def draining(session: Session) -> None:
    first = session.hosts()[0][0]
    name = f"osd.{first}"
    tree = session.ask("osd tree")["nodes"]
    weight = next(node["crush_weight"] for node in tree if node["name"] == name)
    try:
        session.note("drained", "osd crush reweight", name=name, weight=0.0)
        session.wait("it may go", lambda: is_safe(session, first))
        session.wait("all groups are clean without it", session.is_clean)
        session.note("empty, up", "osd purge-actual", id=first, yes_i_really_mean_it=True)
        session.note("it may not come up", "osd set-group", flags="noup", who=[name])
        session.note("it is down", "osd down", ids=[str(first)], definitely_dead=True)
        session.wait("it stays down", lambda: not session.is_up(first))
    finally:
        session.note("it may come up", "osd unset-group", flags="noup", who=[name])
        session.wait("the OSD is up", lambda: session.is_up(first))
        session.note("filled again", "osd crush reweight", name=name, weight=weight)
    session.wait("it holds something", lambda: not is_safe(session, first))
    session.wait("all groups are clean with it", session.is_clean)
    session.note("of a stranger", "osd safe-to-destroy", safety, ids=["999"])
    session.note("a stranger", "osd purge", id=999, manager=True)
    session.note("a host with OSDs", "osd crush rm", name=host_of(tree, first))
    session.note("a host that never was", "osd crush rm", name="nobody")


def is_safe(session: Session, osd: int) -> bool:
    return asked_for_safety(session, osd) == ["safe_to_destroy"]


def asked_for_safety(session: Session, osd: int) -> list[str]:
    """Return what is said of an OSD; nothing while Ceph does not know all placement groups."""
    answer = session.ask("osd safe-to-destroy", ids=[str(osd)])
    return [] if isinstance(answer, Session.Refusal) else safety(answer)


def host_of(tree: list[dict[str, Any]], osd: int) -> str:
    return next(node["name"] for node in tree if node["type"] == "host" and osd in node["children"])


def numbers(session: Session) -> None:
    taken = session.ask("osd ls")
    free = next(number for number in range(len(taken) + 1) if number not in taken)
    key = json.dumps({"cephx_secret": "AQBmkyNnAAAAABAAHxPtEKlYSdWmbqzkNUvbAg=="})
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    session.note("the lowest", "osd new", lambda a: a["osdid"] - free, data=key, uuid=mine)
    session.note("the same", "osd new", lambda a: a["osdid"] - free, data=key, uuid=mine)
    session.note("another's", "osd new", data=key, uuid=other, id=taken[0])
    session.note("never up", "osd crush reweight", name=f"osd.{free}", weight=1.0)
    session.note("a new one", "osd destroy-actual", id=free, yes_i_really_mean_it=True)
    session.note("destroyed", "osd dump", lambda a: states(a, free))
    session.note("in its place", "osd new", lambda a: a["osdid"] - free, data=key, uuid=other, id=free)
    session.note("taken", "osd dump", lambda a: [word for _, word in states(a, free)])
    session.note("a new one", "osd purge-actual", id=free, yes_i_really_mean_it=True)
    session.note("twice", "osd purge-actual", id=free, yes_i_really_mean_it=True)
    session.note("gone", "osd ls", lambda found: found == taken)


def states(answer: dict[str, Any], osd: int) -> list[tuple[str, bool]]:
    """Return an OSD's uuid, and whether it is destroyed."""
    return [(o["uuid"], "destroyed" in o["state"]) for o in answer["osds"] if o["osd"] == osd]


def keys(session: Session) -> None:
    entity = "client.twins"
    session.note("unknown", "auth get", entity=entity)
    session.note("unknown", "auth caps", entity=entity, caps=CAPS)
    session.note("unknown", "auth get-or-create-pending", entity=entity)
    session.note("made", "auth get-or-create", fields, entity=entity, caps=CAPS)
    session.note("made again", "auth get-or-create", fields, entity=entity, caps=CAPS)
    session.note("with other rights", "auth get-or-create", entity=entity, caps=["mon", "allow r"])
    session.note("with other rights", "auth caps", entity=entity, caps=["mon", "allow r"])
    session.note("asked for", "auth get", fields, entity=entity)
    session.note("to be rotated", "auth get-or-create-pending", fields, entity=entity)
    first, second = (
        session.ask("auth get-or-create-pending", entity=entity)[0]["pending_key"] for _ in range(2)
    )
    session.seen.append(("one new key at a time", first == second))
    session.note("removed", "auth rm", entity=entity)
    session.note("removed again", "auth rm", entity=entity)


def fields(answer: list[dict[str, Any]]) -> Any:
    return [sorted(entry.keys() & {"entity", "key", "pending_key"}) for entry in answer]


def flags(session: Session) -> None:
    session.note("set", "osd set", key="noout")
    session.note("unset", "osd unset", key="noout")
    session.note("set", "config set", who="mon", name="mon_allow_pool_delete", value="true")
    session.note("allowed", "osd pool delete", pool=POOL, pool2=POOL, yes_i_really_really_mean_it=True)
    session.note("gone", "osd pool delete", pool=POOL, pool2=POOL, yes_i_really_really_mean_it=True)
    session.note("back", "config rm", who="mon", name="mon_allow_pool_delete")
    session.note(
        "rules",
        "osd crush rule dump",
        lambda rules: [[step["op"] for step in rule["steps"]] for rule in rules],
    )
    session.note("a command that is none", "osd nonsense")


SCRIPTS = (quorum, pools, stopping, draining, numbers, keys, flags)


@contextlib.contextmanager
def tidied(session: Session) -> Iterator[None]:
    """Take away what the scripts have made, also where one of them has ended early."""
    try:
        yield
    finally:
        session.ask("config set", who="mon", name="mon_allow_pool_delete", value="true")
        session.ask("osd pool delete", pool=POOL, pool2=POOL, yes_i_really_really_mean_it=True)
        session.ask("config rm", who="mon", name="mon_allow_pool_delete")
        session.ask("auth rm", entity="client.twins")


@pytest.fixture(scope="module")
def sessions(cloud, tmp_path_factory):
    cloud.wait_for_health()
    real, played = Session(Real(cloud)), Session(Played(tmp_path_factory.mktemp("charms")))
    with tidied(real):
        yield real, played


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_the_twin_answers_like_ceph(sessions, script):
    for session in sessions:
        session.seen.clear()
        script(session)
    real, played = sessions
    assert played.seen == real.seen
