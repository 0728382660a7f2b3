"""What units leave that go without a word, and what becomes of it."""

import pytest

from openinfra_charm.daemon import leftovers, registry
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.daemon.leftovers import AGENTS
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.model.status import NeedsOperatorError

CACHE = Footprint(
    daemon="cache",
    does="runs the cache on this machine",
    paths=("/etc/cache", "/etc/cache.conf"),
    user="cache",
)
STORE = Footprint(
    daemon="store",
    does="runs the store on this machine",
    paths=("/etc/store.conf",),
    data=("/var/lib/store",),
)


def arrive(machine, unit):
    """Have Juju make a unit's folder."""
    machine.have(f"{AGENTS}/unit-{unit.replace('/', '-')}/charm/dispatch", "program")


def vanish(machine, unit):
    """Have Juju take a unit off the machine that has run no hook more."""
    machine.remove(f"{AGENTS}/unit-{unit.replace('/', '-')}")


def settle(machine, unit, footprint):
    """Play a unit that has its daemon run."""
    arrive(machine, unit)
    leftovers.occupy(machine, unit, footprint)
    application = unit.partition("/")[0]
    for path in footprint.paths:
        machine.write(path, "its own")
    machine.users.add(footprint.user or "root")
    for folder in footprint.data:
        machine.write(f"{folder}/content", "precious")
    Services(machine, application).ensure_running([Service(unit=f"{footprint.daemon}.service")])
    registry.leave_check(machine, "safe-to-stop", application, "true")


def test_nothing_is_cleared_of_units_that_are_there(machine):
    settle(machine, "cache/0", CACHE)
    arrive(machine, "host/0")
    machine.log.clear()
    leftovers.occupy(machine, "cache/0", CACHE)
    leftovers.clear_all(machine, "host/0")
    assert machine.log == []


@pytest.mark.parametrize("successor", ["cache/0", "cache/1", "other/0"])
def test_the_next_unit_clears_what_is_in_its_way(machine, successor):
    settle(machine, "cache/0", CACHE)
    vanish(machine, "cache/0")
    arrive(machine, successor)
    leftovers.occupy(machine, successor, CACHE)
    assert machine.services["cache.service"] == "inactive"
    assert machine.enabled == set()
    assert not machine.exists("/etc/cache.conf")
    assert "cache" not in machine.users
    assert machine.list_folder("/usr/lib/openinfra/safe-to-stop.d") == []
    assert registry.owner(machine, "cache") == successor


def test_whoever_keeps_the_machine_clears_it(machine):
    settle(machine, "cache/0", CACHE)
    arrive(machine, "host/0")
    vanish(machine, "cache/0")
    leftovers.clear_all(machine, "host/0")
    assert machine.services["cache.service"] == "inactive"
    assert registry.owner(machine, "cache") == ""
    assert not machine.exists("/var/lib/openinfra/cache")
    machine.log.clear()
    leftovers.clear_all(machine, "host/0")
    assert machine.log == []


def test_it_goes_on_where_it_was_interrupted(machine, monkeypatch):
    settle(machine, "cache/0", CACHE)
    vanish(machine, "cache/0")
    arrive(machine, "host/0")
    monkeypatch.setattr(machine, "remove_user", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        leftovers.clear_all(machine, "host/0")
    monkeypatch.undo()
    leftovers.clear_all(machine, "host/0")
    assert "cache" not in machine.users
    assert registry.owner(machine, "cache") == ""


def test_data_stay_and_keep_the_next_unit_out_until_they_are_gone(machine):
    settle(machine, "store/0", STORE)
    vanish(machine, "store/0")
    arrive(machine, "store/1")
    for _ in range(2):
        with pytest.raises(NeedsOperatorError, match="store/0 is gone and has left data in /var/lib/store"):
            leftovers.occupy(machine, "store/1", STORE)
    assert machine.services["store.service"] == "inactive"
    assert machine.read("/var/lib/store/content") == "precious"
    assert registry.owner(machine, "store") == ""
    machine.remove("/var/lib/store")
    leftovers.occupy(machine, "store/1", STORE)
    assert registry.owner(machine, "store") == "store/1"
    # What is there from now on is the new unit's own.
    machine.write("/var/lib/store/content", "of store/1")
    leftovers.occupy(machine, "store/1", STORE)
    assert leftovers.kept(machine) == {}


def test_data_that_were_saved_are_not_told_of_again(machine):
    settle(machine, "store/0", STORE)
    arrive(machine, "host/0")
    vanish(machine, "store/0")
    leftovers.clear_all(machine, "host/0")
    assert leftovers.kept(machine) == {"store/0": ["/var/lib/store"]}
    machine.remove("/var/lib/store")
    leftovers.clear_all(machine, "host/0")
    machine.write("/var/lib/store/content", "of somebody else")
    assert leftovers.kept(machine) == {}


def test_an_owner_of_whom_nothing_more_is_recorded_is_cleared_too(machine):
    arrive(machine, "store/1")
    registry.claim(machine, "store", "store/0")
    Services(machine, "store").ensure_running([Service(unit="store.service")])
    machine.write("/var/lib/store/content", "precious")
    with pytest.raises(NeedsOperatorError, match="has left data"):
        leftovers.occupy(machine, "store/1", STORE)
    assert machine.services["store.service"] == "inactive"


def test_another_unit_that_lives_has_the_place(machine):
    settle(machine, "cache/0", CACHE)
    arrive(machine, "other/0")
    with pytest.raises(NeedsOperatorError, match="cache/0 runs the cache on this machine already"):
        leftovers.occupy(machine, "other/0", CACHE)
    arrive(machine, "cache/1")
    with pytest.raises(NeedsOperatorError, match="cache/0 is on this machine already"):
        leftovers.occupy(machine, "cache/1", CACHE)
    assert machine.services["cache.service"] == "active"
    assert leftovers.has_place(machine, "cache/0")
    assert not leftovers.has_place(machine, "cache/1")


def test_where_juju_is_out_of_sight_nobody_is_taken_for_gone(machine):
    settle(machine, "cache/0", CACHE)
    vanish(machine, "cache/0")
    leftovers.clear_all(machine, "host/0")
    assert machine.services["cache.service"] == "active"


def test_jobs_that_run_on_are_stopped(machine):
    settle(machine, "cache/0", CACHE)
    job = Jobs(machine, "cache", "cache/0").start("jobs.warm_up")
    unit = f"cache-job-{job.id}.service"
    assert machine.services[unit] == "active"
    vanish(machine, "cache/0")
    arrive(machine, "cache/1")
    leftovers.occupy(machine, "cache/1", CACHE)
    assert machine.services.get(unit, "inactive") == "inactive"
