"""Users granted to relations: made, published, rotated, retired, withdrawn; and what is recorded of it."""

from datetime import UTC, datetime
from typing import cast

import ops
import ops.hookcmds
import pytest

from openinfra_charm.model.granted import Grants, Records, RotationError, wants_plain


class Software:
    """Users by name, with their passwords."""

    def __init__(self):
        self.users = {}

    def make(self, user, password):
        self.users[user] = password

    def drop(self, user):
        self.users.pop(user, None)


class Secret:
    """A secret of Juju's, as `Own` sees it, which is the same for all who ask."""

    def __init__(self, model, label, content):
        self._model, self.label, self.content, self.granted = model, label, content, []

    def get_content(self, *, refresh):
        assert refresh
        return dict(self.content)

    def set_content(self, content):
        self.content = content

    def get_info(self):
        return self

    @property
    def id(self):
        return f"secret:{self.label}"

    def grant(self, relation, unit=None):
        self.granted.append((relation.id, unit))

    def remove_all_revisions(self):
        del self._model.secrets[self.label]


@pytest.fixture
def dying():
    """The units that are on their way out."""
    return set()


@pytest.fixture(autouse=True)
def planned(monkeypatch, dying):
    """What the model has on each endpoint: applications and units."""
    names = {}

    def goal_of(name):
        return ops.hookcmds.Goal(status="dying" if name in dying else "active", since=datetime.now(tz=UTC))

    def goal_state():
        return ops.hookcmds.GoalState(
            units={name: goal_of(name) for name in ("mysql/0", "mysql/1")},
            relations={
                endpoint: {name: goal_of(name) for name in known} for endpoint, known in names.items()
            },
        )

    monkeypatch.setattr(ops.hookcmds, "goal_state", goal_state)
    names_of_hook = {
        "DISPATCH_PATH": "hooks/update-status",
        "HOOK_NAME": "update-status",
        "MODEL_NAME": "m",
        "MODEL_UUID": "u",
        "UNIT_NAME": "mysql/0",
    }
    for name, value in {**names_of_hook, "VERSION": "4.0.15"}.items():
        monkeypatch.setenv(f"JUJU_{name}", value)
    return names


class Relation:
    def __init__(self, number, application):
        self.id, self.active, self.app = number, True, type("App", (), {"name": application})


class Model:
    """What of Juju's model and of the peer relation is used."""

    def __init__(self):
        self.shared, self.secrets, self.app = {}, {}, self
        self.unit = type("Unit", (), {"name": "mysql/0"})
        self.relations = {"database": [Relation(7, "glance")], "credentials": []}

    def publish_shared(self, **facts):
        self.shared = {key: fact for key, fact in (self.shared | facts).items() if fact is not None}

    def add_secret(self, content, *, label, rotate):
        return self.secrets.setdefault(label, Secret(self, label, content))

    def get_secret(self, *, label):
        try:
            return self.secrets[label]
        except KeyError:
            raise ops.SecretNotFoundError from None


class World:
    """An application, what its leader has recorded, and its software."""

    def __init__(self, records):
        self.model, self.software = Model(), Software()
        self.records = records(self.model)

    @property
    def grants(self):
        return Grants(
            cast("ops.Model", self.model), ("database", "credentials"), records=self.records, label="client"
        )

    @property
    def relation(self):
        return self.model.relations["database"][0]

    @property
    def published(self):
        return self.model.secrets["client-7"].content

    def is_consistent(self):
        return self.software.users[self.published["username"]] == self.published["password"]

    def publish(self):
        return self.grants.publish(7, "glance-7-1", self.software)

    def drop_retired(self):
        self.grants.drop_retired(lambda: self.software)


TOGETHER, APART = (lambda model: Records(model, "client")), (lambda model: Records(model, facts=("users", "retired")))  # fmt: skip


@pytest.fixture(params=[TOGETHER, APART], ids=["under one key", "under a key for each fact"])
def world(request):
    return World(request.param)


def test_records_are_where_they_have_always_been():
    together, apart = World(TOGETHER), World(APART)
    for world in (together, apart):
        world.publish()
    assert together.model.shared == {"client-7": {"users": ["glance-7-1"]}}
    assert apart.model.shared == {"users-7": ["glance-7-1"]}
    apart.grants.rotate(apart.relation, apart.software)
    apart.grants.retire("client-7")
    assert apart.model.shared == {"users-7": ["glance-7-2"], "retired-7": ["glance-7-1"]}


def test_what_else_is_recorded_of_a_relation_stays_with_its_users():
    world = World(TOGETHER)
    world.records.note(7, services=[["glance", "image", "R"]])
    world.publish()
    world.records.note(7, services=None)
    assert world.model.shared == {"client-7": {"users": ["glance-7-1"]}}
    world.records.note(7, users=None)
    assert world.model.shared == {}


def test_a_user_is_made_once_and_its_secret_is_granted_to_its_relation(world):
    assert world.publish() == "secret:client-7"
    assert world.model.secrets["client-7"].granted == [(7, None)]
    published = world.published
    assert world.is_consistent()
    world.grants.publish(7, "another-1", world.software)
    assert world.published == published
    assert list(world.software.users) == ["glance-7-1"]


def test_a_password_is_replaced_by_a_second_user_again_and_again(world):
    world.publish()
    for number in (2, 3, 4):
        words = world.grants.rotate(world.relation, world.software)
        assert words == (
            f"glance has the new user glance-7-{number}; "
            f"glance-7-{number - 1} is dropped when no unit uses it any more"
        )
        assert world.is_consistent()
        with pytest.raises(RotationError, match=f"glance does not use glance-7-{number} everywhere yet"):
            world.grants.rotate(world.relation, world.software)
        world.grants.retire("client-7")
        assert len(world.software.users) == 2, "the software may be away: it drops the user later"
        world.drop_retired()
        assert list(world.software.users) == [f"glance-7-{number}"]
        assert world.grants.users(7) == [f"glance-7-{number}"]


def test_a_rotation_that_is_refused_has_changed_nothing(world):
    world.publish()
    world.grants.rotate(world.relation, world.software)
    before = dict(world.software.users), dict(world.published), world.model.shared
    with pytest.raises(RotationError):
        world.grants.rotate(world.relation, world.software)
    assert (world.software.users, world.published, world.model.shared) == before


@pytest.mark.parametrize("label", ["client-7", "client-ca-7", "client-8", "keys"])
def test_only_what_earlier_revisions_of_its_own_secret_held_is_retired(world, label):
    world.publish()
    world.grants.rotate(world.relation, world.software)
    world.grants.retire(label)
    world.drop_retired()
    assert len(world.software.users) == (1 if label == "client-7" else 2)


def test_nothing_is_retired_twice(world):
    world.publish()
    world.grants.retire("client-7")
    world.drop_retired()
    assert list(world.software.users) == ["glance-7-1"]


def test_who_has_no_user_is_not_rotated_and_those_that_have_are_named(world):
    with pytest.raises(RotationError, match="granted to nobody"):
        world.grants.find(7)
    world.publish()
    assert world.grants.find(7) is world.relation
    with pytest.raises(RotationError, match=r"relation-id=9: .*; credentials were granted to 7 \(glance\)"):
        world.grants.find(9)


def test_a_relation_that_goes_leaves_nothing(world):
    world.publish()
    world.grants.rotate(world.relation, world.software)
    world.grants.retire("client-7")
    world.grants.rotate(world.relation, world.software)
    assert world.grants.departed == []
    world.relation.active = False
    assert world.grants.departed == [7]
    world.grants.withdraw(7, world.software)
    assert (world.software.users, world.model.secrets, world.model.shared) == ({}, {}, {})
    assert world.grants.departed == []


def test_a_relation_that_was_not_met_yet_is_not_gone(planned):
    """Juju shows a new unit no relation before `relation-created`; it may lead by then."""
    world = World(TOGETHER)
    world.grants.publish(7, "nova-7-1", world.software)
    planned["database"] = ["glance", "glance/0", "glance/1"]
    world.model.relations["database"] = []
    assert world.grants.departed == []
    del planned["database"]
    assert world.grants.departed == [7]


def test_a_unit_that_leaves_withdraws_nothing(world, dying):
    """Juju ends its relations one by one, also those that the application keeps; who leads then knows which have gone."""
    world.publish()
    world.relation.active = False
    dying.add("mysql/0")
    assert world.grants.departed == []
    dying.clear()
    assert world.grants.departed == [7]


def test_what_was_refused_is_settled_until_something_else_is_asked_for():
    world = World(TOGETHER)
    assert not world.grants.is_settled(7, "a")
    world.grants.refuse(7, "a", "no such role")
    assert world.grants.is_settled(7, "a")
    assert world.grants.refusal(7, lambda: "a") == "no such role"
    assert not world.grants.is_settled(7, "b")
    assert not world.grants.refusal(7, lambda: "b")
    world.grants.answered(7, "b")
    assert world.grants.is_settled(7, "b")
    assert world.model.shared == {"client-7": {"answers": "b"}}


def test_who_wants_plain_data_is_named_with_the_remedy():
    assert wants_plain("nova", "password") == (
        "nova wants its password in plain relation data: set allow-plain-credentials=true, or use a client with secrets"
    )
