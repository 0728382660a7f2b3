"""The service's twin as rehearsals play it."""

import twin

from openinfra_charm import testing
from openinfra_charm.testing.packaging import Packaging


class Twin(testing.Twin):
    """The service on the machines of one application, whose units share a database."""

    def __init__(self):
        self.schema = []
        self.nodes = []

    def join(self, machine, address):
        node = twin.Notes(machine, self.schema)
        self.nodes.append(node)
        for software in (Packaging(machine), testing.Cryptography(), node):
            machine.bring(software)

    def violations(self):
        for node in self.nodes:
            if node.serves and "sync" not in self.schema:
                yield f"it serves with a schema only: {node.machine.name} has none"

    def unfinished(self, units):
        for unit in ("notes-api.service", "notes-filer.service", "notes-front.service"):
            running = sum(node.machine.powered and node.machine.serves(unit) for node in self.nodes)
            if running < len(units):
                yield f"{unit} runs on {running} machines, there are {len(units)} units"

    def settings(self):
        return ("longest=50", "workers=2")
