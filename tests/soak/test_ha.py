"""A machine is cut off by packet loss while clients use the cloud: how long each service is away, and that nothing is lost."""

import socket
import time
import uuid

import pytest

from tests.integration.clients import Rows, Writer, writing

CUT_SECONDS = 60
LIMITS = {"the VIP": 3, "tokens": 10, "the database": 15, "objects": 40}


def connect(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=0.5):
        pass


@pytest.fixture
def victim(ha) -> str:
    """The unit of the machine whose loss costs the most: it has the VIP."""
    held = (unit for unit in ha.units("gateway") if ha.vip in ha.shell(unit, "ip -brief -4 address"))
    return next(held)


def test_services_go_on_without_the_machine_that_has_the_vip(ha, clients, victim, tell):
    run = str(uuid.uuid4())
    rows = Rows(clients, ha, ha.endpoint("mysql"))
    bucket = clients.bucket(f"cut-{run}")
    writers = {
        "the VIP": Writer(lambda _: connect((ha.vip, 5000))),
        "tokens": Writer(lambda _: clients.connect().authorize()),
        "the database": Writer(lambda number: rows.write(number, run)),
        "objects": Writer(lambda number: bucket.put_object(Key=str(number), Body=str(number).encode())),
    }
    with writing(*writers.values()):
        for writer in writers.values():
            writer.wait_for(3, 60)
        with ha.cut_off(victim):
            time.sleep(CUT_SECONDS)
        for writer in writers.values():
            writer.wait_for(3, 60)
    gaps = {name: writer.longest_gap for name, writer in writers.items()}
    tell(", ".join(f"{name} away for {gap:.1f} s" for name, gap in gaps.items()))
    assert {name: gap for name, gap in gaps.items() if gap > LIMITS[name]} == {}
    assert rows.read(run) >= set(writers["the database"].acknowledged)
    stored = {int(entry.key) for entry in bucket.objects.all()}
    assert stored >= set(writers["objects"].acknowledged)
    ha.settle()
