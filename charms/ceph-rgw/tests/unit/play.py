"""Units of the charm on machines in memory, related to a Ceph and a CA that answer what they ask."""

import authority
import model
import monitors
import programs
from ops import testing

from charm import CephRgwCharm
from openinfra_charm.daemon import job
from openinfra_charm.machine import use
from openinfra_charm.testing import Cryptography, MemoryMachine

CEPH, CERTIFICATES, GATEWAY, IDENTITY, S3 = range(model.PEERS + 1, model.PEERS + 6)
RELATIONS = {
    CEPH: monitors.relation(CEPH),
    CERTIFICATES: testing.Relation("certificates", id=CERTIFICATES, remote_app_name="certificates"),
    GATEWAY: testing.Relation("gateway", id=GATEWAY, remote_app_name="gateway"),
    IDENTITY: testing.Relation("identity-service", id=IDENTITY, remote_app_name="keystone"),
    S3: testing.Relation("s3", id=S3, remote_app_name="cinder"),
}


class RgwMachine(MemoryMachine):
    """A machine with the gateway's twin and one address."""

    def __init__(self, zone, number):
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{number + 10}"
        self.rgw = programs.RgwSoftware(zone, self, self.address)
        self.bring(Cryptography())
        self.bring(self.rgw)

    def run_jobs(self):
        """Run the jobs that are due to their end; return what they come to."""
        with use(self):
            return [self._run_job(*job) for job in self.jobs()]

    def _run_job(self, application, job_id):
        try:
            return job.main(application, job_id)
        finally:
            self.job_ended(application, job_id)


class Model(model.Model):
    """Units of the charm, each on a machine of its own, related to a Ceph and a CA that answer what they ask."""

    charm, application, bindings = CephRgwCharm, "ceph-rgw", ("internal",)

    def __init__(self, units=1, config=None, *, relations=(CEPH, CERTIFICATES)):
        self.zone = programs.Zone()
        self.ca = authority.make("root", 1_000_000)
        super().__init__(units, config, [RELATIONS[one] for one in relations])

    def make_machine(self, number):
        return RgwMachine(self.zone, number)

    def add_unit(self):
        machine = super().add_unit()
        self.settle()
        return machine

    def configure(self, **options):
        super().configure(**options)
        self.settle()

    def settle(self):
        """Have Ceph and the CA answer, and all units see it, until nothing is new."""
        while (CEPH in self.relations and monitors.answer(self, CEPH)) | (
            CERTIFICATES in self.relations and self.sign(CERTIFICATES, self.ca)
        ):
            self.update_status()

    def integrate(self, relation, **data):
        """Integrate with something that says this."""
        self.relations.setdefault(relation, RELATIONS[relation])
        self.tell(relation, data)
        self.update_status()
        self.settle()

    def known(self):
        return repr(self.zone)
