"""What is done when the database is another one, taken back from a backup or newly related: all accounts are made again.

Passwords may have been replaced since, and a backup of an earlier model knows other users, and other ids. It may also be of a
time when there was no Keystone: so the schema comes before Keystone is asked whether it serves.

While a release is being upgraded, nothing of this is done: old and new code share the schema then.

The leader's record, in the peer relation: `restored`, the relation of the database and its last restore that this was done for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

import accounts
from admin import UnreachableError
from openinfra_charm.interfaces import mysql_client
from openinfra_charm.machine import CommandError

if TYPE_CHECKING:
    from charm import KeystoneCharm
    from state import Settings


def prepare(charm: KeystoneCharm) -> None:
    """As the leader, bring a restored database's schema to this release, and empty the caches, which are of the one before.

    Raises:
        UnreachableError: That cannot be done now, or not with this backup.
    """
    if not _is_due(charm):
        return
    try:
        charm.keystone.forget_caches()
    except (CommandError, TimeoutError) as error:
        raise UnreachableError(f"the caches of the database before cannot be emptied: {error}") from error
    accounts.sync_database(charm)


def take_up(charm: KeystoneCharm, settings: Settings) -> None:
    """As the leader of a Keystone that serves, make all accounts again if the database is another one; a hook that dies begins again."""
    if not _is_due(charm):
        return
    accounts.make_anew(charm, settings)
    charm.clients.make_anew()
    # Stored credentials may be encrypted with an older key than before.
    charm.cluster.publish_shared(restored=_told(charm), migrated=0)


def _is_due(charm: KeystoneCharm) -> bool:
    """Return whether the leader has to do this now; say what it waits for."""
    if not charm.unit.is_leader() or charm.cluster.shared.get("restored", "") == _told(charm):
        return False
    if "names" not in charm.cluster.shared and _told(charm).endswith(":"):
        # The first database, which has nothing of before.
        charm.cluster.publish_shared(restored=_told(charm))
        return False
    plan = charm.upgrade.plan
    if plan and plan.phase:
        charm.missing.append(
            ops.WaitingStatus(
                "to make accounts again after a restore: finish-upgrade or rollback-release first"
            )
        )
        return False
    return True


def _told(charm: KeystoneCharm) -> str:
    database = charm.model.get_relation("database")
    return f"{database.id}:{mysql_client.read_restored(database)}" if database and database.active else ""
