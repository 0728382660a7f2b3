"""A unit's certificate: its key and signing request, the files its daemons read, and when to ask anew.

In a charm, with an endpoint `certificates` (interface `tls-certificates`):

    self.tls = Certificate(self.machine, self.app.name, user="mysql", group="mysql")

    # in _reconcile, after the packages (tls.PACKAGES among them) are installed
    relation = self.model.get_relation("certificates")
    self.tls.update(relation, self.unit, Subject.of(self.machine.hostname(), place.hosts))
    if not self.tls.ready:
        return self._missing.append(ops.WaitingStatus(self.tls.problem(relation)))
    service = Service(unit="mariadb.service", inputs=(configuration, *self.tls.inputs))
    ...                                    # reload or restart what is outdated, when this unit has the lock
    if not self.services.outdated([service]):
        self.tls.acknowledge(relation, self.unit)

Keys and requests are made with python3-cryptography and not with the program `openssl`: a key never leaves this process but
into its file, and tests and rehearsals play the library itself. It is loaded only when there is something to make or to
take, since that costs more than a hook with nothing to do.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File
from openinfra_charm.interfaces import tls_certificates
from openinfra_charm.values import is_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ops

    from openinfra_charm.interfaces.tls_certificates import Issued
    from openinfra_charm.machine import Machine

PACKAGES = ("python3-cryptography",)
"""What has to be installed before a certificate is asked for."""
RENEWAL = 2 / 3
"""The part of its life after which a certificate is renewed, where requirers are few or lives long."""
EARLIEST_RENEWAL = 1 / 3
"""And the least part of it."""
_SECONDS_EACH = 6
"""How long each requirer may take: a hook of the CA's leader and one of its own, where many units share a few processors."""
AGAIN_SECONDS = 60
"""How long an answer that is of no use is left at that: where clocks are wrong, the next one is no better."""
LIBRARIES = (
    "cryptography.x509",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.hashes",
    "cryptography.hazmat.primitives.serialization",
)
_LONGEST_NAME = 64
"""Characters of a common name (RFC 5280, ub-common-name). Clients look at the other names only."""
_END = "-----END CERTIFICATE-----"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """Whom a certificate is for: all names and addresses (IPv4 or IPv6) under which clients reach the daemon."""

    common_name: str
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @classmethod
    def of(cls, machine: str, hosts: Iterable[str]) -> Subject:
        """Return whom the certificate of a daemon is for.

        Args:
            machine: The host name of the machine that it runs on.
            hosts: All names and addresses under which clients reach it, those of a gateway before it among them.
        """
        reached = sorted(set(hosts))
        names = (host for host in reached if not is_address(host) and host != machine)
        return cls(common_name=machine, dns=(machine, *names), addresses=tuple(filter(is_address, reached)))


class Certificate:
    """A key and its certificate on this machine.

    The key stays the same from one certificate to the next, so that a power loss between two files leaves no pair that
    does not fit. A new one is made after `remove`, or when the file is gone.
    """

    def __init__(
        self,
        machine: Machine,
        application: str,
        *,
        folder: str = "",
        user: str = "root",
        group: str = "root",
        combined: bool = False,
        key_goes_last: bool = False,
    ) -> None:
        """Name where the files are and whose they are.

        Args:
            machine: The machine.
            application: The application's name.
            folder: Where the files are; without one, /etc/<application>/tls. Each certificate has a folder of its own.
            user: Who may read the key.
            group: The files' group; it may not read the key.
            combined: Whether there is a file of chain and key in one, too, as HAProxy takes it.
            key_goes_last: Whether the key's file is written anew after each new certificate: daemons of Open vSwitch and OVN read both
                again when the key's file has another time than before, and not when the certificate's has (stream-ssl.c).
        """
        self._machine = machine
        self._folder = folder or f"/etc/{application}/tls"
        self._user = user
        self._group = group
        self._combined = combined
        self._key_goes_last = key_goes_last
        self.key_path = f"{self._folder}/key.pem"
        """The private key (PKCS #8); only its owner can read it."""
        self.certificate_path = f"{self._folder}/certificate.pem"
        """The certificate alone."""
        self.chain_path = f"{self._folder}/chain.pem"
        """What a server presents: the certificate and those between it and the root."""
        self.ca_path = f"{self._folder}/ca.pem"
        """The CA certificates to trust; two while a new CA is introduced."""
        self.combined_path = f"{self._folder}/combined.pem"
        """Chain and key in one file, which only its owner can read."""
        self._record = f"/var/lib/openinfra/{application}/tls{self._folder.replace('/', '-')}.json"

    # What is there

    @property
    def ready(self) -> bool:
        """Whether a daemon can start with what is on the machine, be it current or not."""
        combined = (self.combined_path,) if self._combined else ()
        paths = (self.key_path, self.chain_path, self.ca_path, *combined)
        return bool(self._known.get("ends")) and all(self._machine.exists(path) for path in paths)

    @property
    def current(self) -> bool:
        """Whether what is on the machine answers the latest request and has not expired."""
        known = self._known
        return self.ready and known["answers"] == known["csr"] and self._is_valid

    @property
    def ends(self) -> float:
        """When the certificate expires, in seconds since the epoch; 0 while there is none."""
        return float(self._known.get("ends", 0))

    @property
    def renew_at(self) -> float:
        """From when on a new certificate is asked for, in seconds since the epoch; 0 while there is none."""
        known = self._known
        begins = float(known.get("begins", 0))
        life, answers = self.ends - begins, known.get("requirers", 0) * _SECONDS_EACH
        return begins + max(life * RENEWAL - answers, life * EARLIEST_RENEWAL)

    @property
    def _is_valid(self) -> bool:
        """Whether clients take the certificate now; one from a CA whose clock is ahead they do not take yet."""
        return float(self._known.get("begins", 0)) <= self._machine.now() < self.ends

    @property
    def inputs(self) -> tuple[str, ...]:
        """What a daemon has to be restarted or reloaded for when it changes, as `service.Service` wants it."""
        paths = (self.chain_path, self.ca_path)
        return tuple(hashlib.sha256((self._machine.read(path) or "").encode()).hexdigest() for path in paths)

    def problem(self, relation: ops.Relation | None) -> str:
        """Say what is in the way of a current certificate, for a status; empty when nothing is.

        A certificate that is being renewed is no problem until a third of what was left of its life has gone by.
        """
        if relation is None:
            return "certificates: integrate with an application that provides tls-certificates"
        known = self._known
        names_fit = self.ready and known.get("names") == known["subject"]
        late = self.renew_at + (self.ends - self.renew_at) / 3
        if self.current or (names_fit and self._is_valid and self._machine.now() < late):
            return ""
        csr = known.get("csr", "")
        for refusal in tls_certificates.read_refusals(relation):
            if refusal.csr == csr:
                return f"{relation.app.name} does not sign the request: {refusal.message}"
        if names_fit:
            why = f"ends {date(self.ends)}"
            if self._machine.now() < float(known["begins"]):
                why = f"begins {date(float(known['begins']))}: is the clock right here, and there?"
            return f"for {relation.app.name} to renew the certificate, which {why}"
        return f"for a certificate from {relation.app.name}"

    # What changes it

    def update(self, relation: ops.Relation | None, unit: ops.Unit, subject: Subject) -> bool:
        """Ask for what is wanted, and take what has come; return whether a file has changed.

        A new request is made when there is none, when the names have changed, when the certificate is to be renewed (`renew_at`), and
        when it is not valid yet. What is on the machine stays until the answer is there. Without a relation nothing changes.

        Raises:
            ValueError: An address of the subject is none.
        """
        if relation is None:
            return False
        wanted = _normal(subject)
        if (requirers := tls_certificates.read_requirers(relation)) != self._known.get("requirers", 0):
            self._remember(requirers=requirers)
        if self._has_to_ask(wanted):
            self._ask(wanted)
        csr: str = self._known["csr"]
        tls_certificates.publish_requests(relation, unit, [csr])
        answers = [
            one for one in tls_certificates.read_issued(relation) if one.csr == csr and not one.revoked
        ]
        changed = self._take(answers[-1], tls_certificates.read_bundle(relation)) if answers else False
        if self._key_goes_last and self.ready:
            self._renew_key()
        return changed

    def acknowledge(self, relation: ops.Relation | None, unit: ops.Unit) -> None:
        """Say that the daemons run with what is on the machine now: the CA waits for that before it goes on.

        Call it when the daemons have been reloaded or restarted, and in every reconcile in which none has to be.
        """
        leaf = self._machine.read(self.certificate_path)
        if relation is not None and leaf:
            trusted = split(self._machine.read(self.ca_path) or "")
            tls_certificates.acknowledge(relation, unit, trusts=trusted, serves=leaf)

    def remove(self) -> None:
        """Take the key, the certificate and all that is known of them from the machine."""
        paths = (self.key_path, self.certificate_path, self.chain_path, self.ca_path, self.combined_path)
        for path in (*paths, self._record):
            self._machine.remove(path)
        if not self._machine.list_folder(self._folder):
            self._machine.remove(self._folder)

    @property
    def _known(self) -> dict[str, Any]:
        """The latest request (`csr`, `subject`), and of the certificate what it `answers`, its `names`, its life."""
        return cast("dict[str, Any]", json.loads(self._machine.read(self._record) or "{}"))

    def _has_to_ask(self, subject: Subject) -> bool:
        known = self._known
        if known.get("subject") != _plain(subject) or not self._machine.exists(self.key_path):
            return True
        now = self._machine.now()
        if known.get("answers") != known["csr"] or abs(now - known.get("asked", 0)) < AGAIN_SECONDS:
            return False
        return now >= self.renew_at or not self._is_valid

    def _ask(self, subject: Subject) -> None:
        """Make a request, and first the key where there is none."""
        library = _Library(self._machine)
        key = self._machine.read(self.key_path)
        if key is None:
            key = library.new_key()
            self._write(File(path=self.key_path, content=key, mode=0o600))
        self._remember(subject=_plain(subject), csr=library.request(key, subject), asked=self._machine.now())

    def _take(self, issued: Issued, bundle: list[str]) -> bool:
        chain = _in_order(issued)
        # The root that clients trust already is not presented; anything before it is.
        presented = chain[:-1] if len(chain) > 1 and chain[-1] == issued.ca else chain
        # Some providers call the certificate that signed this one their CA, be it a root or not.
        trusted = list(dict.fromkeys([issued.ca, *chain[1:][-1:], *bundle]))
        files = [
            File(path=self.certificate_path, content=f"{issued.certificate}\n"),
            File(path=self.chain_path, content=_join(presented)),
            File(path=self.ca_path, content=_join(trusted)),
        ]
        known = self._known
        if (
            self._machine.read(self.certificate_path) != files[0].content
            or known.get("answers") != issued.csr
        ):
            life = _Library(self._machine).life(issued.certificate, self._machine.read(self.key_path) or "")
            if life is None:
                return False
            known |= {"begins": life[0], "ends": life[1], "answers": issued.csr, "names": known["subject"]}
        if self._combined:
            text = _join(presented) + (self._machine.read(self.key_path) or "")
            files.append(File(path=self.combined_path, content=text, mode=0o600))
        changed = self._write(*files)
        self._remember(**known)
        return changed

    def _renew_key(self) -> None:
        """Write the key's file anew unless that was done for this certificate; a hook that dies before is made up for."""
        digest = hashlib.sha256((self._machine.read(self.chain_path) or "").encode()).hexdigest()
        if self._known.get("key_beside") != digest:
            self._machine.renew(self.key_path)
            self._remember(key_beside=digest)

    def _write(self, *files: File) -> bool:
        owned = (
            File(path=file.path, content=file.content, mode=file.mode, user=self._user, group=self._group)
            for file in files
        )
        return bool(render.write(self._machine, *owned))

    def _remember(self, **facts: Any) -> None:
        text = json.dumps(self._known | facts, indent=1, sort_keys=True)
        self._machine.write(self._record, f"{text}\n")


class _Library:
    """What of python3-cryptography is used; its objects have no types here, as it is not a dependency of charms."""

    def __init__(self, machine: Machine) -> None:
        self._x509, self._ec, self._hashes, self._serialization = map(machine.load_library, LIBRARIES)

    def new_key(self) -> str:
        """Return a new private key, elliptic-curve P-256: all that our charms run can use it."""
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        encoded: bytes = key.private_bytes(
            self._serialization.Encoding.PEM,
            self._serialization.PrivateFormat.PKCS8,
            self._serialization.NoEncryption(),
        )
        return encoded.decode()

    def request(self, key: str, subject: Subject) -> str:
        """Return a CSR."""
        x509 = self._x509
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject.common_name[:_LONGEST_NAME])])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        names = [x509.DNSName(one) for one in subject.dns]
        names += [x509.IPAddress(ipaddress.ip_address(one)) for one in subject.addresses]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(self._load_key(key), self._hashes.SHA256())
        return signed.public_bytes(self._serialization.Encoding.PEM).decode().strip()

    def life(self, certificate: str, key: str) -> tuple[float, float] | None:
        """Return when a certificate begins and ends to be valid; None if it is not for this key, or is none."""
        try:
            loaded = self._x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            return None
        if loaded.public_key() != self._load_key(key).public_key():
            return None
        return validity(loaded)

    def _load_key(self, key: str) -> Any:
        return self._serialization.load_pem_private_key(key.encode(), password=None)


def validity(certificate: Any) -> tuple[float, float]:
    """Return when a certificate of python3-cryptography begins and ends to be valid, in seconds since the epoch."""
    if hasattr(certificate, "not_valid_after_utc"):  # from 42 on
        times = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    else:
        naive = (certificate.not_valid_before, certificate.not_valid_after)
        times = tuple(time.replace(tzinfo=UTC) for time in naive)
    return times[0].timestamp(), times[1].timestamp()


def date(time: float) -> str:
    """Return a time in words: `2026-11-30 06:11Z`."""
    return datetime.fromtimestamp(time, UTC).isoformat(" ", "minutes").replace("+00:00", "Z")


def _normal(subject: Subject) -> Subject:
    """Return a subject that is the same for the same names in another order."""
    return Subject(
        common_name=subject.common_name,
        dns=tuple(sorted(set(subject.dns))),
        addresses=tuple(sorted({str(ipaddress.ip_address(one)) for one in subject.addresses})),
    )


def _plain(subject: Subject) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(json.dumps(asdict(subject))))


def _in_order(issued: Issued) -> list[str]:
    """Return the chain with the certificate itself first; some providers begin with the root."""
    chain = list(issued.chain)
    if chain[0] != issued.certificate and chain[-1] == issued.certificate:
        chain.reverse()
    return chain if chain[0] == issued.certificate else [issued.certificate, *chain]


def _join(certificates: list[str]) -> str:
    return "".join(f"{certificate}\n" for certificate in certificates)


def split(text: str) -> list[str]:
    """Return the certificates in a text, each as PEM."""
    return [f"{part.strip()}\n{_END}" for part in text.split(_END) if part.strip()]
