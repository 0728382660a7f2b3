"""The contents of a service's databases: made by the leader once for each that is related, and again after a restore.

While a release is being upgraded, old and new code share the schema: a restored database waits for the end of that.

The leader's records, in the peer relation: `bootstrapped`, the relations whose databases were filled, and for which characters;
`restored`, each relation and its last restore that the service has followed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from openinfra_charm.interfaces import mysql_client
from openinfra_charm.machine import CommandError
from openinfra_charm.model.status import NotYetError
from openinfra_charm.openstack.needs import Cache, Database

if TYPE_CHECKING:
    from collections.abc import Callable

    import ops

    from openinfra_charm.model.cluster import Cluster
    from openinfra_charm.openstack.spec import Spec
    from openinfra_charm.openstack.workload import Workload

CHARACTERS = "utf8mb4"
"""What the database's tables are made for, whatever they were made for before: any character."""

_ERROR = re.compile(r"\b(\w+\.)*\w+(Error|Exception): .+")
"""As Python names what it raises."""


class Founding:
    """What the leader does once for a database.

    Args:
        model: The model.
        cluster: Where the leader records what it has done.
        spec: The service.
        workload: Its programs.
        found: Makes what the service's own first start needs, when the schema is there.
        restored: Brings that to what is on record when a restored database is served.
    """

    def __init__(
        self,
        *,
        model: ops.Model,
        cluster: Cluster,
        spec: Spec,
        workload: Workload,
        found: Callable[[], None],
        restored: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._workload = workload
        self._found = found
        self._follow = restored
        endpoints = [need.endpoint for need in spec.needs if isinstance(need, Database)]
        self._databases = [relation for name in endpoints if (relation := model.get_relation(name))]
        self._caches = any(isinstance(need, Cache) for need in spec.needs)

    @property
    def is_done(self) -> bool:
        """Whether the databases that are related now have all that the service needs."""
        return self._cluster.shared.get("bootstrapped") == self._filled

    def found(self) -> None:
        """As the leader, make the schema and what belongs into it; where it is, this changes nothing.

        Raises:
            NotYetError: That cannot be done now.
        """
        self.sync()
        self._found()
        self._cluster.publish_shared(bootstrapped=self._filled)

    def sync(self) -> None:
        """As the leader, bring the schema to this release.

        Raises:
            NotYetError: That cannot be done now, or not with this database.
        """
        try:
            self._workload.sync_database()
        except (CommandError, TimeoutError) as error:
            raise NotYetError(
                f"the database cannot be brought to this release: {last_line(error)}"
            ) from error

    def is_restored(self) -> bool:
        """As the leader, return whether the databases are others, or have other contents, than the service has followed."""
        known, now = self._cluster.shared.get("restored", ""), self._restored
        if not now or known == now:
            return False
        if not known and not any(mysql_client.read_restored(one) for one in self._databases):
            # The first ones, which have nothing of before.
            self._cluster.publish_shared(restored=now)
            return False
        return True

    def prepare_restored(self) -> None:
        """Bring a restored schema to this release, and empty the caches, which are of the one before.

        This comes before the service is asked whether it serves: the backup may be of a time when there was none.

        Raises:
            NotYetError: That cannot be done now, or not with this backup.
        """
        try:
            if self._caches:
                self._workload.forget_caches()
        except (CommandError, TimeoutError) as error:
            raise NotYetError(f"the caches of the database before cannot be emptied: {error}") from error
        self.sync()

    def follow_restored(self) -> None:
        """Bring what the service has in a restored database to what is on record; a hook that dies begins again."""
        self._follow()
        self._cluster.publish_shared(restored=self._restored)

    @property
    def _filled(self) -> list[Any]:
        return [*(relation.id for relation in self._databases), CHARACTERS]

    @property
    def _restored(self) -> str:
        if not all(relation.active for relation in self._databases):
            return ""
        return ",".join(f"{one.id}:{mysql_client.read_restored(one)}" for one in self._databases)


def last_line(error: Exception) -> str:
    """Return what a program said last: before that are the lines of its traceback, and behind it those of SQLAlchemy's statement."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [found[0] for line in lines if (found := _ERROR.search(line))]
    return named[-1] if named else lines[-1]
