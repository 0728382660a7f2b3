"""The service's twin as rehearsals play it."""

import twin

from openinfra_charm.testing import openstack


class Twin(openstack.Twin):
    """The service on the machines of one application, whose units share a database."""

    def __init__(self):
        super().__init__(twin.Notes, first="sync", processes=("filer",))

    def settings(self):
        return ("longest=50", "workers=2")
