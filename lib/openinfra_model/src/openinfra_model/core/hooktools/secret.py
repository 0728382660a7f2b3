"""Tools about secrets. What they change waits for the end of the hook, but the hook itself sees it at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from openinfra_model.core import secrets
from openinfra_model.core.context import SecretChange
from openinfra_model.core.entities import Consumer, Grant
from openinfra_model.core.errors import ToolError, UsageError
from openinfra_model.core.hooktools.relation import relation_of
from openinfra_model.core.hooktools.tool import Call, Tool, require_words

if TYPE_CHECKING:
    from openinfra_model.core.entities import Secret

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")
_DURATION_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def _identity(text: str) -> str:
    """Return the id that a URI names.

    Raises:
        UsageError: if it is no URI.
    """
    identity = secrets.parse_uri(text)
    if identity is None:
        raise UsageError(f'secret URI "{text}" not valid')
    return identity


def _owned(call: Call) -> dict[str, Secret]:
    """Return the stored secrets that the unit manages and this hook has not removed."""
    return {
        secret.id: secret
        for secret in call.state.secrets
        if secrets.manages(call.state, call.unit.name, secret)
        and None not in call.running.secrets.get(secret.id, SecretChange()).removed
    }


def _created(call: Call) -> dict[str, SecretChange]:
    """Return the secrets that this hook added."""
    return {identity: change for identity, change in call.running.secrets.items() if change.owner}


def _change(call: Call, identity: str) -> SecretChange:
    return call.running.secrets.setdefault(identity, SecretChange())


def _content(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        # base64 may end in "=" but a key never holds one, so the first "=" parts them.
        if not equals or not key:
            raise UsageError(f'key value "{word}" not valid')
        try:
            name, encoded = secrets.encode(key, value)
        except ValueError as error:
            raise UsageError(str(error)) from error
        found[name] = encoded
    return found


def _apply_options(call: Call, change: SecretChange) -> None:
    """Write what the options of secret-add and secret-set say."""
    values = call.arguments.values
    rotation = values.get("rotate")
    if rotation is not None and rotation not in secrets.ROTATIONS:
        raise UsageError(f'rotate policy "{rotation}" not valid')
    if "expire" in values:
        change.expires = _expiry(values["expire"], call.now)
    change.rotation = rotation if rotation is not None else change.rotation
    change.label = values.get("label", change.label)
    change.description = values.get("description", change.description)


def _expiry(text: str, now: float) -> float:
    """Return when a duration such as 24h is over, or the moment that an RFC 3339 time names."""
    parts = _DURATION_PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now + sum(float(number) * _DURATION_SECONDS[unit] for number, unit in parts)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f'expire time or duration "{text}" not valid') from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _secret_add(call: Call) -> str:
    require_words(call, 1, None, "secret value")
    owner = call.arguments.values.get("owner", "application")
    if owner not in ("application", "unit"):
        raise UsageError(f'secret owner "{owner}" not valid')
    change = SecretChange(content=_content(call.arguments.words))
    _apply_options(call, change)
    if owner == "application" and not call.is_leader:
        raise ToolError("this unit is not the leader")
    if change.label and _find_label(call, change.label):
        raise ToolError(f'secret with label "{change.label}" already exists')
    change.owner = call.unit.name if owner == "unit" else call.unit.application
    identity = call.state.ids.secret()
    call.running.secrets[identity] = change
    return f"secret://{call.state.model.uuid}/{identity}"


def _secret_set(call: Call) -> None:
    """Record changes; whether the unit may make them is found out when the hook is committed, as in Juju."""
    require_words(call, 1, None, "secret URI")
    identity = _identity(call.arguments.word(0))
    content = _content(call.arguments.words[1:])
    change = _change(call, identity)
    _apply_options(call, change)
    if content:
        change.content = content


def _secret_remove(call: Call) -> None:
    require_words(call, 1, 1, "secret URI")
    identity = _identity(call.arguments.word(0))
    revision = call.arguments.values.get("revision")
    if revision is not None and not revision.isdigit():
        raise UsageError(f'invalid value "{revision}" for option --revision: not a number')
    if identity in _created(call):
        del call.running.secrets[identity]
    else:
        _change(call, identity).removed.append(int(revision) if revision is not None else None)


def _find_label(call: Call, label: str) -> str | None:
    """Return the id of a secret that the unit manages, by its label."""
    for identity, change in call.running.secrets.items():
        if change.label == label:
            return identity
    return next((secret.id for secret in _owned(call).values() if secret.label == label), None)


def _find_consumed(call: Call, label: str) -> str | None:
    """Return the id of a secret that the unit reads: by its application's label, or by the label it gave it."""
    name = call.unit.name
    return next(
        (
            secret.id
            for secret in call.state.secrets
            if (secret.owner == call.unit.application and secret.label == label)
            or (name in secret.consumers and secret.consumers[name].label == label)
        ),
        None,
    )


def _secret_get(call: Call) -> Any:
    require_words(call, 0, 2, "secret URI")
    label = call.arguments.values.get("label", "")
    uri = call.arguments.word(0)
    if uri:
        identity = _identity(uri)
    elif label:
        found = _find_label(call, label) or _find_consumed(call, label)
        if found is None:
            raise ToolError(f'secret URI for consumer label "{label}" not found')
        identity = found
    else:
        raise UsageError("require either a secret URI or label")
    content = secrets.decoded(_readable(call, identity, label if uri else ""))
    if not (key := call.arguments.word(1)):
        return content
    if key not in content:
        raise ToolError(f'key "{key}" not found in secret "{identity}"')
    return content[key]


def _readable(call: Call, identity: str, label: str) -> dict[str, str]:
    """Return the content that a unit sees. An owner is one more reader, who stays at the revision that it has read first.

    What this hook has written is only seen by who peeks or refreshes (recorded in the trace `owner`; Juju's
    internal/worker/uniter/runner/context, getPendingSecretValue).
    """
    change = call.running.secrets.get(identity)
    if change and change.owner:
        return change.content or {}
    secret = call.state.secrets.get(identity)
    if secret is None:
        raise ToolError("getting latest secret revision: secret not found")
    if not secrets.can_read(call.state, call.unit.name, secret):
        raise ToolError("permission denied")
    switches = call.arguments.switches
    if change and change.content is not None and switches & {"refresh", "peek"} and identity in _owned(call):
        change.follows = change.follows or "refresh" in switches
        return change.content
    return dict(secret.revisions[_followed(call, secret, label)].content)


def _followed(call: Call, secret: Secret, label: str) -> int:
    """Return the revision to show, and follow it unless the charm only peeks at what it follows already."""
    switches = call.arguments.switches
    known = secret.consumers.get(call.unit.name)
    shown = secret.latest if known is None or switches & {"refresh", "peek"} else known.revision
    if shown not in secret.revisions:
        shown = secret.latest
    tracked = known.revision if known and "peek" in switches else shown
    # All units of an owner know a secret by the owner's label.
    own = secret.label if secret.owner in (call.unit.name, call.unit.application) else ""
    consumer = Consumer(revision=tracked, label=own or label or (known.label if known else ""))
    secrets.follow(call.state, call.unit.name, secret, consumer)
    return shown


def _secret_ids(call: Call) -> list[str] | None:
    require_words(call, 0, 0, "argument")
    return sorted([*_owned(call), *_created(call)]) or None


def _secret_info_get(call: Call) -> dict[str, Any]:
    require_words(call, 0, 1, "secret URI")
    label, uri = call.arguments.values.get("label", ""), call.arguments.word(0)
    if not uri and not label:
        raise UsageError("require either a secret URI or label")
    identity = _identity(uri) if uri else _find_label(call, label)
    change = call.running.secrets.get(identity or "", SecretChange())
    secret = _owned(call).get(identity or "")
    if identity is None or not (secret or change.owner):
        raise ToolError(f'secret "{uri or label}" not found')
    owner = change.owner or (secret.owner if secret else "")
    expires = change.expires or (secret.revisions[secret.latest].expires if secret else None)
    rotate_at = secret.rotate_at if secret else None
    found: dict[str, Any] = {
        "revision": _next_revision(secret, change),
        "label": secret.label if secret and change.label is None else change.label,
        "description": secret.description if secret and change.description is None else change.description,
        "owner": "unit" if "/" in owner else "application",
        "rotation": (secret.rotation if secret and change.rotation is None else change.rotation) or "never",
        "expiry": secrets.timestamp(expires),
        "rotates": secrets.timestamp(rotate_at),
    }
    if secret and secret.grants:
        found["access"] = [_access(call, grant) for grant in secret.grants]
    return {identity: {key: value for key, value in found.items() if value}}


def _next_revision(secret: Secret | None, change: SecretChange) -> int:
    return secret.latest + (change.content is not None) if secret else 1


def _access(call: Call, grant: Grant) -> dict[str, str]:
    kind = "unit" if "/" in grant.grantee else "application"
    relation = call.state.relations.get(str(grant.relation))
    scope = f"relation-{str(relation).replace(':', '.').replace(' ', '#')}" if relation else ""
    return {"target": f"{kind}-{grant.grantee.replace('/', '-')}", "scope": scope, "role": "view"}


def _managed(call: Call) -> str:
    """Return the id of the secret that the command line names.

    Raises:
        ToolError: if the unit does not manage it.
    """
    require_words(call, 1, 1, "secret URI")
    identity = _identity(call.arguments.word(0))
    if identity not in _owned(call) and identity not in _created(call):
        raise ToolError(f'secret "{identity}" not found')
    return identity


def _secret_grant(call: Call) -> None:
    identity = _managed(call)
    relation = relation_of(call)
    grantee = call.arguments.values.get("unit") or relation.remote(call.unit.application).application
    _change(call, identity).grants.append(Grant(grantee=grantee, relation=relation.id))


def _secret_revoke(call: Call) -> None:
    identity = _managed(call)
    values = call.arguments.values
    grantee = values.get("unit") or values.get("app")
    if not grantee:
        grantee = relation_of(call).remote(call.unit.application).application
    _change(call, identity).revoked.append(grantee)


_OPTIONS = ("label", "description", "expire", "rotate", "owner", "file")
_ALIASES = {"r": "relation", "application": "app"}

TOOLS = {
    "secret-add": Tool(run=_secret_add, values=_OPTIONS),
    "secret-set": Tool(run=_secret_set, values=_OPTIONS),
    "secret-remove": Tool(run=_secret_remove, values=("revision",)),
    "secret-get": Tool(run=_secret_get, values=("label",), switches=("refresh", "peek"), format="yaml"),
    "secret-ids": Tool(run=_secret_ids, format="smart"),
    "secret-info-get": Tool(run=_secret_info_get, values=("label",), format="yaml"),
    "secret-grant": Tool(run=_secret_grant, values=("relation", "unit"), aliases=_ALIASES),
    "secret-revoke": Tool(run=_secret_revoke, values=("relation", "unit", "app"), aliases=_ALIASES),
}
