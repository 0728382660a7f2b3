"""The certificate authority as rehearsals play it.

Nothing is played but the machine: the charm signs with python3-cryptography itself, in this process. Left out is which
version of it a distribution has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import certificates
from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """Machines on which the library is installed."""

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine the library."""
        del address
        machine.bring(testing.Cryptography(*certificates.LIBRARIES))

    def why_not_served(self, client: testing.Client) -> str:
        """Return why a unit has no certificate for what it asks."""
        if client.endpoint != "certificates":
            return ""
        asked = json.loads(client.says.get("certificate_signing_requests", "[]"))
        issued = json.loads(client.told.get("certificates", "[]"))
        known = {one["certificate_signing_request"].strip() for one in issued}
        missing = [one for one in asked if one["certificate_signing_request"].strip() not in known]
        return f"{len(missing)} of its {len(asked)} requests are not signed" if missing else ""

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what replaces a CA, as time does."""
        yield f"run {units[0].partition('/')[0]}/leader renew-ca"

    def rotations(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how certificates and the CA are replaced."""
        leader = f"{units[0].partition('/')[0]}/leader"
        yield f"run {leader} reissue"
        yield f"run {leader} renew-ca"

    def settings(self) -> Sequence[str]:
        """Return what is read when something is signed."""
        return ("certificate-validity=30d", "acknowledgement-grace=1h", "ca-common-name=another")
