"""What makes this cluster this cluster: its id, in the peers' shared facts, and the keys that all units have, in a secret."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from openinfra_charm.model import secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ops

    from openinfra_charm.model.cluster import Cluster

_LABEL = "cluster-keys"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The cluster's id and the keys that let a monitor or an administrator in."""

    fsid: str
    monitor_key: str
    admin_key: str


class Identities:
    """Where the identity is kept: every unit reads it, the leader changes it."""

    def __init__(self, model: ops.Model, cluster: Cluster) -> None:
        self._model = model
        self._cluster = cluster
        self._secret = secrets.Own(model, model.app, _LABEL)

    @cached_property
    def current(self) -> Identity | None:
        """The identity, once the leader has named the cluster and Juju lets this unit read its keys."""
        shared = self._cluster.shared
        keys = secrets.find(self._model, shared.get("keys"))
        if keys is None:
            return None
        return Identity(fsid=shared["fsid"], monitor_key=keys["monitor-key"], admin_key=keys["admin-key"])

    def keep(self, keys: Mapping[str, str]) -> str:
        """As the leader, keep a new cluster's keys; return the secret's id."""
        return self._secret.put(keys)

    def replace_key(self, name: str, key: str) -> None:
        """As the leader, put another key (`monitor-key` or `admin-key`) in one's place; each unit uses it from its next hook on."""
        self._secret.put({**self._secret.read(), name: key})
