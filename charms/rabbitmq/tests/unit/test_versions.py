"""Each row of the table of versions: what is rendered, and how a cluster comes back."""

import pytest
import twin
from machines import BrokerMachine

import versions
from openinfra_charm.model.status import NeedsOperatorError
from openinfra_charm.testing import MemoryMachine
from rabbitmq import CONFIG, RabbitMq
from state import Member, Settings, State

ME = Member(
    unit="rabbitmq/0", client_address="10.0.0.10", ingress_address="10.0.0.10", cluster_address="10.0.0.10"
)


def installed(version):
    machine = BrokerMachine(twin.Brokers(), 0)
    machine.packages["rabbitmq-server"] = version
    return machine, RabbitMq(machine, "rabbitmq", "rabbitmq/0")


def config(version, defaults):
    machine, rabbitmq = installed(version)
    settings = Settings.parse(defaults)
    hosts = {"rabbitmq-0": "10.0.0.10"}
    rabbitmq.render(State(settings=settings, member=ME, hosts=hosts, cookie="x", joins=True, founds=True))
    return machine.read(CONFIG) or ""


@pytest.mark.parametrize(
    ("package", "since"),
    [
        ("3.12.1-1ubuntu1", (3, 12)), ("3.13.7-1", (3, 13)), ("4.0.5-4", (4, 0)), ("4.1.8-1", (4, 1)), ("4.2.3-1ubuntu1", (4, 2)),
        ("4.3.5-1", (4, 2)), ("5.0.0-1", (4, 2)),
    ],
)  # fmt: skip
def test_what_is_installed_chooses_the_row(package, since):
    assert installed(package)[1].traits.since == since


def test_what_is_too_old_is_refused_by_name():
    with pytest.raises(
        NeedsOperatorError, match=r"RabbitMQ 3\.10\.8 is too old: at least 3\.12 is needed; use a newer base"
    ):
        _ = installed("3.10.8-1.1")[1].traits


@pytest.mark.parametrize("row", versions.VERSIONS, ids=lambda row: ".".join(map(str, row.since)))
def test_every_row_is_rendered(row, defaults):
    text = config(f"{row.since[0]}.{row.since[1]}.9-1", defaults)
    assert ("cluster_partition_handling = pause_minority\n" in text) is row.pauses
    assert ("mnesia_table_loading_retry_limit" in text) is not row.khepri
    assert ("continuous_membership_reconciliation.enabled = true\n" in text) is row.reconciles


@pytest.mark.parametrize("row", versions.VERSIONS, ids=lambda row: ".".join(map(str, row.since)))
def test_every_row_can_begin_without_those_that_are_gone(row):
    machine = MemoryMachine()
    machine.packages["rabbitmq-server"] = f"{row.since[0]}.{row.since[1]}.9-1"
    for program in ("rabbitmqctl", "systemctl"):
        machine.handlers[program] = lambda *_: None
    RabbitMq(machine, "rabbitmq", "rabbitmq/0").begin()
    lines = [line for line in machine.argv if not line.startswith("timeout")]
    ran = [line.split()[-1] if "ctl --silent" in line else line for line in lines]
    if row.khepri:
        assert ran == ["force_standalone_khepri_boot"]
    else:
        # One that waits hears no request to stop.
        assert ran == [
            "systemctl --signal=SIGKILL kill rabbitmq-server.service", "systemctl stop rabbitmq-server.service", "force_boot",
            "systemctl start rabbitmq-server.service",
        ]  # fmt: skip


def test_newer_rows_do_not_lack_what_older_ones_have():
    reconciles = [row.reconciles for row in versions.VERSIONS]
    assert reconciles == sorted(reconciles, reverse=True)
    assert [row.since for row in versions.VERSIONS] == sorted(
        (row.since for row in versions.VERSIONS), reverse=True
    )
