"""The service's programs and processes on one machine, as far as its charm meets them."""

from openinfra_charm.machine import Answer, Result
from openinfra_charm.testing import Software

HALF = "half a migration"


class Notes(Software):
    """The service's programs and processes on one machine; `schema` are the steps that were done in the database.

    `lost` says that the connection to the database is lost in the middle of its first migration, which leaves tables there that are in the
    way of the next one.
    """

    def __init__(self, machine, schema):
        super().__init__()
        self.machine, self.schema = machine, schema
        self.refused = ""
        self.lost = False
        self.broken = ""
        self.programs = {"runuser": self._run}
        self.sockets = {"/run/notes/api.sock": self.answer}

    def _run(self, argv, _stdin):
        if self.refused:
            return Result(code=1, stdout="", stderr=self.refused)
        program, step = argv[5].rpartition("/")[2], argv[-1]
        if program == "openinfra_first.py" and step == "begin":
            self.schema[:] = [done for done in self.schema if done != HALF]
        elif program == "notes.py" and HALF in self.schema:
            return Result(code=1, stdout="", stderr="Table 'note' already exists")
        elif program == "notes.py" and self.lost:
            self.schema.append(HALF)
            return Result(code=1, stdout="", stderr="Lost connection to MySQL server during query")
        elif program != "openinfra_first.py":
            self.schema.append(step if program == "notes.py" else program)
        return None

    @property
    def serves(self):
        """Whether the API's process runs."""
        return self.machine.powered and self.machine.serves("notes-api.service")

    def answer(self, _):
        if not self.serves:
            raise ConnectionRefusedError
        paused = self.machine.exists("/var/lib/notes/paused")
        why = "paused" if paused else self.broken
        return Answer(status=503 if why else 200, headers={}, body=why)
