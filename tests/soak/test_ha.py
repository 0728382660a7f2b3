"""A machine is cut off by packet loss while clients use the cloud: how long each service is away, and that nothing is lost."""

import socket
import time

import pytest

from tests.integration.clients import Users, Writer, writing

CUT_SECONDS = 60
LIMITS = {"the VIP": 3, "tokens": 10, "the database": 15, "objects": 40}


def connect(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=0.5):
        pass


@pytest.fixture
def victim(cloud) -> str:
    """The gateway of the machine whose loss costs the most: it has the VIP."""
    has_it = (
        unit for unit in cloud.units("gateway") if cloud.vip in cloud.shell(unit, "ip -brief -4 address")
    )
    return next(has_it)


def test_services_go_on_without_the_machine_that_has_the_vip(cloud, clients, victim, tell):
    users = Users(clients, cloud)
    writers = {
        "the VIP": Writer(lambda _: connect((cloud.vip, 5000))),
        "tokens": users.tokens,
        "the database": users.rows,
        "objects": users.objects,
    }
    with writing(*writers.values()):
        for writer in writers.values():
            writer.wait_for(3, 60)
        with cloud.cut_off(victim):
            time.sleep(CUT_SECONDS)
        for writer in writers.values():
            writer.wait_for(3, 60)
    gaps = {name: writer.longest_gap for name, writer in writers.items()}
    tell(", ".join(f"{name} away for {gap:.1f} s" for name, gap in gaps.items()))
    assert {name: gap for name, gap in gaps.items() if gap > LIMITS[name]} == {}
    users.verify()
    cloud.settle()
