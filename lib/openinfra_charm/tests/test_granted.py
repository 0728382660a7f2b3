"""Users granted to one relation: made, handed out, rotated, retired, withdrawn."""

import pytest

from openinfra_charm.model.granted import Granted, NotTakenUpError


class Software:
    """Users by name, with their passwords."""

    def __init__(self):
        self.users = {}

    def make(self, user, password):
        self.users[user] = password

    def drop(self, user):
        self.users.pop(user, None)


class Store:
    """What the relation is told."""

    def __init__(self):
        self.content = {}

    def read(self):
        return self.content

    def put(self, content):
        self.content = dict(content)
        return "secret:id"

    def remove(self):
        self.content = {}


class World:
    """A relation, and what its application's leader has recorded of it."""

    def __init__(self):
        self.software, self.store, self.recorded = Software(), Store(), ([], [])

    @property
    def granted(self):
        users, retired = self.recorded
        return Granted(
            users=users, retired=retired, record=self.record, store=self.store, software=self.software
        )

    def record(self, users, retired):
        self.recorded = (users, retired)

    def is_consistent(self):
        return self.software.users[self.store.content["username"]] == self.store.content["password"]


@pytest.fixture
def world():
    return World()


def test_a_user_is_made_once_and_handed_out(world):
    assert world.granted.hand_out("glance-1") == "secret:id"
    told = world.store.content
    assert world.is_consistent()
    assert world.recorded == (["glance-1"], [])
    world.granted.hand_out("another-1")
    assert world.store.content == told
    assert list(world.software.users) == ["glance-1"]


def test_a_password_is_replaced_by_a_second_user_again_and_again(world):
    world.granted.hand_out("glance-1")
    for number in (2, 3, 4):
        assert world.granted.rotate() == f"glance-{number}"
        assert world.is_consistent()
        with pytest.raises(NotTakenUpError, match=f"glance-{number} has not been taken up yet"):
            world.granted.rotate()
        world.granted.retire()
        assert len(world.software.users) == 2, "the software may be away: it is told later"
        world.granted.drop_retired()
        assert list(world.software.users) == [f"glance-{number}"]
        assert world.recorded == ([f"glance-{number}"], [])


def test_nothing_is_retired_twice(world):
    world.granted.hand_out("glance-1")
    world.granted.retire()
    world.granted.drop_retired()
    assert list(world.software.users) == ["glance-1"]


def test_a_relation_that_goes_leaves_nothing(world):
    world.granted.hand_out("glance-1")
    world.granted.rotate()
    world.granted.retire()
    world.granted.rotate()
    world.granted.withdraw()
    assert world.software.users == {}
    assert world.store.content == {}
    assert world.recorded == ([], [])
