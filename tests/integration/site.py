"""An operator's and a power plug's view of a deployed model: nothing here knows whose engine runs it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jubilant

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jubilant.statustypes import UnitStatus

SETTLE_SECONDS = 600
HEALTH_SECONDS = 300


class Site:
    """A model, its units and its machines."""

    def __init__(self, juju: jubilant.Juju, lxd_dir: Path) -> None:
        self.juju = juju
        self._lxd_dir = lxd_dir
        self._instances: dict[str, str] = {}

    # The model

    def pack(self, root: Path) -> None:
        subprocess.run([root / "openinfra", "pack"], check=True)

    def settle(self, seconds: float = SETTLE_SECONDS, *, pause: float = 1) -> jubilant.Status:
        """Wait until every unit is active and every agent idle; look again after each pause of so many seconds."""
        try:
            return self.juju.wait(
                lambda status: jubilant.all_active(status) and jubilant.all_agents_idle(status),
                timeout=seconds,
                delay=pause,
                successes=2,
            )
        except TimeoutError:
            raise AssertionError(f"not active and idle within {seconds:.0f} s:\n{self.unsettled()}") from None

    def unsettled(self) -> str:
        """Tell of each unit that is not active, or not idle, what it says, and what its machine has logged last."""
        units: dict[str, UnitStatus] = {}
        for application in self.juju.status().apps.values():
            for name, unit in application.units.items():
                units |= {name: unit, **unit.subordinates}
        return "\n".join(
            f"{name}: {unit.workload_status}, {unit.juju_status}\n"
            + self.shell(name, "journalctl --lines 40 --no-pager", check=False)
            for name, unit in units.items()
            if not (unit.is_active and unit.juju_status.current == "idle")
        )

    def units(self, application: str) -> list[str]:
        units = self.juju.status().get_units(application)
        return sorted(units, key=lambda unit: int(unit.split("/")[1]))

    def leader(self, application: str) -> str:
        units = self.juju.status().get_units(application)
        return next(name for name, unit in units.items() if unit.leader)

    def beside(self, unit: str, application: str) -> str:
        """The unit of another application on a unit's machine."""
        return next(other for other in self.units(application) if self.are_together(unit, other))

    def are_together(self, unit: str, other: str) -> bool:
        """Whether two units are on one machine."""
        return self.machine_of(unit) == self.machine_of(other)

    def machine_of(self, unit: str) -> str:
        """The machine that a unit is on; a subordinate's is its principal's."""
        applications = self.juju.status().apps.values()
        principals = ((name, principal) for app in applications for name, principal in app.units.items())
        return next(
            principal.machine for name, principal in principals if unit in {name, *principal.subordinates}
        )

    def hostname_of(self, unit: str) -> str:
        return self.juju.status().machines[self.machine_of(unit)].hostname

    def run(self, unit: str, action: str, /, **params) -> Any:
        """Run an action; return its `result` (JSON), or its results where it has none."""
        wanted = {key.replace("_", "-"): value for key, value in params.items()}
        task = self.juju.run(unit, action, wanted, wait=180)
        return json.loads(task.results["result"]) if "result" in task.results else task.results

    def refused(self, unit: str, action: str, /, **params) -> str:
        """Run an action that must fail; return its message."""
        wanted = {key.replace("_", "-"): value for key, value in params.items()}
        try:
            task = self.juju.run(unit, action, wanted, wait=180)
        except jubilant.TaskError as error:
            return error.task.message
        except jubilant.CLIError as error:
            return error.stderr
        raise AssertionError(f"{action} {wanted} was not refused: {task.results}")

    def poke(self, unit: str, hook: str = "update-status") -> None:
        """Run one more hook of a unit, as if Juju had fired it."""
        self.juju.exec(f"env JUJU_DISPATCH_PATH=hooks/{hook} ./dispatch", unit=unit, wait=120)

    def wait_for_job(self, unit: str, job_id: str, seconds: float = 300) -> str:
        """Wait for a job to end well; return its last words."""
        limit = time.monotonic() + seconds
        while True:
            (job,) = self.run(unit, "show-job", job_id=job_id)
            if job["state"] == "done":
                return job["progress"]
            assert job["state"] in {"running", "interrupted"}, job
            assert time.monotonic() < limit, f"{job_id} did not end: {job}"
            if job["state"] == "interrupted":
                self.poke(unit)
            time.sleep(3)

    @cached_property
    def vip(self) -> str:
        """The address at which clients reach all services: that of several gateways, or the only one's own."""
        if shared := str(self.juju.config("gateway")["vip"]):
            return shared
        (only,) = self.units("gateway")
        return self.juju.status().machines[self.machine_of(only)].ip_addresses[0]

    @property
    def objects_url(self) -> str:
        """Where S3 is served."""
        return f"https://{self.vip}:7480"

    def address(self, unit: str) -> str:
        """The address of a unit's machine, never the one for all services: Juju names whichever is the first as text."""
        listed = self.juju.status().machines[self.machine_of(unit)].ip_addresses
        return next((address for address in listed if address != self.vip), self.vip)

    # The machines. They are found once by their unit, so that all of this works while the model is away.

    def instance(self, unit: str) -> str:
        """The LXD container that a unit lives in."""
        if unit not in self._instances:
            self._instances[unit] = self.juju.status().machines[self.machine_of(unit)].instance_id
        return self._instances[unit]

    def power_off(self, *units: str) -> None:
        """Cut the power of units' machines, all at once."""
        self._each(units, lambda name: self._lxc("stop", "--force", name))

    def power_on(self, *units: str) -> None:
        self._each(units, lambda name: self._lxc("start", name))

    @property
    def first_gateway(self) -> str:
        """The unit of gateway whose machine has the stable address."""
        return next(
            unit for unit in self.units("gateway") if self.vip in self.shell(unit, "ip -brief -4 address")
        )

    def cut_off(self, unit: str, seconds: float) -> None:
        """Lose every packet to and from a unit's machine for so long; it runs on and is told nothing."""
        path = f"/1.0/instances/{self.instance(unit)}"
        link = json.loads(self._lxc("query", path).stdout)["config"]["volatile.eth0.host_name"]
        bridge = Path(f"/sys/class/net/{link}/master").resolve().name
        subprocess.run(["ip", "link", "set", link, "nomaster"], check=True)
        try:
            time.sleep(seconds)
        finally:
            subprocess.run(["ip", "link", "set", link, "master", bridge], check=True)

    def destroy(self, unit: str) -> None:
        """Let a unit's machine be gone, with all that was on it."""
        self._lxc("delete", "--force", self.instance(unit))

    def shell(self, unit: str, command: str, *, check: bool = True) -> str:
        """Run a shell command on a unit's machine as root."""
        return self._lxc("exec", self.instance(unit), "--", "sh", "-c", command, check=check).stdout

    def invocations(self, unit: str, *patterns: str) -> dict[str, str]:
        """Return the services of a unit's machine that systemd knows by these patterns, each with its last start's id."""
        shown = self.shell(unit, f"systemctl show --property=Id,InvocationID {shlex.join(patterns)}")
        blocks = [
            dict(line.split("=", 1) for line in block.splitlines()) for block in shown.strip().split("\n\n")
        ]
        return {block["Id"]: block["InvocationID"] for block in blocks}

    def _each(self, units, action) -> None:
        names = [self.instance(unit) for unit in units]
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(action, names))

    def _lxc(self, *arguments: str, check: bool = True):
        env = {**os.environ, "LXD_DIR": str(self._lxd_dir)}
        done = subprocess.run(
            ["lxc", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            env=env,
            check=False,
            timeout=300,
        )
        assert not check or done.returncode == 0, f"lxc {arguments}: {done.stderr or done.stdout}"
        return done

    def sql(self, unit: str, statement: str) -> list[list[str]]:
        """Run a statement as the database's administrator on a unit's machine; return the rows."""
        quoted = statement.replace('"', '\\"')
        told = self.shell(unit, f'mariadb --batch --skip-column-names --execute "{quoted}"')
        return [line.split("\t") for line in told.splitlines()]

    def wait_for_database(self, seconds: float = 120) -> None:
        """Wait until every member serves in one cluster; units tell of it only when they look next."""
        members = self.units("mysql")
        asked = "mariadb --batch --skip-column-names --execute \"SHOW STATUS LIKE 'wsrep_%'\""
        limit = time.monotonic() + seconds
        for unit in members:
            while True:
                told = self.shell(unit, asked, check=False)
                if f"wsrep_cluster_size\t{len(members)}\n" in told and "comment\tSynced\n" in told:
                    break
                assert time.monotonic() < limit, f"the database of {unit} is not back: {told}"
                time.sleep(1)

    @property
    def writer(self) -> str:
        """The unit of mysql that clients write to."""
        return self.run("mysql/0", "cluster-status")["writer"]

    def mount(self, unit: str, access: Mapping[str, Any], path: str) -> None:
        """Mount a CephFS volume on a unit's machine, with what the action authorize gave."""
        user = access["user"].removeprefix("client.")
        folder = f"/root/{user}"
        self.shell(
            unit,
            f"umask 077; mkdir -p {folder} {path}; "
            f"printf '[global]\nfsid = {access['fsid']}\nmon_host = {','.join(access['monitors'])}\n' > {folder}/ceph.conf; "
            f"printf '[{access['user']}]\nkey = {access['key']}\n' > {folder}/keyring; "
            "command -v ceph-fuse >/dev/null || apt-get install --quiet --yes --no-install-recommends ceph-fuse >/dev/null; "
            f"ceph-fuse --conf {folder}/ceph.conf --keyring {folder}/keyring --id {user} "
            f"--client_fs {access['filesystem']} --client_mountpoint {access['path']} {path}",
        )

    def unmount(self, unit: str, path: str) -> None:
        self.shell(unit, f"umount {path}")

    # Ceph, as a client or an administrator on one of the machines sees it

    def ceph(self, unit: str, *words: str):
        """Return the answer to a command, or None where the monitors do not answer."""
        command = f"ceph --connect-timeout 10 {' '.join(words)} --format json 2>/dev/null"
        return json.loads(self.shell(unit, command, check=False) or "null")

    def osds_of(self, unit: str) -> list[int]:
        return [osd["number"] for osd in self.run(unit, "list-disks")["osds"]]

    def hurry_copies(self) -> None:
        """Let Ceph copy many small groups of objects at once: that clients are not slowed down by it is no matter here."""
        unit = self.units("ceph")[0]
        for option, value in (
            ("osd_mclock_override_recovery_settings", "true"),
            ("osd_max_backfills", "8"),
            ("osd_recovery_max_active", "8"),
        ):
            self.shell(unit, f"ceph config set osd {option} {value}")

    def wait_for_health(
        self, unit: str | None = None, seconds: float = HEALTH_SECONDS, *, besides: Collection[str] = ()
    ) -> None:
        """Wait until no data lack a copy, and nothing is amiss but what tests do: fill a disk, and one pool, and `besides`."""
        at = unit or self.units("ceph")[0]
        limit = time.monotonic() + seconds
        while True:
            status = self.ceph(at, "status")
            if status is None:
                assert time.monotonic() < limit, "the monitors do not answer"
                continue
            expected = {"MANY_OBJECTS_PER_PG", "MON_DISK_LOW", "RECENT_CRASH", *besides}
            checks = status["health"]["checks"].keys() - expected
            clean = all(
                set(group["state_name"].split("+")) <= {"active", "clean", "scrubbing", "deep"}
                for group in status["pgmap"].get("pgs_by_state", [])
            )
            osds = status["osdmap"]
            if clean and not checks and osds["num_osds"] == osds["num_up_osds"] == osds["num_in_osds"]:
                return
            assert time.monotonic() < limit, (
                f"the cluster did not become healthy: {status['health']}, {status['pgmap']}"
            )
            time.sleep(2)


LOAD = Path(__file__).parent / "load.py"


class Load:
    """Objects written and read all the time on one machine, each acknowledged write remembered."""

    def __init__(self, site: Site, unit: str, pool: str) -> None:
        self._site, self._unit, self._pool = site, unit, pool

    def start(self) -> None:
        script = LOAD.read_text()
        self._site.shell(self._unit, f"cat > /root/load.py <<'END'\n{script}\nEND\nrm -f /root/load.log")
        self._site.shell(
            self._unit, f"systemd-run --quiet --unit=load python3 /root/load.py write {self._pool}"
        )

    def stop(self) -> dict:
        """Stop; return how many writes were acknowledged, and the longest time between two of them in seconds."""
        self._site.shell(self._unit, "systemctl stop load", check=False)
        return json.loads(self._site.shell(self._unit, "python3 /root/load.py summary x"))

    def verify(self) -> int:
        """Read every acknowledged object again and compare; return how many there were."""
        return int(self._site.shell(self._unit, f"python3 /root/load.py verify {self._pool}"))


@contextlib.contextmanager
def load(site: Site, unit: str, pool: str):
    """Load on the cluster for as long as the block runs."""
    running = Load(site, unit, pool)
    running.start()
    try:
        yield running
    finally:
        running.stop()
