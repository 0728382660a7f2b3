"""The model's words, parsed and checked, and who runs a monitor next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from members import Member
from monitor_choice import next_monitors, runs_monitor
from openinfra_charm.model.status import ConfigError
from state import Settings


@pytest.fixture
def parse(defaults):
    """Parse the default options with some changed."""

    def parse(**options):
        return Settings.parse(defaults | {name.replace("_", "-"): value for name, value in options.items()})

    return parse


def test_the_defaults_are_for_production(parse):
    settings = parse()
    assert (settings.monitor_count, settings.failure_domain) == (3, "host")
    assert (settings.pool_size, settings.pool_min_size, settings.pool_pg_num) == (3, 2, 0)
    assert settings.osd_memory_target == 4 << 30
    assert settings.osd_benchmark
    assert not settings.allow_plain_credentials
    assert settings.osd_devices == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"monitor_count": 2}, "monitor-count=2 cannot be used: expected 1, 3 or 5"),
        ({"monitor_count": 0}, "monitor-count=0"),
        ({"monitor_count": 7}, "monitor-count=7"),
        ({"failure_domain": "rack"}, "failure-domain='rack' cannot be used: expected host or osd"),
        ({"osd_pool_default_size": 0}, "osd-pool-default-size=0"),
        ({"osd_pool_default_min_size": 0}, "osd-pool-default-min-size=0"),
        (
            {"osd_pool_default_min_size": 4},
            r"osd-pool-default-min-size=4 .* 1 to osd-pool-default-size \(3\)",
        ),
        ({"osd_pool_default_pg_num": 12}, "osd-pool-default-pg-num=12 .* power of two"),
        ({"osd_pool_default_pg_num": -8}, "osd-pool-default-pg-num=-8"),
        ({"osd_memory_target": "4"}, "osd-memory-target='4'"),
        ({"osd_memory_target": "511M"}, "osd-memory-target='511M' .* 512M or more"),
        ({"osd_memory_target": "-4G"}, "osd-memory-target"),
        ({"osd_devices": "/dev/sdb,sdc"}, "osd-devices='sdc' .* paths under /dev"),
        ({"osd_devices": "10G"}, "osd-devices='10G' .* file:SIZE"),
        ({"osd_devices": "file:big"}, "osd-devices='file:big' .* file:SIZE"),
    ],
)
def test_a_bad_option_names_itself_its_value_and_what_is_allowed(parse, options, message):
    with pytest.raises(ConfigError, match=message):
        parse(**options)


@pytest.mark.parametrize(
    ("options", "attribute", "value"),
    [
        ({"monitor_count": 5}, "monitor_count", 5),
        ({"osd_pool_default_size": 1, "osd_pool_default_min_size": 1}, "pool_size", 1),
        ({"osd_pool_default_pg_num": 1}, "pool_pg_num", 1),
        ({"osd_memory_target": "512M"}, "osd_memory_target", 512 << 20),
        ({"osd_devices": " /dev/sdb, ,/dev/disk/by-id/x,"}, "osd_devices", ("/dev/sdb", "/dev/disk/by-id/x")),
        ({"osd_devices": "file:10G,file:10G"}, "osd_devices", ("file:10G", "file:10G")),
    ],
)
def test_values_at_the_edge_are_taken(parse, options, attribute, value):
    assert getattr(parse(**options), attribute) == value


# Monitors


def members(*units, monitors=(), leaving=()):
    return {
        f"ceph/{number}": Member(
            unit=f"ceph/{number}",
            hostname=f"machine-{number}",
            public_address=f"10.0.0.{number}",
            cluster_address=f"10.0.0.{number}",
            monitor=number in monitors,
            leaving=number in leaving,
        )
        for number in units
    }


def names(*numbers):
    return [f"ceph/{number}" for number in numbers]


@pytest.mark.parametrize(
    ("current", "there", "limit", "then"),
    [
        pytest.param([0, 1, 2], members(0, 2, 3, monitors=[0, 2]), 3, [0, 1, 2], id="one that was not met yet is not gone"),
        pytest.param([0], members(0, monitors=[0]), 3, [0], id="one unit, one monitor"),
        pytest.param([0], members(0, 1, monitors=[0]), 3, [0], id="two units are no odd number"),
        pytest.param([0], members(0, 1, 2, monitors=[0]), 3, [0, 1, 2], id="three units: the others"),
        pytest.param([0], members(0, 1, 2), 3, [0], id="not before the first is in quorum"),
        pytest.param([0, 1], members(0, 1, 2, monitors=[0]), 3, [0, 1], id="not before the second is in quorum"),
        pytest.param([0, 1], members(0, 1, 2, monitors=[0, 1]), 3, [0, 1, 2], id="the third"),
        pytest.param([0, 1, 2], members(0, 1, 2, 3, monitors=[0, 1, 2]), 3, [0, 1, 2], id="no fourth"),
        pytest.param([0, 1, 2], members(*range(5), monitors=[0, 1, 2]), 5, [0, 1, 2, 3, 4], id="five"),
        pytest.param([0, 1, 2], members(*range(5), monitors=[0, 1, 2]), 3, [0, 1, 2], id="no more than wanted"),
        pytest.param([0], members(0, 2, 10, monitors=[0]), 3, [0, 2, 10], id="by number, not by name"),
        pytest.param([0, 1, 2], members(0, 1, 2, 3, monitors=[0, 1, 2], leaving=[1]), 3, [0, 1, 2, 3],
                     id="first the successor of one that leaves"),
        pytest.param([0, 1, 2, 3], members(0, 1, 2, 3, monitors=[0, 1, 2, 3], leaving=[1]), 3, [0, 2, 3],
                     id="then it leaves"),
        pytest.param([0], members(0, 1, monitors=[0], leaving=[0]), 3, [0, 1], id="the founder leaves"),
        pytest.param([0, 1], members(0, 1, monitors=[0, 1], leaving=[0]), 3, [1], id="the founder has left"),
        pytest.param([0], members(0, monitors=[0], leaving=[0]), 3, [0], id="the last one stays"),
        pytest.param([0, 1, 2], members(0, 1, 2, monitors=[0, 1, 2]), 1, [0, 1], id="fewer are wanted: one less"),
        pytest.param([0, 1], members(0, 1, 2, monitors=[0, 1]), 1, [0], id="fewer are wanted: one"),
    ],
)  # fmt: skip
def test_which_units_shall_run_monitors(current, there, limit, then):
    assert next_monitors(names(*current), there, limit) == names(*then)


@pytest.mark.parametrize(
    ("there", "then"),
    [
        pytest.param(members(0, 2, 3, monitors=[0, 2]), [0, 2, 3], id="one for one that is gone"),
        pytest.param(members(0, 2, monitors=[0, 2]), [0, 2], id="two that are left stay two"),
        pytest.param(members(0, 3, monitors=[0]), [0, 2], id="one that was not met is waited for"),
    ],
)
def test_which_units_shall_run_monitors_when_one_is_gone(there, then):
    assert next_monitors(names(0, 1, 2), there, 3, gone=names(1)) == names(*then)


@st.composite
def applications(draw):
    """Units in any state, of which some are chosen, all of those in quorum."""
    numbers = draw(st.lists(st.integers(0, 12), min_size=1, max_size=7, unique=True))
    chosen = draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=5, unique=True))
    leaving = draw(st.sets(st.sampled_from(numbers)))
    return chosen, numbers, leaving, draw(st.sampled_from([1, 3, 5]))


@given(applications())
def test_they_leave_one_at_a_time_and_never_all(application):
    chosen, numbers, leaving, limit = application
    before = names(*chosen)
    after = next_monitors(before, members(*numbers, monitors=chosen, leaving=leaving), limit)
    assert len(set(before) - set(after)) <= 1
    assert after


@pytest.mark.parametrize(
    ("in_quorum", "run"),
    [([], [0]), ([0], [0, 1]), ([0, 1], [0, 1, 2]), ([0, 2], [0, 1, 2]), ([1, 2], [0, 1, 2])],
)
def test_they_join_one_after_another(in_quorum, run):
    there = members(0, 1, 2, 3, monitors=in_quorum)
    assert [unit for unit in there if runs_monitor(unit, names(0, 1, 2), there)] == names(*run)


def test_one_that_has_not_met_those_before_it_does_not_join():
    there = members(0, 2, monitors=[0])
    assert not runs_monitor("ceph/2", names(0, 1, 2), there)
    assert runs_monitor("ceph/2", names(0, 1, 2), there, gone=names(1))


@given(applications())
def test_nothing_moves_while_one_is_not_in_quorum(application):
    chosen, numbers, leaving, limit = application
    there = members(*numbers, monitors=chosen[1:], leaving=leaving)
    assert next_monitors(names(*chosen), there, limit) == names(*chosen)


@given(applications())
def test_in_the_end_enough_units_that_stay_run_monitors(application):
    chosen, numbers, leaving, limit = application
    current = names(*chosen)
    for _ in range(20):
        running = [int(unit.split("/")[1]) for unit in current]
        current = next_monitors(current, members(*numbers, monitors=running, leaving=leaving), limit)
    staying = set(names(*numbers)) - set(names(*leaving))
    if staying:
        goal = max(count for count in (1, 3, 5) if count <= max(1, min(limit, len(staying))))
        assert set(current) <= staying
        assert goal <= len(current) <= max(goal, min(limit, len(set(chosen) - leaving)))
    else:
        assert current
