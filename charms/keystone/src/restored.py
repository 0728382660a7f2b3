"""What is done after the database was taken back from a backup: all accounts are made again.

Passwords may have been replaced since, and a backup of an earlier model knows other users, and other ids.

The leader's record, in the peer relation: `restored`, the last restore that this was done for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import accounts
import clients
from openinfra_charm.interfaces import mysql_client

if TYPE_CHECKING:
    from charm import KeystoneCharm
    from state import Settings


def note(charm: KeystoneCharm) -> None:
    """As the leader, remember that all accounts are of the present database."""
    charm.cluster.publish_shared(restored=_told(charm) or None)


def take_up(charm: KeystoneCharm, settings: Settings) -> None:
    """As the leader of a Keystone that serves, make all accounts again if the database is another one; a hook that dies begins again."""
    if charm.cluster.shared.get("restored", "") == _told(charm):
        return
    charm.keystone.forget_caches()
    charm.keystone.sync_database()
    charm.keystone.migrate_credentials()
    accounts.make_anew(charm, settings)
    clients.make_anew(charm, settings)
    note(charm)


def _told(charm: KeystoneCharm) -> str:
    database = charm.model.get_relation("database")
    return mysql_client.read_restored(database) if database else ""
