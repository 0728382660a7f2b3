"""The keys of all units: handed out in generations, and rotated when every unit has acknowledged the last one.

No unit ever sees something encrypted with a key that it does not have, if only a key is staged everywhere before it is used:
each unit acknowledges the generation of keys that is on its disk, and nobody rotates before all have.

All keys are in one secret of the application, with their generation. A token's key goes when no token can be left that
was encrypted with it, however often keys were rotated meanwhile; a credential's, when all credentials have been encrypted
anew with a later one (`credential_migrate`).

The leader's records, in the peer relation: `generation`; `migrated`, the generation whose key all stored credentials are
encrypted with; `needed`, until when each superseded key of tokens is; `reach`, how long the longest token that the key in
use has encrypted can be shown; `rotation`, how often Juju asks; `rotation-due`, that it has.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import ops

from keyset import KeySet, first, new_key
from openinfra_charm.machine import CommandError
from openinfra_charm.model.secrets import Own, find
from openinfra_charm.model.status import NeedsOperatorError

if TYPE_CHECKING:
    from charm import KeystoneCharm
    from state import Settings

LABEL = "keys"


class NotYetError(Exception):
    """The keys cannot be rotated now; the message says why."""


def _secret(charm: KeystoneCharm) -> Own:
    return Own(charm.model, charm.app, LABEL)


def read(charm: KeystoneCharm) -> KeySet | None:
    """Return the newest keys; None while there are none."""
    if charm.new_keys:
        return charm.new_keys
    content = find(charm.model, charm.cluster.shared.get("keys-secret"))
    return KeySet.parse(content) if content else None


def choose(charm: KeystoneCharm, settings: Settings) -> KeySet:
    """Return the first keys: new ones, or those of an earlier model that the operator gives.

    Raises:
        NeedsOperatorError: What the operator gives cannot be used.
    """
    if not settings.keys_secret:
        return first()
    option = f"config keys-secret={settings.keys_secret}"
    content = find(charm.model, settings.keys_secret)
    if content is None:
        raise NeedsOperatorError(
            f"{option}: cannot be read; juju grant-secret {settings.keys_secret} {charm.app.name}"
        )
    try:
        return KeySet.check(content)
    except ValueError as error:
        raise NeedsOperatorError(
            f"{option}: {error}; update it with what juju show-secret --reveal told of the secret {LABEL} of the earlier model"
        ) from error


def make(charm: KeystoneCharm, settings: Settings, chosen: KeySet) -> None:
    """As the leader, hand out the first keys, and make their secret."""
    charm.new_keys = chosen
    until = charm.machine.now() + settings.token_reach
    needed = {f"{number}": until for number in chosen.fernet if 0 < number < chosen.primary}
    secret = _secret(charm).put(charm.new_keys.content(), ops.SecretRotate(settings.key_rotation))
    charm.cluster.publish_shared(
        **{
            "keys-secret": secret,
            "generation": charm.new_keys.generation,
            "migrated": charm.new_keys.generation,
            "needed": needed or None,
            "rotation": settings.key_rotation,
            "reach": settings.token_reach,
        }
    )


def lacking(charm: KeystoneCharm) -> list[str]:
    """Return the units, of all that the model has, that have not acknowledged the present keys."""
    units = charm.cluster.planned | set(charm.cluster.units)
    generation = charm.cluster.shared.get("generation")
    return sorted(unit for unit in units if charm.cluster.facts(unit).get("keys") != generation)


def rotatable(charm: KeystoneCharm) -> KeySet:
    """Return the present keys, which can be rotated now.

    Raises:
        NotYetError: They cannot.
    """
    shared, present = charm.cluster.shared, read(charm)
    if present is None or "bootstrapped" not in shared:
        raise NotYetError("Keystone is not set up yet; see the leader's status")
    if units := lacking(charm):
        raise NotYetError(f"{', '.join(units)} has not acknowledged the present keys yet; see its status")
    if shared["migrated"] != shared["generation"]:
        raise NotYetError(
            "stored credentials are still encrypted with an older key: wait for the leader's next hook"
        )
    return present


def advance(charm: KeystoneCharm, settings: Settings) -> None:
    """As the leader of a Keystone that serves, do with the keys what is due and can be done."""
    shared = charm.cluster.shared
    if shared["rotation"] != settings.key_rotation:
        _secret(charm).rotate(ops.SecretRotate(settings.key_rotation))
        charm.cluster.publish_shared(rotation=settings.key_rotation)
    if shared["reach"] < settings.token_reach:
        charm.cluster.publish_shared(reach=settings.token_reach)
    if shared["migrated"] != shared["generation"] and not lacking(charm):
        _migrate(charm)
    if shared.get("rotation-due"):
        with suppress(NotYetError):
            rotate(charm, settings)


def _migrate(charm: KeystoneCharm) -> None:
    """Encrypt stored credentials with the key in use; those of a restored database may be of a key that is not here."""
    try:
        charm.keystone.migrate_credentials()
    except (CommandError, TimeoutError) as error:
        charm.missing.append(
            ops.BlockedStatus(
                "stored credentials (EC2 keys) cannot be encrypted anew: if they are of a backup whose keys are not here, restore it "
                f"in a new application with keys-secret, or delete them from the database's table credential: {error}"
            )
        )
        return
    charm.cluster.publish_shared(migrated=charm.cluster.shared["generation"])


def rotate(charm: KeystoneCharm, settings: Settings) -> KeySet:
    """As the leader, hand out the next generation of keys; return it.

    Raises:
        NotYetError: The present ones cannot be rotated now; nothing was changed.
    """
    present = rotatable(charm)
    now, shared = charm.machine.now(), charm.cluster.shared
    needed: dict[str, float] = {**shared.get("needed", {}), f"{present.primary}": now + shared["reach"]}
    over = [int(number) for number, until in needed.items() if until <= now]
    following = present.rotated(new_key, without=over)
    _secret(charm).put(following.content())
    charm.new_keys = following
    charm.keystone.write_keys(following)
    charm.cluster.publish(keys=following.generation)
    charm.cluster.publish_shared(
        **{
            "generation": following.generation,
            "needed": {number: until for number, until in needed.items() if int(number) not in over},
            "reach": settings.token_reach,
            "rotation-due": None,
        }
    )
    return following
