"""A machine in memory with Keystone on it, and what the units of a model are related to."""

import programs
from model import PEERS
from ops import testing
from running import Jobs

from openinfra_charm.testing import Cryptography, MemoryMachine
from openinfra_charm.testing.packaging import Packaging

DATABASE, CERTIFICATES, CACHE, GATEWAY = range(PEERS + 1, PEERS + 5)
"""Ids of relations."""
DATABASE_SECRET = testing.Secret(
    {"username": "relation-1-1", "password": "db-password"}, id="secret:d00000000000000000d0"
)
CACHES = {number: {"host": f"10.0.1.{number}", "port": "11211"} for number in (0, 1)}
FOUND = {"endpoints": "10.0.0.5:3306", "database": "keystone", "secret-user": DATABASE_SECRET.id}
RELATIONS = (
    testing.Relation("database", id=DATABASE, remote_app_name="database", remote_app_data=FOUND),
    testing.Relation("certificates", id=CERTIFICATES, remote_app_name="certificates"),
    testing.Relation("cache", id=CACHE, remote_app_name="cache", remote_units_data=CACHES),
)


class KeystoneMachine(MemoryMachine):
    """A machine with Keystone's twin; jobs run while a hook waits for them."""

    def __init__(self, number, database, issued, time):
        super().__init__(f"machine-{number}", time)
        self.address = f"10.0.0.{10 + number}"
        self.keystone = programs.Keystone(database, issued, self)
        for software in (Packaging(self), Cryptography(), self.keystone, Jobs(self)):
            self.bring(software)
