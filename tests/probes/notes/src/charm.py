#!/usr/bin/env python3
"""A probe: the charm of an OpenStack API that has nothing special, so it is a specification and nothing else."""

import ops

from openinfra_charm.model import hook
from openinfra_charm.openstack.needs import CACHE, DATABASE, MESSAGING, Identity
from openinfra_charm.openstack.service import Service
from openinfra_charm.openstack.spec import Catalogued, Ports, Process, Schema, Spec

PROGRAM = ("python", "{modules}/notes.py", "{config}")
SPEC = Spec(
    name="notes",
    ports=Ports(public=8900, backend=18900, proxied=28900),
    wsgi="notes:application",
    environment={"NOTES_CONFIG": "{config}"},
    templates=("notes.conf.j2",),
    needs=(DATABASE, Identity(clients=("service_user",)), CACHE, MESSAGING),
    schema=Schema(sync=((*PROGRAM, "sync"),), expand=((*PROGRAM, "sync"),)),
    check="/v1",
    processes=(Process(name="filer", command=(*PROGRAM, "file")),),
    enough=("service",),
    catalogue=(Catalogued(name="notes", type="notes", description="Notes", path="/v1"),),
)


class NotesCharm(ops.CharmBase):
    """The service."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.service = Service(self, SPEC)


if __name__ == "__main__":
    hook.main(NotesCharm)
