"""Options, and what is decided from what units have published."""

import pytest

from openinfra_charm.model.status import ConfigError
from state import (
    Member,
    Recorded,
    Recovery,
    Settings,
    Stopped,
    decide,
    host_name,
    may_join,
    next_member,
    node_name,
    unit_of,
)


def member(number, *, saw=None, after=0, **facts):
    stopped = Stopped(saw=tuple(f"rabbitmq/{one}" for one in saw), after=after) if saw is not None else None
    known = {"incarnation": f"i{number}", "joined": True} | facts
    address = f"10.0.0.{number}"
    return Member(
        unit=f"rabbitmq/{number}", client_address=address, ingress_address=address, cluster_address=address, stopped=stopped,
        **known,
    )  # fmt: skip


def recorded(*numbers):
    return [
        Recorded(unit=f"rabbitmq/{one}", address=f"10.0.0.{one}", incarnation=f"i{one}") for one in numbers
    ]


def members(*found):
    return {one.unit: one for one in found}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("memory-limit", "64M"), ("memory-limit", "0"), ("memory-limit", "1 gigabyte"), ("disk-free-limit", "1M"),
        ("shared-vhosts", "nova"), ("shared-vhosts", ":nova"), ("shared-vhosts", "nova-compute:"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_used_is_named(defaults, option, value):
    with pytest.raises(ConfigError, match=f"config {option}="):
        Settings.parse({**defaults, option: value})


def test_options_are_read(defaults):
    settings = Settings.parse({**defaults, "shared-vhosts": "nova-compute:nova, a:x a:y"})
    assert settings.memory_limit == settings.disk_free_limit == 1 << 30
    assert settings.shared == {"nova-compute": {"nova"}, "a": {"x", "y"}}


def test_a_node_is_called_like_its_unit():
    assert host_name("rabbitmq/12") == "rabbitmq-12"
    assert unit_of(node_name("message-broker/3")) == "message-broker/3"
    assert unit_of("rabbit@somewhere") == "rabbit@somewhere"


def test_units_join_after_those_before_them():
    found = members(member(0), member(1, joined=False), member(2, joined=False))
    kept = recorded(0, 1, 2)
    assert [may_join(f"rabbitmq/{one}", kept, found) for one in (0, 1, 2, 3)] == [True, True, False, False]
    # One that has been there does not wait for one that comes anew.
    assert may_join("rabbitmq/2", kept, members(member(0), member(1, joined=False), member(2)))


def test_a_unit_joins_only_with_the_data_that_it_is_recorded_with():
    found = members(member(0), member(1, incarnation="another", joined=False))
    assert not may_join("rabbitmq/1", recorded(0, 1), found)


def test_one_more_becomes_a_member_when_all_have_joined():
    found = members(member(0), member(1, joined=False), member(2, joined=False))
    assert next_member(recorded(0), found, []) == recorded(1)[0]
    assert next_member(recorded(0, 1), found, []) is None
    assert next_member(recorded(0), found, ["rabbitmq/1"]) == recorded(2)[0]
    leaving = members(member(0), member(1, joined=False, leaving=True))
    assert next_member(recorded(0), leaving, []) is None


def test_who_saw_the_fewest_run_stopped_last():
    found = members(member(0, saw=[1, 2]), member(1, saw=[2]), member(2, saw=[0, 1]))
    assert decide(recorded(0, 1, 2), found, Recovery()) == Recovery(unit="rabbitmq/1", number=1)


def test_those_that_are_gone_do_not_count_among_the_seen():
    found = members(member(0, saw=[7, 8]), member(1, saw=[0]))
    assert decide(recorded(0, 1), found, Recovery()) == Recovery(unit="rabbitmq/0", number=1)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(member(1), id="serves, or has not reported"),
        pytest.param(member(1, saw=[0], after=0), id="reported before the last answer"),
    ],
)
def test_nobody_starts_alone_as_long_as_one_has_not_reported(other):
    found = members(member(0, saw=[1], after=1), other)
    assert decide(recorded(0, 1), found, Recovery(unit="rabbitmq/0", number=1)) is None


def test_without_anybody_there_is_no_answer():
    assert decide([], {}, Recovery()) is None
