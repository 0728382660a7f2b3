"""Brokers die, lose their data and are replaced while messages are sent: none that was acknowledged is lost."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import jubilant
import pytest

from openinfra_model.devtools import pack
from tests.probes import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKER = "rabbitmq-server.service"
DATA = "/var/lib/rabbitmq/mnesia"
BACK_SECONDS = 180
GAP_SECONDS = 20
"""How long a client may be without a broker while one of three goes."""


class Worker:
    """A client on each machine, which sends itself messages (tests/probes/worker)."""

    def __init__(self, cloud) -> None:
        self.cloud = cloud

    def count(self, unit: str, what: str = "acknowledged") -> int:
        return int(self.cloud.shell(unit, f"wc -l < /var/lib/worker/{what}"))

    def wait(self, more: int = 10, seconds: float = BACK_SECONDS) -> None:
        """Wait until so many more messages of each are acknowledged."""
        for unit in self.cloud.units("worker"):
            wanted, limit = self.count(unit) + more, time.monotonic() + seconds
            while self.count(unit) < wanted:
                assert time.monotonic() < limit, f"{unit} sends nothing"
                time.sleep(1)

    def longest_gap(self) -> float:
        return max(
            float(self.cloud.shell(unit, "cat /var/lib/worker/gap")) for unit in self.cloud.units("worker")
        )

    def verify(self) -> None:
        """What was acknowledged has come back, but for the last that are on their way."""
        for unit in self.cloud.units("worker"):
            sent = set(self.cloud.shell(unit, "cat /var/lib/worker/acknowledged").split())
            limit = time.monotonic() + BACK_SECONDS
            while missing := sent - set(self.cloud.shell(unit, "cat /var/lib/worker/received").split()):
                assert time.monotonic() < limit, (
                    f"{unit}: {len(missing)} of {len(sent)} are lost: {sorted(missing)[:5]}"
                )
                time.sleep(2)

    @contextmanager
    def at_work(self) -> Iterator[Worker]:
        """Have messages sent before, in and after the block; none is lost."""
        self.wait()
        yield self
        self.wait()
        self.verify()


@pytest.fixture(scope="module")
def worker(cloud, tmp_path_factory):
    """The clients, one on each machine of the brokers."""
    machines = [cloud.machine_of(unit) for unit in cloud.units("rabbitmq")]
    (packed,) = pack.pack(lay_out(tmp_path_factory.mktemp("worker") / "site"), ["worker"])
    cloud.juju.deploy(packed.path, "worker", num_units=len(machines), to=machines, base="ubuntu@24.04")
    cloud.juju.integrate("worker:amqp", "rabbitmq:amqp")
    cloud.settle()
    yield Worker(cloud)
    cloud.juju.remove_application("worker")
    cloud.juju.wait(lambda status: "worker" not in status.apps, timeout=300)
    cloud.settle()


def running(cloud) -> list[str]:
    """Return whom the first unit sees run; nobody while its own broker starts."""
    try:
        return cloud.run(cloud.units("rabbitmq")[0], "cluster-status")["running"]
    except jubilant.TaskError:
        return []


def wait_for_all(cloud) -> None:
    """Wait until all members run, and each queue has its three members."""
    units, limit = sorted(cloud.units("rabbitmq")), time.monotonic() + BACK_SECONDS
    while cloud.shell(units[0], f"systemctl is-active {BROKER}", check=False) != "active\n":
        assert time.monotonic() < limit
        time.sleep(1)
    cloud.settle()
    while running(cloud) != units:
        assert time.monotonic() < limit, running(cloud)
        time.sleep(2)
    while short := [
        one["name"] for one in cloud.run(units[0], "list-queues") if sorted(one["online"]) != units
    ]:
        assert time.monotonic() < limit, f"not on all units: {short}"
        time.sleep(5)


def test_a_killed_broker_comes_back_by_itself(cloud, worker):
    with worker.at_work():
        for unit in cloud.units("rabbitmq"):
            cloud.shell(unit, f"systemctl kill --signal=KILL {BROKER}")
            worker.wait()
            wait_for_all(cloud)
    assert worker.longest_gap() < GAP_SECONDS


def test_a_partition_that_ends_as_it_is_noticed_is_healed(cloud, worker):
    """Brokers that are lost and found in the same moment pause on no side: Mnesia has two, each of which believes that it is all."""
    unit, *others = cloud.units("rabbitmq")
    with worker.at_work():
        cloud.shell(unit, "rabbitmqctl eval '[erlang:disconnect_node(Node) || Node <- nodes()].'")
        assert cloud.run(others[0], "cluster-status")["partitions"]
        wait_for_all(cloud)
        assert not cloud.run(others[0], "cluster-status")["partitions"]
    told = cloud.shell(unit, "journalctl --no-pager --unit rabbitmq-guard")
    assert "was left over from a partition, and is restarted" in told


def test_epmd_may_die(cloud, worker):
    with worker.at_work():
        for unit in cloud.units("rabbitmq"):
            cloud.shell(unit, "systemctl kill --signal=KILL epmd.service", check=False)
            cloud.shell(unit, f"systemctl restart {BROKER}")
            wait_for_all(cloud)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_all_brokers_lose_power_at_once_and_come_back_in_any_order(cloud, worker, order):
    """The clients' messages are there again, without a hook."""
    units = cloud.units("rabbitmq")
    with worker.at_work():
        for unit in units:
            # Not one after the other: each has last seen all others run.
            cloud.shell(unit, f"systemd-run --quiet --on-active=3s systemctl kill --signal=KILL {BROKER}")
            cloud.shell(unit, f"systemctl mask --runtime --quiet {BROKER}")
        time.sleep(10)
        assert {cloud.shell(unit, f"systemctl is-active {BROKER}", check=False) for unit in units}.isdisjoint(
            {"active\n"}
        )
        for number in order:
            cloud.shell(
                units[number], f"systemctl unmask --runtime --quiet {BROKER}; systemctl start {BROKER}"
            )
            time.sleep(5)
        wait_for_all(cloud)


def test_a_broker_that_comes_back_without_its_data_is_taken_in_anew(cloud, worker):
    unit = next(one for one in cloud.units("rabbitmq") if one != cloud.leader("rabbitmq"))
    with worker.at_work():
        cloud.shell(unit, f"systemctl stop {BROKER}; rm -r {DATA}/*; systemctl start {BROKER}; true")
        assert cloud.shell(unit, f"systemctl is-active {BROKER}", check=False) != "active\n"
        limit = time.monotonic() + BACK_SECONDS
        while sorted(running(cloud)) != sorted(cloud.units("rabbitmq")):
            assert time.monotonic() < limit
            for one in cloud.units("rabbitmq"):
                cloud.poke(one)
        wait_for_all(cloud)


def test_a_unit_is_replaced(cloud, worker):
    lost = next(one for one in cloud.units("rabbitmq") if one != cloud.leader("rabbitmq"))
    machine = cloud.machine_of(lost)
    with worker.at_work():
        cloud.wait_for_job(lost, cloud.run(lost, "prepare-removal")["job-id"])
        cloud.juju.cli("remove-unit", "--no-prompt", lost)
        cloud.juju.wait(lambda status: lost not in status.get_units("rabbitmq"), timeout=180)
        cloud.juju.cli("add-unit", "rabbitmq", "--to", machine)
        cloud.settle()
        wait_for_all(cloud)
    members = cloud.run(cloud.units("rabbitmq")[0], "cluster-status")["members"]
    assert sorted(members) == sorted(cloud.units("rabbitmq"))


def test_passwords_are_replaced_twice_while_messages_are_sent(cloud, worker):
    relations = cloud.run(cloud.leader("rabbitmq"), "cluster-status")["relations"]
    (number,) = (one for one, client in relations.items() if client["application"] == "worker")
    for _ in range(2):
        with worker.at_work():
            cloud.run(cloud.leader("rabbitmq"), "rotate-password", relation_id=int(number))
            limit = time.monotonic() + BACK_SECONDS
            while (
                len(cloud.run(cloud.leader("rabbitmq"), "cluster-status")["relations"][number]["users"]) > 1
            ):
                assert time.monotonic() < limit, "the old user is still there"
                time.sleep(3)
    cloud.settle()


def test_brokers_restart_one_after_another(cloud, worker):
    before = cloud.juju.config("rabbitmq")["memory-limit"]
    with worker.at_work():
        cloud.juju.config("rabbitmq", {"memory-limit": "300M"})
        cloud.settle()
        wait_for_all(cloud)
    assert worker.longest_gap() < GAP_SECONDS
    cloud.juju.config("rabbitmq", {"memory-limit": before})
    cloud.settle()


def test_a_full_disk_is_told(cloud, worker):
    before = cloud.juju.config("rabbitmq")["disk-free-limit"]
    cloud.juju.config("rabbitmq", {"disk-free-limit": "900T"})
    cloud.juju.wait(lambda s: any(u.is_blocked for u in s.get_units("rabbitmq").values()), timeout=300)
    message = next(
        unit.workload_status.message
        for unit in cloud.juju.status().get_units("rabbitmq").values()
        if unit.is_blocked
    )
    assert "no unit takes messages: disk space on rabbitmq/" in message
    cloud.juju.config("rabbitmq", {"disk-free-limit": before})
    cloud.settle()
    worker.wait()
    worker.verify()
