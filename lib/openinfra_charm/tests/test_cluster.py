"""What units tell each other, and who has the lock: each unit runs in its own context, as in Juju."""

from datetime import UTC, datetime

import ops
import ops.hookcmds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops import testing

from openinfra_charm.model.cluster import Cluster, unit_number
from openinfra_charm.model.status import RetriedStatus

META = {"name": "probe", "peers": {"cluster": {"interface": "probe-peers"}}}


class Probe(ops.CharmBase):
    """Runs what the test says instead of a reconcile."""

    step = staticmethod(lambda _cluster: None)

    def __init__(self, framework):
        super().__init__(framework)
        framework.observe(self.on.update_status, self._on_update_status)

    def _on_update_status(self, _):
        self.step(Cluster(self, "cluster"))


class Model:
    """Units with the peer data that Juju keeps for them; what a hook writes is seen by the next one."""

    def __init__(self, units=3, leader=0):
        self.units = {number: {} for number in range(units)}
        self.app_data = {}
        self.leader = leader
        self.unseen = {}
        self.dying = set()

    def run(self, number, step, *, formed=True):
        """Play one hook of a unit; return what `step` returns."""
        results = []
        charm = type("Probe", (Probe,), {"step": staticmethod(lambda cluster: results.append(step(cluster)))})
        context = testing.Context(charm, META, app_name="probe", unit_id=number)
        peers = {
            other: dict(data)
            for other, data in self.units.items()
            if other not in {number, *self.unseen.get(number, ())}
        }
        relation = testing.PeerRelation(
            "cluster", local_unit_data=self.units[number], local_app_data=self.app_data, peers_data=peers
        )
        state = testing.State(leader=number == self.leader, relations={relation} if formed else set())
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ops.hookcmds, "goal_state", self.goal_state)
            patched.setattr(ops.hookcmds, "relation_get", self.relation_get)
            after = context.run(context.on.update_status(), state)
        if formed:
            written = after.get_relation(relation.id)
            self.units[number], self.app_data = dict(written.local_unit_data), dict(written.local_app_data)
        return results[0]

    def goal_state(self):
        since = datetime.now(tz=UTC)
        goals = {
            f"probe/{n}": ops.hookcmds.Goal(status="dying" if n in self.dying else "active", since=since)
            for n in self.units
        }
        return ops.hookcmds.GoalState(units=goals, relations={})

    def relation_get(self, _relation, *, unit):
        if unit_number(unit) not in self.units:
            raise ops.hookcmds.Error(returncode=1, cmd=["relation-get"])
        return self.units[unit_number(unit)]


@pytest.fixture
def model():
    return Model()


def request(cluster):
    return cluster.acquire_lock("restart")


def release(cluster):
    cluster.release_lock()


def grant(cluster):
    cluster.grant_lock()


def holder(cluster):
    return cluster.lock_holder


# Facts


def test_before_the_relation_there_is_nothing_and_publishing_is_harmless(model):
    def look(cluster):
        cluster.publish(address="10.0.0.1")
        cluster.publish_shared(fsid="x")
        return (
            cluster.formed, cluster.units, cluster.facts("probe/0"), cluster.shared, cluster.acquire_lock("x"),
            cluster.lock_reason,
        )  # fmt: skip

    assert model.run(0, look, formed=False) == (False, ["probe/0"], {}, {}, False, None)


def test_facts_are_seen_by_the_other_units_as_they_were(model):
    model.run(1, lambda cluster: cluster.publish(address="10.0.0.1", disks=["a"], ready=True))
    facts = model.run(0, lambda cluster: cluster.facts("probe/1"))
    assert facts == {"address": "10.0.0.1", "disks": ["a"], "ready": True}
    assert model.run(1, lambda cluster: cluster.facts("probe/1")) == facts
    assert model.run(0, lambda cluster: cluster.facts("probe/7")) == {}


def test_a_fact_is_taken_back(model):
    model.run(1, lambda cluster: cluster.publish(ready=True))
    model.run(1, lambda cluster: cluster.publish(ready=None))
    assert model.run(0, lambda cluster: cluster.facts("probe/1")) == {}


def test_what_juju_writes_into_a_units_data_is_not_taken_for_a_fact(model):
    model.units[1] = {"ingress-address": "10.0.0.1", "answer": "42"}
    assert model.run(0, lambda cluster: cluster.facts("probe/1")) == {"answer": 42}


def test_a_known_fact_is_not_written_again(model, monkeypatch):
    model.run(0, lambda cluster: cluster.publish(disks={"b": 1, "a": 2}))
    written = []
    monkeypatch.setattr(ops.RelationDataContent, "__setitem__", lambda _, key, value: written.append(key))
    model.run(0, lambda cluster: cluster.publish(disks={"a": 2, "b": 1}, gone=None))
    assert written == []
    model.run(0, lambda cluster: cluster.publish(disks={"a": 2}))
    assert written == ["disks"]


def test_only_the_leader_speaks_for_the_application(model):
    model.run(0, lambda cluster: cluster.publish_shared(fsid="x"))
    assert model.run(1, lambda cluster: cluster.shared) == {"fsid": "x"}
    with pytest.raises(testing.errors.UncaughtCharmError, match="RelationDataAccessError"):
        model.run(1, lambda cluster: cluster.publish_shared(fsid="y"))


def test_units_are_in_the_order_of_their_numbers():
    units = Model(units=11).run(3, lambda cluster: cluster.units)
    assert units == [f"probe/{number}" for number in range(11)]
    assert unit_number("probe/10") == 10


def test_a_unit_that_was_not_met_yet_is_not_gone(model):
    model.unseen = {2: {0, 1}}
    assert model.run(2, lambda cluster: cluster.gone(["probe/0", "probe/1", "probe/9"])) == ["probe/9"]
    del model.units[1]
    assert model.run(2, lambda cluster: cluster.gone(["probe/0", "probe/1"])) == ["probe/1"]


# The lock


def test_the_leader_gives_itself_the_turn_at_once(model):
    assert model.run(0, request)
    assert model.run(0, request)
    assert model.run(1, holder) == "probe/0"


def test_another_unit_waits_for_the_leader(model):
    assert not model.run(1, request)
    model.run(0, grant)
    assert model.run(1, request)
    assert model.run(1, lambda cluster: cluster.lock_reason) == "restart"


def test_the_next_one_waits_until_the_first_has_released(model):
    model.run(1, request)
    model.run(0, grant)
    assert not model.run(2, request)
    assert not model.run(0, request)
    model.run(1, release)
    model.run(0, grant)
    assert model.run(0, holder) == "probe/0"
    assert not model.run(2, request)
    model.run(0, release)
    assert model.run(2, request)
    model.run(2, release)
    model.run(0, grant)
    assert model.run(0, holder) is None


def test_a_holder_that_is_down_keeps_the_lock(model):
    model.run(1, request)
    model.run(0, grant)
    for _ in range(3):
        assert not model.run(0, request)
        assert not model.run(2, request)
    assert model.run(1, request)


def test_a_holder_that_is_gone_from_the_model_loses_the_lock(model):
    model.run(1, request)
    model.run(0, grant)
    model.run(2, request)
    del model.units[1]
    model.run(0, grant)
    assert model.run(2, request)


def test_a_new_leader_that_has_not_met_the_holder_leaves_it_the_lock(model):
    model.run(1, request)
    model.run(0, grant)
    model.units[3] = {}
    model.leader, model.unseen = 3, {3: {0, 1, 2}}
    assert not model.run(3, request)
    assert model.run(1, request)


def test_a_new_leader_goes_on_where_the_old_one_was(model):
    model.run(0, request)
    model.run(2, request)
    model.leader = 1
    model.run(1, grant)
    assert model.run(0, request)
    model.run(0, release)
    model.run(1, grant)
    assert model.run(2, request)


def test_an_old_grant_is_no_answer_to_a_new_request(model):
    model.run(1, request)
    model.run(0, grant)
    model.run(2, request)
    model.run(1, release)
    # While unit 1 asks anew, the leader, which has not seen that yet, gives unit 2 the lock.
    before = dict(model.units[1])
    assert not model.run(1, request)
    again, model.units[1] = model.units[1], before
    model.run(0, grant)
    model.units[1] = again
    assert model.run(2, request)
    assert not model.run(1, request)


def test_releasing_what_was_not_asked_for_changes_nothing(model):
    model.run(1, release)
    assert (model.units[1], model.app_data) == ({}, {})


STEPS = st.lists(
    st.tuples(st.sampled_from(["request", "release", "look", "lead", "leave"]), st.integers(0, 2)),
    max_size=14,
)


class Service:
    """Something that is restarted in turn, and serves again when the test says so."""

    def __init__(self):
        self.new, self.restarts, self.serves = True, 0, True

    def outdated(self):
        return self.new

    def restart(self):
        self.new, self.restarts = False, self.restarts + 1


def restart(service):
    return lambda cluster: cluster.rolling_restart(service, lambda: service.serves, "it to answer")


def test_one_restarts_while_the_others_wait_for_it(model):
    first, second = Service(), Service()
    first.serves = False
    assert model.run(0, restart(first)) == [ops.WaitingStatus("for it to answer after its restart")]
    waits = ops.MaintenanceStatus("waiting to restart: one unit at a time, probe/0 is first")
    assert (model.run(1, restart(second)), second.restarts) == ([waits], 0)
    first.serves = True
    assert model.run(0, restart(first)) == []
    assert (model.run(1, restart(second)), second.restarts) == ([], 1)
    assert first.restarts == 1


def test_who_waits_for_the_leader_says_so(model):
    waits = model.run(1, restart(Service()))
    assert waits == [ops.MaintenanceStatus("waiting to restart: one unit at a time, the leader is first")]


def test_what_must_not_stop_keeps_running_and_is_asked_with_the_lock_in_hand(model):
    first, second, asked = Service(), Service(), []

    def restart_unless(service, why):
        return lambda cluster: cluster.rolling_restart(
            service, lambda: service.serves, "it to answer", why_not=lambda: asked.append(why) or why
        )

    waits = [RetriedStatus("to restart for a new configuration: a member is missing")]
    assert model.run(0, restart_unless(first, "a member is missing")) == waits
    assert model.run(1, restart_unless(second, "")) != []
    assert (first.restarts, second.restarts, asked) == (0, 0, ["a member is missing"])
    assert model.run(0, restart_unless(first, "")) == []
    assert first.restarts == 1


def test_what_is_not_outdated_is_left_alone(model):
    service = Service()
    service.new = service.serves = False
    assert (model.run(0, restart(service)), service.restarts) == ([], 0)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_at_most_one_unit_interrupts_its_service_whatever_the_order(steps):
    model = Model()
    interrupted = set()
    for step, number in steps:
        if number not in model.units:
            continue
        if step == "request" and model.run(number, request):
            interrupted.add(number)
        elif step == "release" and number in interrupted:
            model.run(number, release)
            interrupted.discard(number)
        elif step == "look":
            model.run(number, grant)
        elif step == "lead":
            model.leader = number
        elif step == "leave" and len(model.units) > 1:
            del model.units[number]
            interrupted.discard(number)
            model.leader = min(model.units) if model.leader == number else model.leader
        assert len(interrupted) <= 1
    _everybody_gets_the_lock(model, interrupted)


def _everybody_gets_the_lock(model, interrupted):
    """Each unit that is left is served in the end."""
    waiting = set(model.units)
    for _ in range(2 * len(model.units) + 1):
        for number in sorted(waiting | interrupted):
            if model.run(number, request):
                model.run(number, release)
                waiting.discard(number)
                interrupted.discard(number)
        model.run(model.leader, grant)
    assert waiting == set()


def test_a_unit_that_leaves_can_read_what_its_peers_have_told(model):
    model.run(1, lambda cluster: cluster.publish(address="10.0.0.1"))
    model.unseen = {0: {1, 2}}
    model.dying = {2}
    assert model.run(0, lambda cluster: cluster.facts("probe/1")) == {}
    assert model.run(0, lambda cluster: cluster.recall("probe/1")) == {"address": "10.0.0.1"}
    assert model.run(0, lambda cluster: cluster.recall("probe/7")) == {}
    assert model.run(0, lambda cluster: cluster.staying) == ["probe/0", "probe/1"]
