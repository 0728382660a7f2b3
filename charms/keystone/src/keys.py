"""The keys of all units: published in generations, and rotated when every unit has acknowledged the last one.

No unit ever sees something encrypted with a key that it does not have, if only a key is staged everywhere before it is used:
each unit acknowledges the generation of keys that is on its disk, and nobody rotates before all have.

All keys are in one secret of the application, with their generation. A token's key goes when no token can be left that
was encrypted with it, however often keys were rotated meanwhile; a credential's, when all credentials have been encrypted
again with a later one (`credential_migrate`).

The leader's records, in the peer relation: `generation`; `migrated`, the generation whose key all stored credentials are
encrypted with; `needed`, until when each superseded key of tokens is; `reach`, how long the longest token that the key in
use has encrypted can be shown; `rotation`, how often Juju asks; `rotation-due`, that it has.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ops

from keyset import KeySet, first, new_key
from openinfra_charm.machine import CommandError
from openinfra_charm.model.secrets import Own, find
from openinfra_charm.model.status import NeedsOperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keystone import Keystone
    from openinfra_charm.machine import Machine
    from openinfra_charm.model.cluster import Cluster
    from state import Settings

LABEL = "keys"


class TooEarlyError(Exception):
    """The keys cannot be rotated now; the message says why."""


@dataclass(kw_only=True)
class Keys:
    """The keys of all units, seen from one."""

    model: ops.Model
    cluster: Cluster
    """Where units acknowledge keys, and the leader keeps its records."""
    machine: Machine
    keystone: Keystone
    settings: Callable[[], Settings]
    problems: list[str] = field(default_factory=list[str], init=False)
    """What an operator has to put right, as this hook has found it."""
    _present: KeySet | None = field(default=None, init=False)
    """What this hook has read or made: reading the secret does not give what a hook has made yet."""

    @property
    def _secret(self) -> Own:
        return Own(self.model, self.model.app, LABEL)

    # On every unit

    @property
    def are_made(self) -> bool:
        """Whether there are keys."""
        return "keys-secret" in self.cluster.shared

    def read(self) -> KeySet | None:
        """Return the newest keys; None while there are none."""
        if self._present is None:
            content = find(self.model, self.cluster.shared.get("keys-secret"))
            self._present = KeySet.parse(content) if content else None
        return self._present

    def write(self) -> None:
        """Have the newest keys on the disk, and acknowledge them."""
        if present := self.read():
            self.keystone.write_keys(present)
            self.cluster.publish(keys=present.generation)

    def notes(self) -> Iterator[str]:
        """Yield what an operator may want to know."""
        if self.cluster.shared.get("rotation-due"):
            try:
                self.rotatable()
            except TooEarlyError as error:
                yield f"keys are due to be rotated: {error}"

    # The first ones

    def choose(self) -> KeySet:
        """Return the first keys: new ones, or those of an earlier model that the operator gives.

        Raises:
            NeedsOperatorError: What the operator gives cannot be used.
        """
        given = self.settings().keys_secret
        if not given:
            return first()
        option = f"config keys-secret={given}"
        content = find(self.model, given)
        if content is None:
            raise NeedsOperatorError(
                f"{option}: cannot be read; juju grant-secret {given} {self.model.app.name}"
            )
        try:
            return KeySet.check(content)
        except ValueError as error:
            raise NeedsOperatorError(
                f"{option}: {error}; update it with what juju show-secret --reveal shows of the secret {LABEL} of the earlier model"
            ) from error

    def make(self, chosen: KeySet) -> None:
        """As the leader, publish the first keys in a secret."""
        settings = self.settings()
        until = self.machine.now() + settings.token_reach
        needed = {f"{number}": until for number in chosen.fernet if 0 < number < chosen.primary}
        secret = self._secret.put(chosen.content(), ops.SecretRotate(settings.key_rotation))
        self.cluster.publish_shared(
            **{
                "keys-secret": secret,
                "generation": chosen.generation,
                "migrated": chosen.generation,
                "needed": needed or None,
                "rotation": settings.key_rotation,
                "reach": settings.token_reach,
            }
        )

    # Rotations

    def lacking(self) -> list[str]:
        """Return the units, of all that the model has, that have not acknowledged the present keys."""
        units = self.cluster.planned | set(self.cluster.units)
        generation = self.cluster.shared.get("generation")
        return sorted(unit for unit in units if self.cluster.facts(unit).get("keys") != generation)

    def rotatable(self) -> KeySet:
        """Return the present keys, which can be rotated now.

        Raises:
            TooEarlyError: They cannot.
        """
        shared, present = self.cluster.shared, self.read()
        if present is None or "bootstrapped" not in shared:
            raise TooEarlyError("Keystone is not set up yet; see the leader's status")
        if units := self.lacking():
            raise TooEarlyError(
                f"{', '.join(units)} has not acknowledged the present keys yet; see its status"
            )
        if shared["migrated"] != shared["generation"]:
            raise TooEarlyError(
                "stored credentials are still encrypted with an older key: wait for the leader's next hook"
            )
        return present

    def ask_for_rotation(self) -> None:
        """As the leader, record that the keys are to be rotated as soon as they can be."""
        self.cluster.publish_shared(**{"rotation-due": True})

    def expect_older(self) -> None:
        """As the leader, record that stored credentials may be encrypted with any key: the database is another one."""
        self.cluster.publish_shared(migrated=0)

    def advance(self) -> None:
        """As the leader of a Keystone that serves, do with the keys what is due and can be done."""
        shared, settings = self.cluster.shared, self.settings()
        if shared["rotation"] != settings.key_rotation:
            self._secret.rotate(ops.SecretRotate(settings.key_rotation))
            self.cluster.publish_shared(rotation=settings.key_rotation)
        if shared["reach"] < settings.token_reach:
            self.cluster.publish_shared(reach=settings.token_reach)
        if shared["migrated"] != shared["generation"] and not self.lacking():
            self._migrate()
        if shared.get("rotation-due"):
            with suppress(TooEarlyError):
                self.rotate()

    def _migrate(self) -> None:
        """Encrypt stored credentials with the key in use; those of a restored database may be of a key that is not here."""
        try:
            self.keystone.migrate_credentials()
        except (CommandError, TimeoutError) as error:
            self.problems.append(
                "stored credentials (EC2 keys) cannot be encrypted with the key in use: if they are of a backup whose keys are not here, restore it "
                f"in a new application with keys-secret, or delete them from the database's table credential: {error}"
            )
            return
        self.cluster.publish_shared(migrated=self.cluster.shared["generation"])

    def rotate(self) -> KeySet:
        """As the leader, publish the next generation of keys; return it.

        Raises:
            TooEarlyError: The present ones cannot be rotated now; nothing was changed.
        """
        present = self.rotatable()
        now, shared = self.machine.now(), self.cluster.shared
        needed: dict[str, float] = {**shared.get("needed", {}), f"{present.primary}": now + shared["reach"]}
        over = [int(number) for number, until in needed.items() if until <= now]
        self._present = present.rotated(new_key, without=over)
        self._secret.put(self._present.content())
        self.write()
        self.cluster.publish_shared(
            **{
                "generation": self._present.generation,
                "needed": {number: until for number, until in needed.items() if int(number) not in over},
                "reach": self.settings().token_reach,
                "rotation-due": None,
            }
        )
        return self._present
