"""Machines in memory with the service on them, and what its units are related to."""

from model import PEERS
from ops import testing
from twin import Notes

from openinfra_charm.daemon.job import main
from openinfra_charm.machine import use
from openinfra_charm.testing import Cryptography, MemoryMachine, Software
from openinfra_charm.testing.packaging import Packaging

DATABASE, CERTIFICATES, CACHE, IDENTITY, GATEWAY = range(PEERS + 1, PEERS + 6)
"""Ids of relations."""
DATABASE_SECRET = testing.Secret(
    {"username": "relation-1-1", "password": "db-password"}, id="secret:d00000000000000000d0"
)
IDENTITY_SECRET = testing.Secret(
    {"username": "svc-notes-2-1", "password": "token-password"}, id="secret:i00000000000000000i0"
)
KEYSTONE = {
    "public-auth-url": "https://10.0.0.9:5000/v3", "internal-auth-url": "https://10.1.0.9:5000/v3",
    "service-domain-name": "service_domain", "service-project-name": "services", "region": "RegionOne",
    "service-credentials": IDENTITY_SECRET.id,
}  # fmt: skip
RELATIONS = (
    testing.Relation(
        "database", id=DATABASE, remote_app_name="mysql",
        remote_app_data={"endpoints": "10.0.0.5:3306", "database": "notes", "secret-user": DATABASE_SECRET.id},
    ),
    testing.Relation("identity-service", id=IDENTITY, remote_app_name="keystone", remote_app_data=KEYSTONE),
    testing.Relation("certificates", id=CERTIFICATES, remote_app_name="certificates"),
    testing.Relation(
        "cache", id=CACHE, remote_app_name="memcached", remote_units_data={0: {"host": "10.0.1.0", "port": "11211"}}
    ),
)  # fmt: skip


class NotesMachine(MemoryMachine):
    """A machine with the service's twin; jobs run as time passes."""

    address: str
    notes: Notes


class Jobs(Software):
    """The machine's systemd, which runs the jobs of a hook that waits for them."""

    def __init__(self, machine):
        super().__init__()
        self.machine = machine

    def time_passed(self):
        for application, job_id in self.machine.jobs():
            with use(self.machine):
                main(application, job_id)
            self.machine.job_ended(application, job_id)


def make(number, time, schema):
    """Return the machine of a unit."""
    machine = NotesMachine(f"machine-{number}", time)
    machine.address = f"10.0.0.{10 + number}"
    machine.notes = Notes(machine, schema)
    for software in (Packaging(machine), Cryptography(), machine.notes, Jobs(machine)):
        machine.bring(software)
    return machine
