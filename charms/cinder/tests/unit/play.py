"""The units of Cinder as its tests play them: what other applications give, and what they answer."""

import json

import api_model
import model
import twin
from ops import testing

from charm import CinderCharm

AMQP, CEPH, S3 = range(model.PEERS + 20, model.PEERS + 23)
BROKER_SECRET = testing.Secret(
    {"username": "relation-20-1", "password": "mq-password"}, id="secret:m00000000000000000m0"
)
CEPH_SECRET = testing.Secret({"key": "ceph-key"}, id="secret:c00000000000000000c0")
S3_SECRET = testing.Secret(
    {"access-key": "ACCESS", "secret-key": "s3-secret"}, id="secret:s00000000000000000s0"
)
RELATIONS = (
    testing.Relation(
        "amqp", id=AMQP, remote_app_name="rabbitmq",
        remote_app_data={"hostname": "10.0.0.7", "secret-user": BROKER_SECRET.id},
        remote_units_data={0: {"hostname": "10.0.0.7", "ssl_port": "5671", "ssl_ca": "Q0EK"}},
    ),
    testing.Relation(
        "ceph", id=CEPH, remote_app_name="ceph", remote_app_data={"secret-key": CEPH_SECRET.id},
        remote_units_data={0: {"ceph-public-address": "10.0.0.8"}},
    ),
)  # fmt: skip


class Model(api_model.ApiModel):
    """The units of Cinder, with what they need; Ceph answers at once."""

    charm, application, software = CinderCharm, "cinder", twin.Cinder

    def __init__(self, units=1, config=None):
        super().__init__(0, config)
        self.relations |= {one.id: one for one in RELATIONS}
        self.secrets |= {BROKER_SECRET, CEPH_SECRET, S3_SECRET}
        for _ in range(units):
            self.add_unit()

    def relate_store(self, **more):
        """Relate an object store, which gives a bucket."""
        data = {
            "bucket": "relation-7", "endpoint": "https://10.0.0.100:7480", "region": "regionone", "secret-extra": S3_SECRET.id,
            "tls-ca-chain": json.dumps([self.authority.pem]), **more,
        }  # fmt: skip
        self.relate(
            testing.Relation("s3-parameters", id=S3, remote_app_name="ceph-rgw", remote_app_data=data)
        )

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        asked = self.local.get((CEPH, number), {}).get("broker_req")
        if asked and CEPH in self.relations:
            answer = {"request-id": json.loads(asked)["request-id"], "exit-code": 0}
            key, text = f"broker-rsp-{self.application}-{number}", json.dumps(answer)
            if self.relations[CEPH].remote_units_data[0].get(key) != text:
                self.tell(CEPH, unit={key: text})
                self.wake(CEPH)


class East(Model):
    """Those of a second application."""

    application = "cinder-east"

    @staticmethod
    def software(machine, done):
        return twin.Cinder(machine, done, "cinder-east")
