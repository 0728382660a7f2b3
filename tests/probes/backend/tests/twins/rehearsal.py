"""The probe's machine: it has python3-cryptography."""

from openinfra_charm import testing


class Twin(testing.Twin):
    """Machines on which the library is installed."""

    def join(self, machine, address):
        machine.bring(testing.Cryptography())
