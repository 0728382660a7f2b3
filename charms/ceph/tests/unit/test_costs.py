"""What hooks cost in which nothing is new: hook tools, programs, and commands to the monitors."""

from collections import Counter
from dataclasses import dataclass

import ops
import pytest
from scenario import mocking
from test_related_daemons import answer, gateways

TOOLS = (
    "config_get", "is_leader", "network_get", "relation_get", "relation_ids", "relation_list", "relation_set", "secret_get",
    "status_get", "status_set", "storage_list",
)  # fmt: skip
PROGRAMS = ("run", "service_states", "outdated_programs", "package_versions")


@dataclass
class Costs:
    """What was called."""

    tools: Counter[str]
    programs: Counter[str]
    commands: list[str]


@pytest.fixture
def costs(full, monkeypatch):
    """Return a function that plays a hook of the cluster with related gateways and returns what it has cost."""
    for _ in range(3):
        full.update_status()
    assert full.statuses[0] == full.statuses[1] == ops.ActiveStatus("")

    def costs(number, event, **where):
        seen = Costs(tools=Counter(), programs=Counter(), commands=[])
        with monkeypatch.context() as patched:
            _count(patched, mocking._MockModelBackend, TOOLS, seen.tools)
            _count(patched, type(full.machines[number]), PROGRAMS, seen.programs)
            full.ceph.commands.clear()
            full.run(number, event, **where)
            seen.commands = list(full.ceph.commands)
        return seen

    return costs


def _count(patched, owner, names, seen):
    def counted(name, original):
        def call(self, *args, **kwargs):
            # ops keeps the answer to is-leader.
            seen[name] += name != "is_leader" or not seen[name]
            return original(self, *args, **kwargs)

        return call

    for name in names:
        patched.setattr(owner, name, counted(name, getattr(owner, name)))


@pytest.mark.parametrize("number", [0, 1])
def test_news_of_peers_that_concern_nothing_here_ask_no_program_and_no_monitor(full, costs, number):
    seen = costs(number, lambda peers: full.on.relation_changed(peers, remote_unit=2))
    # The machine's one question to dpkg is answered from a file.
    assert (seen.programs, seen.commands) == (Counter(package_versions=1), [])
    assert sum(seen.tools.values()) <= 11
    assert not seen.tools["network_get"] + seen.tools["status_set"]
    assert full.statuses[number] == ops.ActiveStatus("")


@pytest.mark.parametrize("number", [0, 1])
def test_what_daemons_have_asked_for_before_is_looked_at_by_the_leader_alone(full, costs, number):
    full.relate(relation := gateways("host-a", "host-b", "host-c"))
    full.update_status()
    seen = costs(number, lambda one: full.on.relation_changed(one, remote_unit=1), relation=relation.id)
    assert (seen.programs, seen.commands) == (Counter(), [])
    assert seen.tools["relation_get"] == (2 if number == 0 else 0)
    assert sum(seen.tools.values()) <= 8


@pytest.mark.parametrize("number", [0, 1])
def test_who_looks_at_everything_asks_for_each_thing_once(full, costs, number):
    full.relate(gateways("host-a", "host-b", "host-c"))
    full.update_status()
    seen = costs(number, full.on.config_changed())
    assert "quorum_status" not in seen.commands
    # What the monitors say may have changed once daemons were restarted, and what the leader has finished.
    assert seen.commands.count("status") == (3 if number == 0 else 2)
    assert len(seen.commands) <= 7
    # Others' data read only by who answers them.
    assert seen.tools["relation_get"] == (9 if number == 0 else 5)
    assert sum(seen.tools.values()) <= (24 if number == 0 else 20)


def test_news_that_concern_a_unit_are_followed_though_all_was_well(full, costs):
    del costs
    relation = gateways("host-a")
    full.relations[relation.id] = relation
    full.run(0, lambda one: full.on.relation_changed(one, remote_unit=0), relation=relation.id)
    assert answer(full, relation)["exit-code"] == 0
    # What the leader chooses the others see in its peer data only.
    full.config |= {"monitor-count": 1}
    full.run(0, full.on.config_changed())
    assert sorted(full.ceph.monitors) == ["machine-0"]


def test_a_unit_that_has_something_to_say_looks_at_everything(full, costs):
    full.ceph.checks["MON_CLOCK_SKEW"] = "clock skew detected on mon.machine-1"
    full.update_status()
    full.ceph.checks.clear()
    assert costs(1, lambda peers: full.on.relation_changed(peers, remote_unit=2)).commands
    assert full.statuses[1] == ops.ActiveStatus("")


def test_the_leader_says_which_daemons_wait_for_disks_and_serves_them_when_there_are_some(deploy):
    model = deploy(2, osd_pool_default_size=2, osd_pool_default_min_size=2)
    model.add_osd(0)
    model.relate(relation := gateways("host-a"))
    model.update_status()
    assert "ceph-rgw waits for as many OSDs as osd-pool-default-min-size says" in model.statuses[0].message
    model.add_osd(1)
    assert answer(model, relation)["exit-code"] == 0
    model.update_status()
    assert "waits" not in model.statuses[0].message
