"""The units of Nova on machines in memory, with what they need."""

import json
import sys
from pathlib import Path

import pytest
from ops import testing

CHARM = Path(__file__).parents[2]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [
    str(CHARM / "src"), str(CHARM / "src/files/programs"), str(CHARM / "tests/twins"), str(CHARM / "tests/unit"),
    str(LIBRARY / "tests"),
]  # fmt: skip

import api_model  # noqa: E402  found on the path of the line above
import model  # noqa: E402
import twin  # noqa: E402
from api_model import DATABASE_SECRET, PEERS  # noqa: E402

from charm import NovaCharm  # noqa: E402

API_DATABASE, CELL0_DATABASE, METADATA, CONSOLE, HOSTS = range(PEERS + 21, PEERS + 26)


def database(endpoint, number, name):
    """Return the relation with one more database."""
    data = {"endpoints": "10.0.0.5:3306", "database": name, "secret-user": DATABASE_SECRET.id}
    return testing.Relation(endpoint, id=number, remote_app_name="mysql", remote_app_data=data)


api_model.RELATIONS = (
    *api_model.RELATIONS,
    database("api-database", API_DATABASE, "nova_api"),
    database("cell0-database", CELL0_DATABASE, "nova_cell0"),
)


class Model(api_model.ApiModel):
    """The units of Nova, with what they need."""

    charm, application, software = NovaCharm, "nova", twin.Nova

    def relate_further(self, name, number, *endpoints, internal=()):
        """Relate the gateway for what is not the first API."""
        data = {"endpoints": json.dumps(endpoints)}
        if internal:
            data["internal-endpoints"] = json.dumps(internal)
        self.relate(
            testing.Relation(f"gateway-{name}", id=number, remote_app_name="gateway", remote_app_data=data)
        )

    def relate_hosts(self, **hosts):
        """Relate nova-compute, whose units tell of these hosts."""
        units = dict(enumerate(hosts.values()))
        self.relate(
            testing.Relation(
                "nova-service", id=HOSTS, remote_app_name="nova-compute", remote_units_data=units
            )
        )


class East(Model):
    """Those of a second application."""

    application = "nova-east"

    @staticmethod
    def software(machine, done):
        return twin.Nova(machine, done, "nova-east")


deploy, one, three = model.fixtures(Model)


@pytest.fixture
def east():
    """The application under another name."""
    return East()
