"""Secrets: who may do what, revisions, timers."""

from __future__ import annotations

import pytest

from openinfra_model.core import ModelError, applications, relations, secrets, show, units
from openinfra_model.core.secrets import next_rotation

from .play import Play, charm
from .test_tools import in_hook

OWNER = charm("owner", provides={"server": "http"})
READER = charm("reader", requires={"backend": "http"}, config={"token": ""})
DAY = 86400


@pytest.fixture
def play() -> Play:
    world = Play()
    world.deploy(OWNER, units=2)
    world.deploy(READER)
    relations.integrate(world.state, "owner", "reader", now=world.now)
    world.settle()
    return world


def add(play: Play, *options: str, content: str = "key=one") -> str:
    """Let the leader add a secret and return its id."""
    uri = in_hook(play, "owner/0", lambda run: run.tool("secret-add", *options, content)).stdout
    return uri.strip().rpartition("/")[2]


def grant(play: Play, secret: str) -> None:
    in_hook(play, "owner/0", lambda run: run.tool("secret-grant", secret, "-r", "0"))


def read(play: Play, unit: str, *argv: str):
    return in_hook(play, unit, lambda run: run.tool("secret-get", *argv))


def test_a_secret_is_read_only_by_whom_it_was_granted_to(play):
    secret = add(play)
    assert read(play, "owner/1", secret, "key").stdout == "one\n"
    assert read(play, "reader/0", secret).stderr == "ERROR permission denied\n"
    grant(play, secret)
    assert read(play, "reader/0", secret, "key").stdout == "one\n"
    in_hook(play, "owner/0", lambda run: run.tool("secret-revoke", secret, "--app", "reader"))
    assert read(play, "reader/0", secret).exit_code == 1


def test_a_grant_ends_with_its_relation(play):
    secret = add(play)
    grant(play, secret)
    relations.remove(play.state, "owner", "reader", now=play.now)
    play.settle()
    assert read(play, "reader/0", secret).stderr == "ERROR permission denied\n"


def test_only_the_leader_manages_the_applications_secrets(play):
    secret = add(play)
    assert in_hook(play, "owner/1", lambda run: run.ask("secret-ids")) is None
    assert in_hook(play, "owner/1", lambda run: run.tool("secret-add", "key=x")).stderr == (
        "ERROR this unit is not the leader\n"
    )
    in_hook(play, "owner/1", lambda run: run.tool("secret-set", secret, "key=stolen"))
    assert play.state.secrets[secret].latest == 1


def test_a_reader_keeps_its_revision_until_it_refreshes(play):
    secret = add(play)
    grant(play, secret)
    assert read(play, "reader/0", secret, "--label", "theirs").exit_code == 0
    in_hook(play, "owner/0", lambda run: run.tool("secret-set", secret, "key=two"))
    assert play.names("reader/0")[-1] == "secret-changed"
    assert read(play, "reader/0", "--label", "theirs").stdout == "key: one\n"
    assert read(play, "reader/0", "--label", "theirs", "--peek").stdout == "key: two\n"
    assert read(play, "reader/0", secret, "key").stdout == "one\n"
    assert read(play, "reader/0", secret, "--refresh", "key").stdout == "two\n"
    assert play.names("owner/0")[-1] == "secret-remove"
    in_hook(play, "owner/0", lambda run: run.tool("secret-remove", secret, "--revision", "1"))
    assert set(play.state.secrets[secret].revisions) == {2}


def test_an_owner_that_reads_is_one_more_reader(play):
    secret = add(play, "--label", "own")
    assert read(play, "owner/0", "--label", "own").stdout == "key: one\n"
    in_hook(play, "owner/0", lambda run: run.tool("secret-set", secret, "key=two"))
    assert play.names("owner/0")[-1] == "secret-changed"
    assert read(play, "owner/0", "--label", "own").stdout == "key: one\n"
    assert read(play, "owner/0", "--label", "own", "--peek").stdout == "key: two\n"
    assert "secret-remove" not in play.names("owner/0")
    assert read(play, "owner/0", "--label", "own", "--refresh").stdout == "key: two\n"
    assert play.names("owner/0")[-1] == "secret-remove"


def test_any_unit_of_the_owner_that_has_read_is_waited_for(play):
    secret = add(play, "--label", "own")
    assert read(play, "owner/1", "--label", "own", "--peek").stdout == "key: one\n"
    in_hook(play, "owner/0", lambda run: run.tool("secret-set", secret, "key=two"))
    assert play.names("owner/1")[-1] == "secret-changed"
    assert "secret-remove" not in play.names("owner/0")
    assert read(play, "owner/1", "--label", "own", "--refresh").stdout == "key: two\n"
    assert play.names("owner/0")[-1] == "secret-remove"


def test_who_sets_and_refreshes_in_one_hook_follows_what_it_set(play):
    secret = add(play, "--label", "own")
    read(play, "owner/0", secret)

    def change(run):
        run.tool("secret-set", secret, "key=two")
        assert run.tool("secret-get", secret).stdout == "key: one\n"
        return run.tool("secret-get", secret, "--refresh")

    assert in_hook(play, "owner/0", change).stdout == "key: two\n"
    assert "secret-changed" not in play.names("owner/0")
    assert play.names("owner/0")[-1] == "secret-remove"
    assert read(play, "owner/0", secret).stdout == "key: two\n"


def test_the_same_content_is_no_new_revision(play):
    secret = add(play)
    in_hook(play, "owner/0", lambda run: run.tool("secret-set", secret, "key=one"))
    assert play.state.secrets[secret].latest == 1


def test_a_secret_is_rotated_by_its_owner(play):
    secret = add(play, "--rotate", "daily")
    play.wait(DAY - 100)
    assert "secret-rotate" not in play.names("owner/0")
    play.wait(200)
    assert play.names("owner/0").count("secret-rotate") == 1
    play.wait(300)
    assert play.names("owner/0").count("secret-rotate") == 2, "asked again, since nothing was rotated"
    in_hook(play, "owner/0", lambda run: run.tool("secret-set", secret, "key=new"))
    play.wait(DAY / 2)
    assert play.names("owner/0").count("secret-rotate") == 2


def test_an_expired_revision_is_told_until_it_is_removed(play):
    secret = add(play, "--expire", "1h")
    play.wait(3600)
    assert play.names("owner/0").count("secret-expired") == 1
    in_hook(play, "owner/0", lambda run: run.tool("secret-remove", secret))
    play.wait(3600)
    assert play.names("owner/0").count("secret-expired") == 1
    assert secret not in play.state.secrets


def test_secrets_go_with_their_owner(play):
    add(play)
    in_hook(play, "owner/1", lambda run: run.tool("secret-add", "--owner", "unit", "key=x"))
    assert len(play.state.secrets) == 2
    units.remove(play.state, ["owner/1"], now=play.now)
    play.settle()
    assert len(play.state.secrets) == 1
    applications.remove(play.state, "owner", now=play.now)
    play.settle()
    assert len(play.state.secrets) == 0


def test_the_operators_secret(play):
    uri = secrets.add_user_secret(play.state, "token", {"key": "one"}, now=play.now)
    with pytest.raises(ModelError, match='secret with name "token" already exists'):
        secrets.add_user_secret(play.state, "token", {"key": "one"}, now=play.now)
    assert read(play, "reader/0", uri).exit_code == 1
    secrets.grant_user_secret(play.state, "token", ["reader"])
    assert read(play, "reader/0", uri, "key").stdout == "one\n"
    secrets.update_user_secret(play.state, uri, content={"key": "two"}, now=play.now)
    play.settle()
    assert play.names("reader/0")[-1] == "secret-changed"
    shown = show.secret(play.state, "token", reveal=True)
    assert next(iter(shown.values()))["content"] == {"Data": {"key": "two"}}
    assert "content" not in next(iter(show.secret(play.state, "token").values()))
    secrets.remove_user_secret(play.state, "token")
    assert read(play, "reader/0", uri).stderr == "ERROR getting latest secret revision: secret not found\n"


@pytest.mark.parametrize(
    ("policy", "days"), [("never", None), ("hourly", 1 / 24), ("weekly", 7), ("monthly", 31), ("yearly", 365)]
)
def test_rotation_policies(policy, days):
    first_of_january = 1_767_225_600.0
    expected = None if days is None else first_of_january + days * DAY
    assert next_rotation(policy, first_of_january) == expected
