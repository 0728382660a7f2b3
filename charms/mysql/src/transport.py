"""TLS of this unit's server: its certificate, the phases in which a cluster takes TLS up, and renewal without a restart.

A cluster that is new speaks TLS from the start. One that runs in clear takes it up with one restart of each member:
until the last one is through, members take each other in clear, too. Then clients are told the CA, and only later is
nobody let in in clear any more. There is no way back: a cluster that has lost its provider of certificates goes on
with those that it has.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import endpoint
from openinfra_charm.daemon.tls import Certificate, Subject
from state import Tls

if TYPE_CHECKING:
    import ops

    from charm import MySqlCharm
    from state import State

COPIES = "copies"
REQUIRED = "required"


class Transport:
    """The unit's certificate, and how far the cluster has come with TLS (`tls` in what the leader publishes)."""

    def __init__(self, charm: MySqlCharm) -> None:
        self._charm = charm
        self.certificate = Certificate(charm.machine, charm.app.name, user="mysql", group="mysql")

    @property
    def _relation(self) -> ops.Relation | None:
        relation = self._charm.model.get_relation("certificates")
        return relation if relation and relation.active else None

    @property
    def fingerprint(self) -> str:
        """What the files of the certificate hold, as a short digest."""
        return hashlib.sha256("".join(self.certificate.inputs).encode()).hexdigest()[:16]

    @property
    def awaits_certificate(self) -> bool:
        """Whether this unit has to have a certificate before it joins, and has none."""
        if self._charm.members[self._charm.unit.name].joined or self.certificate.ready:
            return False
        return self._relation is not None or "tls" in self._charm.cluster.shared

    @property
    def problem(self) -> str:
        """What is in the way of a current certificate; empty where nothing is, or where nobody wants one."""
        if self._relation is None and "tls" not in self._charm.cluster.shared:
            return ""
        return self.certificate.problem(self._relation)

    @property
    def state(self) -> Tls | None:
        """What the server runs with; None as long as there is no certificate."""
        if not self.certificate.ready:
            return None
        phase = self._charm.cluster.shared.get("tls")
        members = (self._charm.members.get(unit) for unit, _ in self._charm.cluster.shared["members"])
        return Tls(
            key=self.certificate.key_path,
            chain=self.certificate.chain_path,
            ca=self.certificate.ca_path,
            mixed=any(member and member.joined and not member.encrypted for member in members),
            copies=phase in {COPIES, REQUIRED},
            required=phase == REQUIRED,
        )

    @property
    def ca(self) -> str:
        """The CA that clients are told, PEM; empty as long as some member does not speak TLS."""
        encrypted = self._all("encrypted")
        return self._charm.machine.read(self.certificate.ca_path) or "" if encrypted else ""

    def update(self) -> None:
        """Ask for a certificate under all names of this unit, and take what has come."""
        member = self._charm.members[self._charm.unit.name]
        name = self._charm.machine.hostname()
        names, addresses = endpoint.names(self._charm)
        subject = Subject(
            common_name=name,
            dns=(name, *names),
            addresses=tuple(
                dict.fromkeys(
                    (member.client_address, member.cluster_address, member.ingress_address, *addresses)
                )
            ),
        )
        self.certificate.update(self._relation, self._charm.unit, subject)
        self._charm.cluster.publish(certified=self.certificate.ready or None)

    def take_up(self, state: State) -> None:
        """Have a server that serves read its certificate again if there is another one."""
        if state.tls and self._charm.mysql.speaks_tls:
            self._charm.mysql.take_certificate(self.fingerprint, required=state.tls.required)
            self.certificate.acknowledge(self._relation, self._charm.unit)

    def tell(self) -> None:
        """Tell the others that this unit's server speaks TLS."""
        self._charm.cluster.publish(encrypted=self._charm.mysql.speaks_tls or None)

    def lead(self, *, clients_know: bool) -> None:
        """As the leader, go to the next phase when all members are ready for it, and clients have been told before."""
        if self._charm.cluster.shared.get("tls") == REQUIRED:
            return
        if self._all("encrypted") and clients_know:
            self._charm.cluster.publish_shared(tls=REQUIRED)
        elif self._all("certified"):
            self._charm.cluster.publish_shared(tls=COPIES)

    def _all(self, what: str) -> bool:
        units = [unit for unit, _ in self._charm.cluster.shared["members"]]
        return all((member := self._charm.members.get(unit)) and getattr(member, what) for unit in units)
