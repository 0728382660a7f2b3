"""Processes beside an API: those that are there only as long as there is something to do."""

import pytest

from openinfra_charm.daemon.services import Services
from openinfra_charm.openstack.processes import Processes
from openinfra_charm.openstack.spec import Process

ALWAYS, SOMETIMES = "notes-filer.service", "notes-keeper.service"
PROCESSES = (
    Process(name="filer", command=("filer",)),
    Process(name="keeper", command=("keeper",), only_with="store"),
)


@pytest.fixture
def processes(machine):
    places = {"application": "notes", "lib": "/var/lib/notes"}
    return Processes(machine, "notes", PROCESSES, places, Services(machine, "notes"), user="notes")


def test_a_process_without_its_need_is_not_there_and_is_no_problem(machine, processes):
    processes.render()
    processes.apply("tree-1")
    assert machine.serves(ALWAYS)
    assert not machine.exists(f"/etc/systemd/system/{SOMETIMES}")
    assert processes.problem() == ""
    assert not processes.outdated("tree-1")


def test_it_comes_with_the_need_and_goes_with_it(machine, processes):
    processes.render(["store"])
    processes.apply("tree-1")
    assert machine.serves(SOMETIMES)
    assert processes.outdated("tree-2")
    processes.restart("tree-2")
    assert machine.starts[SOMETIMES] == 2
    machine.stop_services(SOMETIMES)
    assert SOMETIMES in processes.problem()
    processes.apply("tree-2")
    processes.render()
    assert not machine.serves(SOMETIMES)
    assert not machine.exists(f"/etc/systemd/system/{SOMETIMES}")
    assert processes.problem() == ""
    assert machine.serves(ALWAYS)


def test_it_is_named_among_what_is_left_on_the_machine_in_any_case(processes):
    assert f"/etc/systemd/system/{SOMETIMES}" in processes.paths
