"""The service's programs and processes on one machine, as far as its charm meets them."""

from openinfra_charm.testing.openstack import Api

PORT = 18900


class Notes(Api):
    """The service on one machine; `done` are the steps that were done in the database."""

    def __init__(self, machine, done):
        super().__init__(machine, "notes", port=PORT, done=done)

    def ran(self, program, *arguments):
        assert program == "notes.py"
        assert self.machine.read(arguments[0]), "it has no configuration"
        self.done.append(arguments[1])
