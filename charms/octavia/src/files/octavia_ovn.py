"""Octavia's provider for OVN as it is used here; all programs in which it runs import this first.

The provider reaches the driver agent of its machine under /var/run/octavia, whatever the configuration says; several applications of one machine
have an agent each. And it makes the port of a load balancer's address so that it belongs to nobody: whoever has the project's ports could give
it to a server, which then has the address (LP2150682, in no release).
"""

import os

from octavia_lib.api.drivers import driver_lib
from ovn_octavia_provider import helper

FOLDER = os.environ["OPENINFRA_AGENT"]
SOCKETS = tuple(f"{FOLDER}/{name}.sock" for name in ("status", "stats", "get"))
OWNER = "Octavia"
"""As Octavia's other provider calls itself."""

driver_lib.DriverLibrary.__init__.__defaults__ = SOCKETS

_create = helper.OvnProviderHelper._create_neutron_port  # noqa: SLF001  it has no other place for that


class _Owning:
    """A client of Neutron's whose ports belong to a load balancer: Nova refuses to give them to a server."""

    def __init__(self, client, name):
        self._client = client
        self._name = name

    def create_port(self, **port):
        return self._client.create_port(**port, device_owner=OWNER, device_id=self._name)

    def __getattr__(self, name):
        return getattr(self._client, name)


def _create_owned(self, neutron_client, name, *arguments, **options):
    return _create(self, _Owning(neutron_client, name), name, *arguments, **options)


helper.OvnProviderHelper._create_neutron_port = _create_owned  # noqa: SLF001
