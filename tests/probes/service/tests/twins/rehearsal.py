"""The probe's machine: it needs nothing."""

from openinfra_charm import testing


class Twin(testing.Twin):
    """Machines as they are."""

    def join(self, machine, address):
        pass

    def settings(self):
        return ("url=https://other.example:9292",)
