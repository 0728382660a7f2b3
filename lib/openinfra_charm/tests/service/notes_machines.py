"""Machines in memory with the service on them, and what its units are related to."""

from model import PEERS
from ops import testing
from running import Jobs
from twin import Notes

from openinfra_charm.testing import Cryptography, MemoryMachine
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


PORT = 18900


class NotesMachine(MemoryMachine):
    """A machine with the service's twin."""

    address: str
    notes: Notes
    packaging: Packaging
    running: Jobs

    @property
    def place(self):
        """Where its front listens."""
        return f"https://{self.address}:{PORT}"

    def answer_at_the_front(self, request):
        """Answer a request from another machine."""
        if not (self.powered and self.serves("notes-front.service")):
            raise ConnectionRefusedError(self.place)
        return self.notes.answer(request)


def make(number, time, schema, others):
    """Return the machine of a unit; its front is reached from the others, and theirs from it."""
    machine = NotesMachine(f"machine-{number}", time)
    machine.address = f"10.0.0.{10 + number}"
    machine.notes, machine.packaging, machine.running = (
        Notes(machine, schema),
        Packaging(machine),
        Jobs(machine),
    )
    for software in (machine.packaging, Cryptography(), machine.notes, machine.running):
        machine.bring(software)
    for one in others:
        one.network[machine.place] = machine.answer_at_the_front
        machine.network[one.place] = one.answer_at_the_front
    return machine
