"""What the model says: options, who is a member, and who begins a cluster again."""

import pytest

from openinfra_charm.model.status import ConfigError
from state import Member, Position, Recovery, Settings, decide, may_join, next_members


def member(number, **facts):
    return Member(
        unit=f"mysql/{number}",
        client_address="",
        ingress_address="",
        cluster_address=f"10.0.0.{number}",
        **facts,
    )


def position(seqno, *, safe=False, after=0):
    return Position(seqno=seqno, uuid="x", safe=safe, after=after)


def known(*members):
    return {entry.unit: entry for entry in members}


def test_the_defaults_can_be_used(defaults):
    assert Settings.parse(defaults).buffer_pool_size == 512 << 20


@pytest.mark.parametrize(
    ("option", "value"),
    [("buffer-pool-size", "63M"), ("buffer-pool-size", "lots"), ("buffer-pool-size", "512K"), ("max-connections", 9), ("max-connections", 100_001), ("backup-directory", "var"), ("backup-directory", "/a b"), ("backup-schedule", "daily;"), ("backup-retention", 0)],
)  # fmt: skip
def test_an_option_that_cannot_be_used_is_named_with_its_value(option, value, defaults):
    with pytest.raises(ConfigError, match=f"{option}={value!r}"):
        Settings.parse(defaults | {option: value})


# Members


def test_the_next_one_joins_when_all_before_it_have():
    members = known(member(0, joined=True), member(1), member(2))
    assert next_members(["mysql/0"], members, []) == ["mysql/0", "mysql/1"]
    assert next_members(["mysql/0", "mysql/1"], members, []) == ["mysql/0", "mysql/1"]
    assert may_join("mysql/1", ["mysql/0", "mysql/1", "mysql/2"], members)
    assert not may_join("mysql/2", ["mysql/0", "mysql/1", "mysql/2"], members)
    assert not may_join("mysql/3", ["mysql/0"], members)


def test_a_member_that_has_joined_stays_one_whoever_else_is_missing():
    assert may_join("mysql/2", ["mysql/0", "mysql/2"], known(member(2, joined=True)))


def test_who_was_left_behind_is_no_member_again():
    members = known(member(0, joined=True), member(1, joined=True))
    assert next_members(["mysql/0"], members, ["mysql/1"]) == ["mysql/0"]


# Who begins again

ALL = ["mysql/0", "mysql/1", "mysql/2"]


def test_nobody_is_answered_who_has_not_asked():
    assert decide(ALL, known(*map(member, range(3))), Recovery(), trusts_mark=True) is None


def test_the_highest_position_begins_when_all_have_reported():
    asking = [member(n, position=position(seqno)) for n, seqno in enumerate((7, 9, 9))]
    assert decide(ALL, known(*asking), Recovery(), trusts_mark=True) == Recovery(
        unit="mysql/1", number=1, begin=True
    )
    assert decide(ALL, known(*asking[:2]), Recovery(), trusts_mark=True) is None


def test_a_report_that_has_been_answered_does_not_count_again():
    asking = [member(n, position=position(7)) for n in range(3)]
    assert (
        decide(ALL, known(*asking), Recovery(unit="mysql/0", number=1, begin=True), trusts_mark=True) is None
    )


def test_a_member_that_serves_calls_the_others_back_and_begins_nothing():
    members = known(member(0, position=position(9)), member(1, serves=0), member(2))
    assert decide(ALL, members, Recovery(), trusts_mark=True) == Recovery(unit="mysql/1", number=1)


def test_that_a_member_served_before_an_earlier_answer_says_nothing():
    members = known(member(0, position=position(9, after=1)), member(1, serves=0), member(2))
    assert decide(ALL, members, Recovery(number=1), trusts_mark=True) is None


def test_the_last_to_leave_begins_without_the_others_unless_force_was_ever_used():
    members = known(member(0, position=position(5, safe=True)))
    assert decide(ALL, members, Recovery(), trusts_mark=True) == Recovery(
        unit="mysql/0", number=1, begin=True
    )
    assert decide(ALL, members, Recovery(), trusts_mark=False) is None


def test_two_marks_prove_nothing():
    members = known(*(member(n, position=position(5, safe=True)) for n in range(2)))
    assert decide(ALL, members, Recovery(), trusts_mark=True) is None
