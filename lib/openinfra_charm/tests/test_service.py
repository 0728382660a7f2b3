"""Services restart only for what they were started with, and a hook that died is finished by the next."""

import pytest

from openinfra_charm.daemon.services import Service, Services


@pytest.fixture
def services(machine):
    return Services(machine, "ceph")


OLD = Service(unit="a.service", inputs=("old",))
NEW = Service(unit="a.service", inputs=("new",))


def test_what_does_not_run_is_enabled_and_started(machine, services):
    assert services.ensure_running([OLD, Service(unit="b.service")]) == ["a.service", "b.service"]
    assert machine.services == {"a.service": "active", "b.service": "active"}
    assert machine.enabled == {"a.service", "b.service"}
    assert services.units == ["a.service", "b.service"]


def test_the_second_time_is_silent(machine, services):
    services.ensure_running([OLD])
    machine.log.clear()
    assert services.ensure_running([OLD]) == []
    assert machine.log == []


def test_no_services_are_no_work(machine, services):
    assert services.ensure_running([]) == []
    assert [line for line in machine.log if line.split()[0] in {"start", "restart"}] == []


def test_a_running_service_is_not_restarted_for_new_content_but_known_to_be_outdated(machine, services):
    services.ensure_running([OLD])
    machine.log.clear()
    assert services.ensure_running([NEW]) == []
    assert machine.log == []
    assert services.outdated([NEW]) == [NEW]
    assert services.outdated([OLD]) == []


def test_what_was_never_started_is_not_outdated(services):
    assert services.outdated([NEW]) == []


@pytest.mark.parametrize(("verb", "word"), [("restart", "restart"), ("reload", "reload")])
def test_a_service_that_took_its_new_content_up_is_up_to_date(machine, services, verb, word):
    services.ensure_running([OLD])
    machine.log.clear()
    getattr(services, verb)(NEW)
    assert machine.log[0] == f"{word} a.service"
    assert services.outdated([NEW]) == []


def test_a_hook_that_died_before_the_restart_leaves_the_service_outdated(machine, services, monkeypatch):
    services.ensure_running([OLD])

    def die(*_units):
        raise SystemExit

    monkeypatch.setattr(machine, "restart_services", die)
    with pytest.raises(SystemExit):
        services.restart(NEW)
    assert Services(machine, "ceph").outdated([NEW]) == [NEW]


def test_a_service_that_died_is_started_with_what_is_there_now(machine, services):
    services.ensure_running([OLD])
    machine.services["a.service"] = "failed"
    assert services.ensure_running([NEW]) == ["a.service"]
    assert services.outdated([NEW]) == []


def test_a_service_that_is_starting_is_not_started_again(machine, services):
    machine.services["a.service"] = "activating"
    machine.enabled.add("a.service")
    assert services.ensure_running([OLD]) == []
    assert services.outdated([NEW]) == [NEW]


def test_a_stopped_service_is_forgotten_and_others_are_left_alone(machine, services):
    services.ensure_running([OLD, Service(unit="b.service")])
    machine.services["foreign.service"] = "active"
    services.stop("a.service", "foreign.service")
    assert machine.services == {"a.service": "inactive", "b.service": "active", "foreign.service": "active"}
    assert services.units == ["b.service"]


def test_applications_do_not_see_each_others_services(machine, services):
    services.ensure_running([OLD])
    assert Services(machine, "other").units == []


def test_inputs_are_told_apart():
    assert Service(unit="a", inputs=("x", "y")).fingerprint != Service(unit="a", inputs=("xy",)).fingerprint
    assert Service(unit="a", inputs=("x",)).fingerprint == Service(unit="b", inputs=("x",)).fingerprint


@pytest.fixture
def looks(machine, monkeypatch):
    """How often systemd is asked for states."""
    looks = []
    ask = machine.service_states
    monkeypatch.setattr(machine, "service_states", lambda *units: looks.append(units) or ask(*units))
    return looks


def test_what_a_hook_has_seen_running_is_not_asked_again(machine, services, looks):
    services.ensure_running([OLD])
    looks.clear()
    again = Services(machine, "ceph")
    again.ensure_running([OLD])
    assert again.failed() == []
    assert looks == [("a.service",)]


@pytest.mark.parametrize("verb", ["restart", "reload"])
def test_what_a_hook_has_changed_is_looked_at_anew(machine, services, looks, verb):
    services.ensure_running([OLD])
    again = Services(machine, "ceph")
    again.ensure_running([OLD])
    getattr(again, verb)(NEW)
    machine.services["a.service"] = "failed"
    assert again.failed() == ["a.service"]


def test_what_was_started_is_looked_at_anew(machine, services):
    assert services.ensure_running([OLD]) == ["a.service"]
    machine.services["a.service"] = "failed"
    assert services.failed() == ["a.service"]


def test_what_was_stopped_has_not_failed(services):
    services.ensure_running([OLD])
    services.stop("a.service")
    assert services.failed() == []


def test_services_that_are_seen_to_in_two_steps_are_asked_about_once(machine, services, looks):
    other = Service(unit="b.service")
    services.ensure_running([OLD, other])
    looks.clear()
    again = Services(machine, "ceph")
    again.ensure_running([OLD])
    assert again.ensure_running([other], fresh=False) == again.failed() == []
    assert looks == [("a.service", "b.service")]
    machine.services["a.service"] = "failed"
    assert again.ensure_running([OLD]) == ["a.service"]
