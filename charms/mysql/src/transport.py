"""TLS of this unit's server: its certificate, the phases in which a cluster introduces TLS, and renewal without a restart.

A cluster that is new speaks TLS from the start. One that runs in clear introduces it with one restart of each member:
until the last one is through, members take each other in clear, too. Then the CA is published to clients, and only later is
nobody let in in clear any more. There is no way back: a cluster that has lost its provider of certificates goes on
with those that it has.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from openinfra_charm.daemon.tls import Certificate, Subject
from openinfra_charm.model import databag
from state import Tls

if TYPE_CHECKING:
    import ops

    from endpoint import Endpoint
    from mysql import MySql
    from openinfra_charm.model.cluster import Cluster
    from state import Members, State

COPIES = "copies"
REQUIRED = "required"


@dataclass(kw_only=True)
class Transport:
    """The unit's certificate, which names the gateway (`endpoint`), and how far the cluster has come with TLS.

    The leader publishes the phase as `tls`, units that they have a certificate, and that their servers speak TLS.
    """

    model: ops.Model
    cluster: Cluster
    members: Members
    endpoint: Endpoint
    mysql: MySql

    @cached_property
    def certificate(self) -> Certificate:
        """The server's key and certificate on this machine."""
        return Certificate(self.mysql.machine, self.mysql.application, user="mysql", group="mysql")

    @property
    def _relation(self) -> ops.Relation | None:
        return databag.active_relation(self.model, "certificates")

    @property
    def _phase(self) -> str | None:
        return self.cluster.shared.get("tls")

    @property
    def fingerprint(self) -> str:
        """What the files of the certificate hold, as a short digest."""
        return hashlib.sha256("".join(self.certificate.inputs).encode()).hexdigest()[:16]

    @property
    def awaits_certificate(self) -> bool:
        """Whether this unit has to have a certificate before it joins, and has none."""
        if self.members.me.joined or self.certificate.ready:
            return False
        return self._relation is not None or self.is_introduced

    @property
    def is_introduced(self) -> bool:
        """Whether all members have had a certificate: from then on the cluster speaks TLS, or is about to."""
        return self._phase is not None

    @property
    def problem(self) -> str:
        """What is in the way of a current certificate; empty where nothing is, or where nobody wants one."""
        if self._relation is None and not self.is_introduced:
            return ""
        return self.certificate.problem(self._relation)

    @property
    def state(self) -> Tls | None:
        """What the server runs with; None as long as there is no certificate."""
        if not self.certificate.ready:
            return None
        return Tls(
            key=self.certificate.key_path,
            chain=self.certificate.chain_path,
            ca=self.certificate.ca_path,
            mixed=any(member.joined and not member.encrypted for member in self.members.present),
            copies=self._phase in {COPIES, REQUIRED},
            required=self._phase == REQUIRED,
        )

    @property
    def ca(self) -> str:
        """The CA by which clients verify the server, PEM; empty as long as some member does not speak TLS."""
        return self.mysql.machine.read(self.certificate.ca_path) or "" if self._all("encrypted") else ""

    def update(self) -> None:
        """Ask for a certificate under all names of this unit, and take what has come."""
        me = self.members.me
        own = (me.client_address, me.cluster_address, me.ingress_address)
        subject = Subject.of(self.mysql.machine.hostname(), (*own, *self.endpoint.hosts))
        self.certificate.update(self._relation, self.model.unit, subject)
        self.cluster.publish(certified=self.certificate.ready or None)

    def reload(self, state: State) -> None:
        """Have a server that serves read its certificate again if there is another one."""
        if state.tls and self.mysql.speaks_tls:
            self.mysql.take_certificate(self.fingerprint, required=state.tls.required)
            self.certificate.acknowledge(self._relation, self.model.unit)

    def publish(self) -> None:
        """Publish that this unit's server speaks TLS."""
        self.cluster.publish(encrypted=self.mysql.speaks_tls or None)

    def lead(self, *, clients_know: bool) -> None:
        """As the leader, go to the next phase when all members are ready for it, and clients have known the CA before."""
        if self._phase == REQUIRED:
            return
        if self._all("encrypted") and clients_know:
            self.cluster.publish_shared(tls=REQUIRED)
        elif self._all("certified"):
            self.cluster.publish_shared(tls=COPIES)

    def _all(self, what: str) -> bool:
        present = self.members.present
        return len(present) == len(self.members.recorded) and all(getattr(one, what) for one in present)
