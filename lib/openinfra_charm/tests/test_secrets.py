"""Credentials by the ids of their secrets."""

import ops
import pytest
from ops import testing
from scenario import mocking

from openinfra_charm.model import secrets, status


class Probe(ops.CharmBase):
    """Looks and speaks as the tests say."""


@pytest.fixture
def find():
    """Look a secret up in a hook."""

    def find(secret_id, *known):
        context = testing.Context(Probe, {"name": "probe"})
        with context(context.on.update_status(), testing.State(secrets=set(known))) as manager:
            return secrets.find(manager.charm.model, secret_id)

    return find


def test_the_newest_content_is_found(find):
    secret = testing.Secret({"key": "old"}, latest_content={"key": "new"})
    assert find(secret.id, secret) == {"key": "new"}


@pytest.mark.parametrize("refresh", [True, False])
def test_a_secret_is_asked_for_once(monkeypatch, refresh):
    secret = testing.Secret({"key": "old"})
    asked = []
    get = mocking._MockModelBackend.secret_get
    monkeypatch.setattr(
        mocking._MockModelBackend,
        "secret_get",
        lambda *args, **names: asked.append(names) or get(*args, **names),
    )
    context = testing.Context(Probe, {"name": "probe"})
    with context(context.on.update_status(), testing.State(secrets={secret})) as manager:
        assert secrets.find(manager.charm.model, secret.id, refresh=refresh) == {"key": "old"}
    assert len(asked) == 1


@pytest.mark.parametrize("secret_id", [None, "", "secret:d6j1p1l1g3c8s0m5t2k0"])
def test_what_is_not_there_or_not_granted_is_none(find, secret_id):
    assert find(secret_id) is None


def test_what_a_relation_has_granted_and_taken_along_is_not_there(find, monkeypatch):
    secret = testing.Secret({"key": "old"})

    def refuse(*_args, **_kwargs):
        raise ops.ModelError("ERROR permission denied")

    monkeypatch.setattr("scenario.mocking._MockModelBackend.secret_get", refuse)
    assert find(secret.id, secret) is None


class Keeper(ops.CharmBase):
    """Owns a secret, and notes what is obsolete."""

    def __init__(self, framework):
        super().__init__(framework)
        self.obsolete = []
        self.secrets = secrets.Owner(self, self.obsolete.append)
        self.own = secrets.Own(self.model, self.app, "word")


@pytest.fixture
def keep():
    """Do something with the application's secret, which is there if some are given; return the state after it."""

    def keep(do, *known, event=None, leader=True):
        context = testing.Context(Keeper, {"name": "keeper"})
        state = testing.State(secrets=set(known), leader=leader)
        with context(event(context.on) if event else context.on.update_status(), state) as manager:
            do(manager.charm)
            return manager.run()

    return keep


def owned(**more):
    return testing.Secret({"key": "one"}, label="word", owner="app", **more)


def test_an_owner_follows_what_it_sets(keep):
    state = keep(lambda charm: charm.own.put({"key": "two"}), owned())
    assert state.get_secret(label="word").tracked_content == {"key": "two"}


def test_an_owner_reads_the_newest_and_follows_it(keep):
    found = []
    state = keep(lambda charm: found.append(charm.own.read()), owned(latest_content={"key": "two"}))
    assert found == [{"key": "two"}]
    assert state.get_secret(label="word").tracked_content == {"key": "two"}


def test_what_is_not_there_is_made_read_as_nothing_and_removed_twice(keep):
    found = []
    keep(lambda charm: found.append(charm.own.read()))
    assert found == [{}]
    state = keep(lambda charm: charm.own.put({"key": "one"}))
    assert state.get_secret(label="word").tracked_content == {"key": "one"}
    keep(lambda charm: charm.own.remove())


def test_a_unit_that_does_not_lead_follows_too(keep):
    secret = owned(latest_content={"key": "two"})
    # ops.testing does not know that this event comes to owners too.
    state = keep(lambda charm: charm.on.secret_changed.emit(secret.id, "word"), secret, leader=False)
    assert state.get_secret(label="word").tracked_content == {"key": "two"}


def test_an_obsolete_revision_is_told(keep):
    secret, told = owned(), []

    def rotate(charm):
        told.append(charm.obsolete)
        charm.own.put({"key": "two"})

    keep(rotate, secret, event=lambda on: on.secret_remove(secret, revision=1))
    assert told == [["word"]]


def test_a_bad_option_says_what_was_expected():
    error = status.ConfigError("monitor-count", 2, "1, 3 or 5")
    assert str(error) == "config monitor-count=2 cannot be used: expected 1, 3 or 5"
    assert isinstance(error, status.NeedsOperatorError)
