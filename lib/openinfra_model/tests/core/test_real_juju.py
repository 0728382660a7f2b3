"""What the bundle showed on a real Juju 4.0.14 that no recording holds, each difference as a case here or where it says.

- `network-get` in relation-broken fails where relations end together; a unit whose hooks fail while its application is
  removed is given up: `test_life.py`; in the rehearsal: `rehearsal/test_rehearsal.py`; on machines: `edge/test_controller.py`.
- What validation makes of an action, also of a number where a string is wanted: `test_actions.py`.
- `status APPLICATION`: here, and compared with recordings in `tests/conformance`.
- Hooks have no variables but Juju's: `edge/test_inside.py`, and compared in `tests/conformance/test_live.py`.
- A virtual address among a machine's, and an owner's reading of its own secret: `test_tools.py`, `test_secrets.py`.
"""

from __future__ import annotations

import pytest

from openinfra_model.core import ModelError, status

from .play import Play, charm


@pytest.fixture
def play() -> Play:
    world = Play()
    world.deploy(charm("app", provides={"db": "sql"}, storage={"data": (1, 1)}), units=2)
    world.deploy(charm("web", requires={"db": "sql"}))
    world.deploy(charm("other", requires={"db": "sql"}))
    world.deploy(charm("agent", subordinate=True, requires={"host": "juju-info"}))
    world.settle()
    world.integrate("app", "web")
    world.integrate("app", "other")
    world.integrate("agent:host", "web:juju-info")
    return world


def test_the_status_of_some_applications(play):
    whole = status.full(play.state, play.now)
    shown = status.full(play.state, play.now, applications=["web", "app"])
    assert shown["machines"] == whole["machines"]
    assert list(shown["applications"]) == ["app", "web"]
    assert shown["applications"]["app"]["units"] == whole["applications"]["app"]["units"]
    ends = [end["related-application"] for end in shown["applications"]["app"]["relations"]["db"]]
    assert ends == ["web"]
    assert shown["storage"] == {}
    assert whole["storage"]


def test_the_status_of_what_is_not_there_is_refused(play):
    """What Juju shows of such a name was not seen."""
    with pytest.raises(ModelError, match='application "nobody" not found'):
        status.full(play.state, play.now, applications=["web", "nobody"])


def test_a_local_subordinate_is_taken(play):
    """4.0.14 refused it by a fault of its own ("cannot insert application with an empty architecture"); 4.0.15 took it."""
    assert play.names("agent/0")[0] == "install"
    assert play.state.units["agent/0"].machine == play.state.units["web/0"].machine
