"""A machine in memory that answers as one with sshd and a kernel of its own would."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import ops
import ops.hookcmds
import pytest
import yaml
from ops import testing

from openinfra_charm.machine import Result, use
from openinfra_charm.testing import MemoryMachine

CHARM = Path(__file__).parents[2]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins")]

from programs import HostSoftware  # noqa: E402  found on the path of the line above


class HostMachine(MemoryMachine):
    """A machine of its own, with sshd and a kernel, on which tests leave checks."""

    def __init__(self):
        super().__init__()
        self.kind = "kvm"
        self.system = HostSoftware(self)
        self.bring(self.system)

    def leave_check(self, kind, application, reason=""):
        """Leave a check that answers with a reason, or is content."""
        path = f"/usr/lib/openinfra/{kind}.d/{application}"
        self.write(path, "program", mode=0o755)
        self.handlers[path] = lambda *_: Result(code=1 if reason else 0, stdout=f"{reason}\n", stderr="")


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(HostMachine()) as machine:
        yield machine


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}


class Model:
    """Units of the charm, each on a machine of its own, that see each other's data as Juju would show it."""

    def __init__(self, monkeypatch, agents):
        from charm import HostCharm

        self.agents = agents
        self.context = testing.Context(HostCharm, app_name="host", charm_root=agents / "unit-host-0/charm")
        self.on = self.context.on
        self.config = {"sysctl": "net.core.somaxconn = 4096"}
        self.machines = []
        self.unit_data = {}
        self.app_data = {}
        self.statuses = {}
        self.versions = {}
        self.leader = 0
        self.restarts = []
        self.restart_asked = False
        self.in_action = False
        # What ops.testing does not play.
        monkeypatch.setattr(ops.Unit, "reboot", lambda _: self.ask_restart())
        monkeypatch.setattr(ops.hookcmds, "goal_state", self.goal_state)

    def ask_restart(self):
        assert not self.in_action, "juju-reboot is not supported when running an action"
        self.restart_asked = True

    def goal_state(self):
        goal = ops.hookcmds.Goal(status="active", since=datetime.now(tz=UTC))
        return ops.hookcmds.GoalState(
            units={f"host/{number}": goal for number in self.unit_data}, relations={}
        )

    def add_unit(self):
        number = len(self.machines)
        self.machines.append(HostMachine())
        self.unit_data[number] = {}
        self.run(number, self.on.install())

    def run(self, number, event):
        """Run a hook or action of a unit, restart its machine where it asked for that, and tell the others."""
        self._restart_if_asked(number, self._play(number, event))

    def _play(self, number, event):
        others = {other: dict(data) for other, data in self.unit_data.items() if other != number}
        relation = testing.PeerRelation(
            "cluster",
            id=1,
            local_unit_data=dict(self.unit_data[number]),
            local_app_data=dict(self.app_data),
            peers_data=others,
        )
        state = testing.State(leader=number == self.leader, config=self.config, relations={relation})
        self.context.unit_id = number
        self.restart_asked = False
        with use(self.machines[number]):
            outcome = self.context.run(event(relation) if isinstance(event, Callable) else event, state)
        after = outcome.get_relation(1)
        written = (after.local_unit_data, after.local_app_data) != (self.unit_data[number], self.app_data)
        self.unit_data[number], self.app_data = dict(after.local_unit_data), dict(after.local_app_data)
        self.statuses[number] = outcome.unit_status
        self.versions[number] = outcome.workload_version
        return others if written else {}

    def _restart_if_asked(self, number, to_tell):
        if self.restart_asked:
            self.restarts.append(number)
            self.machines[number].boots += 1
            self.run(number, self.on.start())
        for other in to_tell:
            self.run(other, lambda relation: self.on.relation_changed(relation, remote_unit=number))

    def action(self, number, name, **params):
        """Run an action; return its summary. It is the last thing that happens before the others are told."""
        params = {key.replace("_", "-"): value for key, value in params.items()}
        self.in_action = True
        try:
            to_tell = self._play(number, self.on.action(name, params=params))
        finally:
            self.in_action = False
        summary = (self.context.action_results or {})["summary"]
        self._restart_if_asked(number, to_tell)
        return summary

    def update_status(self):
        """Let Juju look at every unit."""
        for number in range(len(self.machines)):
            self.run(number, self.on.update_status())


@pytest.fixture
def model(monkeypatch, tmp_path):
    """Three machines."""
    (tmp_path / "unit-host-0/charm").mkdir(parents=True)
    model = Model(monkeypatch, tmp_path)
    for _ in range(3):
        model.add_unit()
    return model
