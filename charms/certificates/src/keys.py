"""The keys of CAs: secrets of the application, which all of its units can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.interfaces.tls_certificates import fingerprint
from openinfra_charm.model import secrets
from state import Authority

if TYPE_CHECKING:
    import ops


class NoKeyError(Exception):
    """The key of the CA cannot be read now."""


class Keys:
    """The keys of this application's CAs, one secret each. Only the leader makes and removes them."""

    def __init__(self, model: ops.Model) -> None:
        self._model = model
        self._new: dict[str, dict[str, str]] = {}
        """The content of secrets that this hook has made, by their ids: Juju does not have them yet."""

    def keep(self, authority: Authority, key: str) -> Authority:
        """Make a secret of a CA's key (PEM); return the CA with the secret's id."""
        content = {"private-key": key}
        label = f"ca-{fingerprint(authority.certificate)[:16]}"
        secret = self._model.app.add_secret(content, label=label, description="The key of a CA")
        made = secret.id or ""
        self._new[made] = content
        return Authority.parse(authority.plain() | {"secret": made})

    def read(self, authority: Authority) -> str:
        """Return a CA's key (PEM).

        Raises:
            NoKeyError: Juju does not give it out.
        """
        content = self._new.get(authority.secret) or secrets.find(self._model, authority.secret)
        if content is None:
            raise NoKeyError(f"for Juju to let this unit read the CA's key ({authority.secret})")
        return content["private-key"]

    def remove(self, authority: Authority) -> None:
        """Remove the key of a CA that signs no more; one that this hook has made stays."""
        if authority.secret not in self._new:
            self._model.get_secret(id=authority.secret).remove_all_revisions()
