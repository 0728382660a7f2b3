"""Machines in memory around a twin of MariaDB, and the units of the charm on them."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY_TESTS = CHARM.parents[1] / "lib/openinfra_charm/tests"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY_TESTS)]

import authority  # noqa: E402  found on the path of the line above
import cluster_model  # noqa: E402
import machines  # noqa: E402
import model  # noqa: E402
import twin  # noqa: E402
from machines import CERTIFICATES, GATEWAY  # noqa: E402
from model import PEERS  # noqa: E402

from charm import MySqlCharm  # noqa: E402


class Model(cluster_model.ClusterModel):
    """The units of one cluster; what they ask a CA for is signed at once."""

    charm, application, bindings = MySqlCharm, "mysql", ("database", "cluster")

    def __init__(self, units=1, config=None):
        self.galera = twin.Galera()
        self.authority: Any = None
        super().__init__(units, config)

    def make_machine(self, number):
        return machines.MySqlMachine(self.galera, number)

    def known(self):
        stores = {name: vars(server.load()) for name, server in self.galera.servers.items()}
        return stores, self.galera.primaries()

    def _relations(self, number):
        relations = super()._relations(number)
        if number in self.leaving:
            # A unit that leaves has departed from its peers one by one before it stops.
            relations[PEERS] = dataclasses.replace(relations[PEERS], peers_data={})
        return relations

    def relate_certificates(self):
        """Relate a CA, which signs what is asked for at once."""
        now = next(iter(self.machines.values())).now()
        self.authority = authority.make("CA", now - authority.DAY)
        self.relate(testing.Relation("certificates", id=CERTIFICATES, remote_app_name="certificates"))

    def relate_gateway(self, endpoints=()):
        """Relate the gateway, which serves the route at these endpoints."""
        data = {"endpoints": json.dumps(list(endpoints))}
        self.relate(testing.Relation("gateway", id=GATEWAY, remote_app_name="gateway", remote_app_data=data))


deploy, one, three = model.fixtures(Model)


defaults = model.defaults(CHARM)
