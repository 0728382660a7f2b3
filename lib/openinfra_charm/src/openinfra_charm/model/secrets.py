"""Credentials as Juju secrets: their ids travel in relation data, their content nowhere else.

To Juju an owner is one more reader of its secret. The first time that a unit of the owner reads it, a peek too, it becomes a
reader of that revision and stays there until it refreshes, whatever it sets meanwhile; as long as it does, no revision is ever
obsolete. So an owner here reads with refresh alone, follows what it has set in the hook that sets it, and each of its units,
a leader of before too, follows on `secret-changed`, which comes to owners as to all others (`Own`, `Owner`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def find(model: ops.Model, secret_id: str | None, *, refresh: bool = True) -> dict[str, str] | None:
    """Return the newest content of a secret; None while there is none or it is not granted to this unit yet.

    Without `refresh` it is only peeked at: the owner may end what was before as soon as all units have refreshed.
    """
    if not secret_id:
        return None
    try:
        return read(model, secret_id, refresh=refresh)
    except ops.SecretNotFoundError:
        return None


def read(model: ops.Model, secret_id: str, *, refresh: bool = True) -> dict[str, str]:
    """Return the newest content of a secret, as `find` does.

    Raises:
        ops.SecretNotFoundError: It is not granted to this unit, not yet or no more: what a relation has granted goes with it,
            and Juju refuses it then in other words.
    """
    # Model.get_secret would read it once more; each time is a process.
    secret = ops.Secret(model._backend, id=secret_id)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    try:
        return secret.get_content(refresh=True) if refresh else secret.peek_content()
    except ops.ModelError as error:
        raise ops.SecretNotFoundError(str(error)) from error


class Own:
    """A secret of this application, by its label. Only the leader makes, changes and removes it.

    Args:
        model: The model.
        application: This application.
        label: What the application calls the secret.
        relation: The relation that it is granted to when it is made.
        unit: The only unit of the other side that is to read it, where it is one.
    """

    def __init__(
        self,
        model: ops.Model,
        application: ops.Application,
        label: str,
        relation: ops.Relation | None = None,
        unit: ops.Unit | None = None,
    ) -> None:
        self._model = model
        self._application = application
        self._label = label
        self._relation = relation
        self._unit = unit

    def read(self) -> dict[str, str]:
        """Return the newest content; empty where there is no such secret."""
        secret = self._find()
        return secret.get_content(refresh=True) if secret else {}

    def put(self, content: Mapping[str, str], rotate: ops.SecretRotate | None = None) -> str:
        """Have the secret hold this and nothing else; return its id.

        Args:
            content: What it holds.
            rotate: How often Juju asks for another content; set when the secret is made.
        """
        secret = self._find()
        if secret is None:
            secret = self._application.add_secret(dict(content), label=self._label, rotate=rotate)
            if self._relation is not None:
                secret.grant(self._relation, unit=self._unit)
            return secret.id or ""
        if secret.get_content(refresh=True) != content:
            secret.set_content(dict(content))
            secret.get_content(refresh=True)
        return secret.get_info().id

    def grant(self, relation: ops.Relation) -> str:
        """Let one more relation read the secret, which is there; return its id. For what several relations share."""
        secret = self._model.get_secret(label=self._label)
        secret.grant(relation)
        return secret.get_info().id

    def rotate(self, policy: ops.SecretRotate) -> None:
        """Set how often Juju asks for another content."""
        if secret := self._find():
            secret.set_info(rotate=policy)

    def remove(self) -> None:
        """Take the secret away with all of its revisions, if it is there."""
        if secret := self._find():
            secret.remove_all_revisions()

    def _find(self) -> ops.Secret | None:
        try:
            return self._model.get_secret(label=self._label)
        except ops.SecretNotFoundError:
            return None


class Owner(ops.Object):
    """Has each unit follow the secrets of its application, and the leader remove revisions that nobody reads any more.

    Args:
        charm: The charm, whose secrets all have labels; those of others that it reads have none.
        obsolete: What the leader does when a revision is obsolete, before it is removed; it is told the secret's label.
    """

    def __init__(self, charm: ops.CharmBase, obsolete: Callable[[str], None] | None = None) -> None:
        super().__init__(charm, "secrets")
        self._obsolete = obsolete
        self.framework.observe(charm.on.secret_changed, self._on_secret_changed)
        self.framework.observe(charm.on.secret_remove, self._on_secret_remove)

    def _on_secret_changed(self, event: ops.SecretChangedEvent) -> None:
        if event.secret.label:
            event.secret.get_content(refresh=True)

    def _on_secret_remove(self, event: ops.SecretRemoveEvent) -> None:
        label = event.secret.label
        if not label or not self.model.unit.is_leader():
            return
        if self._obsolete:
            self._obsolete(label)
        event.remove_revision()
