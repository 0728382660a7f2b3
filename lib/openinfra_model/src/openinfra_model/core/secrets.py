"""Secrets: of charms and of the operator, their revisions, readers and timers.

Content is kept as Juju keeps it: each value in base64.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from openinfra_model.core import find
from openinfra_model.core.entities import Consumer, Grant, Hook, Secret, SecretRevision
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from openinfra_model.core.entities import Agent
    from openinfra_model.core.state import State

_KEY = re.compile(r"[a-z](?:-?[a-z0-9]){2,}")
_URI = re.compile(r"(?:secret:)?(?://(?P<model>[0-9a-f-]{36})/)?(?P<id>[0-9a-v]{20})")
_ROTATION_DAYS = {"daily": 1, "weekly": 7}
_ROTATION_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}
ROTATIONS = ("never", "hourly", *_ROTATION_DAYS, *_ROTATION_MONTHS)
# A charm that neither rotates nor removes is asked again (Juju: core/secrets, RotateRetryDelay, ExpireRetryDelay).
RETRY_SECONDS = 300.0


def parse_uri(text: str) -> str | None:
    """Return the id that a URI (`secret:ID`, `secret://MODEL/ID`, `ID`) names, None if it is no URI."""
    match = _URI.fullmatch(text)
    return match["id"] if match else None


def timestamp(moment: float | None) -> str:
    """Return a time as Juju shows it of secrets, empty for None."""
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encode(key: str, value: str) -> tuple[str, str]:
    """Return a key and value as stored; a key that ends in #base64 says that the value is encoded already.

    Raises:
        ValueError: if the key or the encoding is not valid; worded as Juju words it.
    """
    name, _, form = key.partition("#")
    if not _KEY.fullmatch(name):
        raise ValueError(f'key "{name}" not valid')
    if form != "base64":
        return name, base64.b64encode(value.encode()).decode()
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f'base64 value of key "{name}" not valid') from error
    return name, value


def decoded(content: Mapping[str, str]) -> dict[str, str]:
    """Return content as text, by key."""
    return {
        key: base64.b64decode(value).decode(errors="surrogateescape")
        for key, value in sorted(content.items())
    }


def next_rotation(policy: str, now: float) -> float | None:
    """Return when a secret is to be rotated next under a policy."""
    if policy == "never":
        return None
    if policy == "hourly":
        return now + 3600
    moment = datetime.fromtimestamp(now, UTC)
    if policy in _ROTATION_DAYS:
        return (moment + timedelta(days=_ROTATION_DAYS[policy])).timestamp()
    years, month = divmod(moment.month - 1 + _ROTATION_MONTHS[policy], 12)
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day).timestamp()


def manages(state: State, unit: str, secret: Secret) -> bool:
    """Say whether a unit may change a secret: its own, or its application's if it leads."""
    application = state.units[unit].application
    return secret.owner == unit or (
        secret.owner == application and state.applications[application].leader == unit
    )


def can_read(state: State, unit: str, secret: Secret) -> bool:
    """Say whether a unit may read a secret: an owner's, or one that it or its application was granted."""
    names = {unit, state.units[unit].application}
    return secret.owner in names or any(grant.grantee in names for grant in secret.grants)


def revise(secret: Secret, content: Mapping[str, str], expires: float | None, now: float) -> Secret:
    """Return a secret with another revision; content that is the latest already makes none."""
    if dict(secret.revisions[secret.latest].content) == dict(content):
        return secret
    latest = secret.latest + 1
    revision = SecretRevision(content=dict(content), created=now, expires=expires)
    revisions = {**secret.revisions, latest: revision}
    rotate_at = next_rotation(secret.rotation, now)
    return prune(replace(secret, latest=latest, revisions=revisions, updated=now, rotate_at=rotate_at))


def prune(secret: Secret) -> Secret:
    """Mark the revisions that nobody follows any longer; the operator's may prune themselves."""
    followed = {consumer.revision for consumer in secret.consumers.values()} | {secret.latest}
    if secret.auto_prune:
        kept = {number: revision for number, revision in secret.revisions.items() if number in followed}
        return replace(secret, revisions=kept)
    marked = {
        number: replace(revision, obsolete=number not in followed)
        for number, revision in secret.revisions.items()
    }
    return replace(secret, revisions=marked)


def follow(state: State, unit: str, secret: Secret, consumer: Consumer) -> None:
    """Record at which revision, and under which label, a unit follows a secret."""
    if secret.consumers.get(unit) == consumer:
        return
    state.secrets.put(prune(replace(secret, consumers={**secret.consumers, unit: consumer})))
    agent = state.agents[unit]
    seen = max(consumer.revision, agent.secrets_seen.get(secret.id, 0))
    state.agents.put(replace(agent, secrets_seen={**agent.secrets_seen, secret.id: seen}))


def remove_revision(state: State, secret: Secret, revision: int | None) -> None:
    """Remove a revision, or the secret with all of them."""
    rest = {} if revision is None else {n: kept for n, kept in secret.revisions.items() if n != revision}
    if rest:
        state.secrets.put(replace(secret, revisions=rest, latest=max(rest)))
    else:
        state.secrets.remove(secret.id)


def next_hook(state: State, agent: Agent, now: float) -> Hook | None:
    """Return the next hook about a secret (the order is that of internal/worker/uniter/secrets/resolver.go)."""
    managed = [secret for secret in state.secrets if manages(state, agent.unit, secret)]
    hooks = itertools.chain(
        (hook for secret in managed for hook in _expired(secret, now)),
        (_hook("secret-rotate", secret) for secret in managed if _is_over(secret.rotate_at, now)),
        (hook for secret in state.secrets for hook in _changed(secret, agent)),
        (hook for secret in managed for hook in _obsolete(secret, agent)),
    )
    return next(hooks, None)


def timers(state: State) -> Iterator[float]:
    """Yield the moments at which secrets are to be rotated or expire."""
    for secret in state.secrets:
        if secret.rotate_at is not None:
            yield secret.rotate_at
        yield from (
            revision.expires for revision in secret.revisions.values() if revision.expires is not None
        )


def _is_over(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now


def _hook(kind: str, secret: Secret, revision: int = 0) -> Hook:
    return Hook(kind=kind, secret=f"secret:{secret.id}", secret_revision=revision, secret_label=secret.label)


def _expired(secret: Secret, now: float) -> Iterator[Hook]:
    for number, revision in sorted(secret.revisions.items()):
        if _is_over(revision.expires, now):
            yield _hook("secret-expired", secret, number)


def _changed(secret: Secret, agent: Agent) -> Iterator[Hook]:
    consumer = secret.consumers.get(agent.unit)
    if consumer and agent.secrets_seen.get(secret.id, 0) < secret.latest:
        hook = _hook("secret-changed", secret)
        yield replace(hook, secret_label=consumer.label, version=secret.latest)


def _obsolete(secret: Secret, agent: Agent) -> Iterator[Hook]:
    for number, revision in sorted(secret.revisions.items()):
        if revision.obsolete and f"{secret.id}/{number}" not in agent.secrets_seen:
            # Only this hook has the bare id in its environment, as recorded.
            yield replace(_hook("secret-remove", secret, number), secret=secret.id)


def hook_done(state: State, name: str, hook: Hook, now: float) -> None:
    """Record that a unit was told about a secret."""
    agent = state.agents[name]
    secret_id = parse_uri(hook.secret) or hook.secret
    secret = state.secrets.get(secret_id)
    match hook.kind:
        case "secret-changed":
            seen = {**agent.secrets_seen, secret_id: max(hook.version, agent.secrets_seen.get(secret_id, 0))}
            state.agents.put(replace(agent, secrets_seen=seen))
        case "secret-remove":
            seen = {**agent.secrets_seen, f"{secret_id}/{hook.secret_revision}": hook.secret_revision}
            state.agents.put(replace(agent, secrets_seen=seen))
        case "secret-rotate":
            if secret and secret.rotate_at is not None and secret.rotate_at <= now:
                state.secrets.put(replace(secret, rotate_at=now + RETRY_SECONDS))
        case _:
            revision = secret.revisions.get(hook.secret_revision) if secret else None
            if secret and revision:
                asked = {hook.secret_revision: replace(revision, expires=now + RETRY_SECONDS)}
                state.secrets.put(replace(secret, revisions={**secret.revisions, **asked}))


def unit_gone(state: State, name: str) -> None:
    """Drop the secrets of a unit that is gone, and what it followed."""
    for secret in state.secrets:
        if secret.owner == name:
            state.secrets.remove(secret.id)
        elif name in secret.consumers:
            rest = {unit: consumer for unit, consumer in secret.consumers.items() if unit != name}
            state.secrets.put(prune(replace(secret, consumers=rest)))


def application_gone(state: State, name: str) -> None:
    """Drop the secrets of an application that is gone, and its rights to others."""
    for secret in state.secrets:
        if secret.owner == name:
            state.secrets.remove(secret.id)
        else:
            grants = tuple(grant for grant in secret.grants if grant.grantee != name)
            state.secrets.put(replace(secret, grants=grants))


def find_user_secret(state: State, text: str) -> Secret:
    """Return a secret of the operator's by URI, id or name.

    Raises:
        ModelError: if there is none.
    """
    wanted = parse_uri(text)
    for secret in state.secrets:
        if not secret.owner and (secret.id == wanted or secret.name == text):
            return secret
    raise ModelError(f'secret "{text}" not found')


def add_user_secret(
    state: State, name: str, content: Mapping[str, str], *, now: float, description: str = ""
) -> str:
    """Add a secret of the operator's and return its URI. Values are plain text, or base64 where the key is `KEY#base64`.

    Raises:
        ModelError: if the name is taken or the content is not valid.
    """
    if any(secret.name == name for secret in state.secrets if not secret.owner):
        raise ModelError(f'secret with name "{name}" already exists')
    revision = SecretRevision(content=_encoded(content), created=now)
    secret = Secret(
        id=state.ids.secret(),
        owner="",
        name=name,
        description=description,
        created=now,
        updated=now,
        latest=1,
        revisions={1: revision},
    )
    state.secrets.put(secret)
    return f"secret:{secret.id}"


def _encoded(content: Mapping[str, str]) -> dict[str, str]:
    if not content:
        raise ModelError("missing secret value or filename")
    try:
        return dict(encode(key, value) for key, value in content.items())
    except ValueError as error:
        raise ModelError(str(error)) from error


def update_user_secret(
    state: State,
    secret: str,
    *,
    now: float,
    content: Mapping[str, str] | None = None,
    name: str = "",
    description: str = "",
    auto_prune: bool | None = None,
) -> None:
    """Give a secret (URI, id or name) a new revision, or another name or description.

    Raises:
        ModelError: if there is none or the content is not valid.
    """
    found = find_user_secret(state, secret)
    encoded = _encoded(content) if content else {}
    found = replace(
        found,
        name=name or found.name,
        description=description or found.description,
        auto_prune=found.auto_prune if auto_prune is None else auto_prune,
    )
    state.secrets.put(revise(found, encoded, None, now) if encoded else prune(found))


def grant_user_secret(state: State, secret: str, application_names: Sequence[str]) -> None:
    """Let applications read a secret of the operator's.

    Raises:
        ModelError: if the secret or an application is not there.
    """
    found = find_user_secret(state, secret)
    for name in application_names:
        find.application(state, name)
    kept = tuple(grant for grant in found.grants if grant.grantee not in application_names)
    added = tuple(Grant(grantee=name, relation=None) for name in application_names)
    state.secrets.put(replace(found, grants=(*kept, *added)))


def revoke_user_secret(state: State, secret: str, application_names: Sequence[str]) -> None:
    """Revoke the right of applications to read a secret of the operator's.

    Raises:
        ModelError: if the secret is not there.
    """
    found = find_user_secret(state, secret)
    kept = tuple(grant for grant in found.grants if grant.grantee not in application_names)
    state.secrets.put(replace(found, grants=kept))


def remove_user_secret(state: State, secret: str, *, revision: int | None = None) -> None:
    """Remove a secret of the operator's, or one of its revisions.

    Raises:
        ModelError: if it is not there.
    """
    found = find_user_secret(state, secret)
    if revision is not None and revision not in found.revisions:
        raise ModelError(f'secret "{secret}" has no revision {revision}')
    remove_revision(state, found, revision)
