"""The units of Cinder as its tests play them: what other applications give, and what they answer."""

import json

import api_model
import model
import twin
from ops import testing

from charm import CinderCharm

S3 = model.PEERS + 30
S3_SECRET = testing.Secret(
    {"access-key": "ACCESS", "secret-key": "s3-secret"}, id="secret:s00000000000000000s0"
)


class Model(api_model.ApiModel):
    """The units of Cinder, with what they need; Ceph answers at once."""

    charm, application, software = CinderCharm, "cinder", twin.Cinder
    more_secrets = (S3_SECRET,)

    def relate_store(self, **more):
        """Relate an object store, which gives a bucket."""
        data = {
            "bucket": "relation-7", "endpoint": "https://10.0.0.100:7480", "region": "regionone", "secret-extra": S3_SECRET.id,
            "tls-ca-chain": json.dumps([self.authority.pem]), **more,
        }  # fmt: skip
        self.relate(
            testing.Relation("s3-parameters", id=S3, remote_app_name="ceph-rgw", remote_app_data=data)
        )


class East(Model):
    """Those of a second application."""

    application = "cinder-east"

    @staticmethod
    def software(machine, done):
        return twin.Cinder(machine, done, "cinder-east")
