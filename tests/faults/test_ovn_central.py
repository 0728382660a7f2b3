"""Servers of OVN's databases die, are cut off, are replaced and lose their files while a cloud management system writes."""

from __future__ import annotations

import itertools
import time
import uuid

import pytest

from tests.integration.clients import Writer, writing

SERVICES = ("ovn-ovsdb-server-nb.service", "ovn-ovsdb-server-sb.service", "ovn-northd.service")
BACK_SECONDS = 60
FAILOVER_SECONDS = 30
"""How long nothing may be written when the machine of the leader is cut off: an election, and what clients need to notice."""
FILES = "/var/lib/ovn/ovnnb_db.db /var/lib/ovn/ovnsb_db.db"


class Switches(Writer):
    """Logical switches in the northbound database, made over TLS from one unit's machine."""

    def __init__(self, cloud, unit: str) -> None:
        super().__init__(self._add, errors=(AssertionError,))
        self._cloud, self._unit = cloud, unit
        self._run = uuid.uuid4().hex[:8]
        self._remotes = ",".join(f"ssl:{cloud.address(one)}:6641" for one in cloud.units("ovn-central"))

    def _ask(self, words: str) -> str:
        tls = (
            "-p /etc/ovn-central/tls/key.pem -c /etc/ovn-central/tls/chain.pem -C /etc/ovn-central/tls/ca.pem"
        )
        return self._cloud.shell(self._unit, f"ovn-nbctl -t 10 --db={self._remotes} {tls} {words}")

    def _add(self, number: int) -> None:
        self._ask(f"ls-add {self._run}-{number}")

    def kept(self) -> set[int]:
        """Return the numbers of the switches that the database has."""
        names = self._ask(f"--bare --columns=name find Logical_Switch | grep ^{self._run}- || true")
        return {int(name.partition("-")[2]) for name in names.split()}

    def southbound(self) -> set[int]:
        """Return the numbers of those that northd has made datapaths of."""
        shown = self._cloud.shell(
            self._unit,
            "ovn-sbctl --no-leader-only --bare --columns=external_ids list Datapath_Binding",
        )
        prefix = f"name={self._run}-"
        return {
            int(word.removeprefix(prefix))
            for word in shown.replace('"', "").split()
            if word.startswith(prefix)
        }

    def verify(self) -> None:
        """Hold the databases to what they have acknowledged; northd may need a moment."""
        missing = set(self.acknowledged) - self.kept()
        assert not missing, f"acknowledged and lost: {sorted(missing)[:10]}"
        limit = time.monotonic() + BACK_SECONDS
        while missing := set(self.acknowledged) - self.southbound():
            assert time.monotonic() < limit, f"northd has made nothing of {sorted(missing)[:10]}"
            time.sleep(1)


@pytest.fixture
def switches(cloud):
    """A cloud management system at work on the machine of the last unit."""
    return Switches(cloud, cloud.units("ovn-central")[-1])


def members(cloud, database: str) -> dict[str, str]:
    """Return the members of a database's cluster, and how they are, as one of them sees it."""
    return cloud.run(cloud.units("ovn-central")[0], "cluster-status")[database]["members"]


def wait_for_members(cloud, seconds: float = 120) -> None:
    """Wait until all units, and nobody else, are connected members of both clusters."""
    limit = time.monotonic() + seconds
    wanted = dict.fromkeys(cloud.units("ovn-central"), "connected")
    while any((seen := members(cloud, database)) != wanted for database in ("northbound", "southbound")):
        assert time.monotonic() < limit, f"members are {seen}, wanted {wanted}"
        time.sleep(2)


def active_northd(cloud) -> list[str]:
    """Return the units whose northd says that it is active."""
    asked = "timeout 5 ovn-appctl -t ovn-northd status"
    return [unit for unit in cloud.units("ovn-central") if "active" in cloud.shell(unit, asked, check=False)]


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_daemon_comes_back_by_itself(cloud, switches, service):
    with writing(switches):
        for unit in cloud.units("ovn-central"):
            cloud.shell(unit, f"systemctl kill --signal=KILL {service}")
            switches.wait_for(3, BACK_SECONDS)
            limit = time.monotonic() + BACK_SECONDS
            while cloud.shell(unit, f"systemctl is-active {service}", check=False) != "active\n":
                assert time.monotonic() < limit, f"{service} of {unit} does not come back"
                time.sleep(1)
    cloud.settle()
    wait_for_members(cloud)
    switches.verify()


def test_another_northd_takes_over_when_a_machine_is_cut_off(cloud, switches):
    (active,) = active_northd(cloud)
    with writing(switches):
        switches.wait_for(3, BACK_SECONDS)
        cloud.shell(active, "true")
        if active == cloud.units("ovn-central")[-1]:
            cloud.shell(active, "systemctl restart ovn-northd")
            time.sleep(5)
            (active,) = active_northd(cloud)
        cloud.cut_off(active, FAILOVER_SECONDS)
        switches.wait_for(3, BACK_SECONDS)
    assert switches.longest_gap < FAILOVER_SECONDS
    cloud.settle()
    cloud.wait_for_health()
    cloud.wait_for_database()
    assert len(active_northd(cloud)) == 1
    switches.verify()


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0)])
def test_all_members_come_back_in_any_order_without_the_model(cloud, switches, controller, order):
    units = cloud.units("ovn-central")
    for unit in units:
        cloud.instance(unit)
    with writing(switches):
        switches.wait_for(5, BACK_SECONDS)
        with controller.stopped():
            cloud.power_off(*units)
            for number in order:
                cloud.power_on(units[number])
                time.sleep(5)
            switches.wait_for(3, 180)
    cloud.wait_for_database()
    cloud.wait_for_health()
    cloud.settle()
    wait_for_members(cloud)
    switches.verify()


def test_a_member_that_loses_its_files_joins_again(cloud, switches):
    lost = cloud.units("ovn-central")[0]
    with writing(switches):
        switches.wait_for(3, BACK_SECONDS)
        before = cloud.run(lost, "cluster-status")["members"][lost]
        cloud.shell(lost, f"systemctl stop ovn-central; rm {FILES}; systemctl start ovn-central")
        limit = time.monotonic() + 180
        while (
            cloud.run(cloud.units("ovn-central")[1], "cluster-status")["members"].get(lost, before) == before
        ):
            assert time.monotonic() < limit, "it does not join"
            for unit in cloud.units("ovn-central"):
                cloud.poke(unit)
        switches.wait_for(3, BACK_SECONDS)
    cloud.settle()
    wait_for_members(cloud)
    switches.verify()


def test_a_member_is_replaced(cloud, switches):
    old = cloud.units("ovn-central")[0]
    machine, beside = cloud.machine_of(old), cloud.beside(old, "ceph")
    with writing(switches):
        switches.wait_for(3, BACK_SECONDS)
        cloud.run(old, "prepare-removal")
        cloud.juju.cli("remove-unit", "--no-prompt", old)
        cloud.juju.wait(lambda status: old not in status.get_units("ovn-central"), timeout=180)
        assert cloud.shell(beside, f"ls {FILES} 2>/dev/null", check=False) == ""
        cloud.juju.cli("add-unit", "ovn-central", "--to", machine)
        cloud.settle()
        switches.wait_for(3, BACK_SECONDS)
    wait_for_members(cloud)
    switches.verify()


def test_a_kicked_member_comes_back_with_new_servers(cloud, switches):
    leader, kicked = cloud.leader("ovn-central"), cloud.units("ovn-central")[1]
    before = cloud.run(leader, "cluster-status")["members"][kicked]
    assert cloud.run(leader, "kick-member", unit=kicked)["servers"] == before
    with writing(switches):
        cloud.run(leader, "kick-member", unit=kicked, dry_run=False)
        limit = time.monotonic() + 180
        while cloud.run(leader, "cluster-status")["members"].get(kicked, before) == before:
            assert time.monotonic() < limit, f"{kicked} does not join again"
            time.sleep(3)
        switches.wait_for(3, BACK_SECONDS)
    cloud.settle()
    wait_for_members(cloud)
    switches.verify()


def test_certificates_are_renewed_without_a_restart(cloud, switches):
    units = cloud.units("ovn-central")
    asked = "echo | timeout 10 openssl s_client -connect {}:{} 2>/dev/null | openssl x509 -noout -serial"
    ports = [
        (unit, port) for unit, port in itertools.product(units, (6641, 6642, 6643, 6644, 16642, 16643, 16644))
    ]

    def serials():
        return {
            (unit, port): cloud.shell(unit, asked.format(cloud.address(unit), port), check=False)
            for unit, port in ports
        }

    before, ran = serials(), {unit: cloud.invocations(unit, *SERVICES) for unit in units}
    assert all(serial.startswith("serial=") for serial in before.values()), before
    with writing(switches):
        switches.wait_for(3, BACK_SECONDS)
        cloud.juju.run(cloud.leader("certificates"), "reissue", wait=120)
        limit = time.monotonic() + 180
        while same := [port for port, serial in serials().items() if serial in {before[port], ""}]:
            assert time.monotonic() < limit, f"still the same certificates: {same}"
            time.sleep(3)
        switches.wait_for(3, BACK_SECONDS)
    cloud.settle()
    assert {unit: cloud.invocations(unit, *SERVICES) for unit in units} == ran
    switches.verify()


def test_who_shows_a_certificate_of_his_own_is_refused(cloud):
    unit = cloud.units("ovn-central")[0]
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=nobody"
    for port in (6641, 6642, 16642):
        asked = f"ovsdb-client -t 5 -p $d/k -c $d/c -C /etc/ovn-central/tls/ca.pem list-dbs ssl:{cloud.address(unit)}:{port}"
        told = cloud.shell(
            unit, f"d=$(mktemp -d); {made} -keyout $d/k -out $d/c 2>/dev/null; {asked} 2>&1; rm -r $d"
        )
        assert "OVN_" not in told, told


def test_a_backup_brings_back_what_was_deleted(cloud, switches):
    unit = cloud.units("ovn-central")[0]
    with writing(switches):
        switches.wait_for(5, BACK_SECONDS)
    path = cloud.wait_for_job(unit, cloud.run(unit, "backup")["job-id"]).removeprefix("backup ")
    database = "--no-leader-only --db=unix:/run/ovn/ovnnb_db.sock"
    cloud.shell(
        unit,
        f"for one in $(ovn-nbctl {database} --bare --columns=_uuid find Logical_Switch); do ovn-nbctl {database} ls-del $one; done",
    )
    assert not switches.kept()
    cloud.shell(unit, f"ovsdb-client -t 60 restore unix:/run/ovn/ovnnb_db.sock OVN_Northbound < {path}")
    switches.verify()
    cloud.shell(unit, f"rm {path}")
