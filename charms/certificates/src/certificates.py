"""What signs: python3-cryptography with a CA's key in memory. The key is never in a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon import registry, tls
from state import Authority

if TYPE_CHECKING:
    from types import ModuleType

    from openinfra_charm.machine import Machine
    from state import Settings

PACKAGES = tls.PACKAGES
LIBRARIES = (
    "cryptography.exceptions",
    "cryptography.x509",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.asymmetric.ed448",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.hazmat.primitives.hashes",
    "cryptography.hazmat.primitives.serialization",
)
"""What of it is loaded, and only when there is something to sign or to look into."""
_LEAST_RSA = 2048
_LEAST_EC = 256
_SKEW = 60
"""Seconds by which a certificate is valid before it is made: machines' clocks differ."""
_ROOT_SKEW = 86400
"""And a root, which many certificates hang on; but no more than a tenth of its life."""


class RefusedError(Exception):
    """A request that is not signed; the message says why, for its requirer."""


class UnusableError(Exception):
    """An operator's CA with which nothing can be signed; the message says why."""


class Signer:
    """The program on this machine that signs."""

    def __init__(self, machine: Machine, application: str) -> None:
        self._machine = machine
        self._application = application

    def install(self) -> None:
        """Install the library."""
        registry.install(self._machine, self._application, PACKAGES)

    def version(self) -> str:
        """Return the library's version; empty before it is installed."""
        return self._machine.package_versions(PACKAGES).get(PACKAGES[0], "")

    def remove(self) -> None:
        """Leave nothing on the machine; other applications' packages stay."""
        registry.uninstall(self._machine, self._application)
        self._machine.remove(f"/var/lib/openinfra/{self._application}")

    # CAs

    def make_root(self, settings: Settings) -> tuple[Authority, str]:
        """Return a new CA, signed by itself, and its key (PEM)."""
        x509, ec, hashes, serialization = map(self._library, ("x509", "ec", "hashes", "serialization"))
        key = ec.generate_private_key(ec.SECP384R1())
        serial = x509.random_serial_number()
        # The number keeps two CAs of the same name apart, where programs look for an issuer by its name.
        name = x509.Name([
            x509.NameAttribute(x509.NameOID.COMMON_NAME, settings.common_name),
            x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, f"{serial:040x}"[:16]),
        ])  # fmt: skip
        now, validity = self._machine.now(), settings.root_validity
        life = (now - min(_ROOT_SKEW, validity // 10), now + validity)
        certificate = (
            self._builder(name, name, key.public_key(), serial, life)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(x509, key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key, hashes.SHA384())
        )
        encoded = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        text = self._pem(certificate)
        begins, ends = tls.validity(certificate)
        return Authority(certificate=text, chain=(text,), begins=begins, ends=ends), encoded.decode()

    def read_intermediate(self, content: dict[str, str], origin: str) -> tuple[Authority, str]:
        """Return the CA that an operator supplies, and its key (PEM).

        Args:
            content: The fields `certificate`, `private-key`, `ca-chain` of the secret.
            origin: The id of that secret.

        Raises:
            UnusableError: Nothing can be signed with it that others would trust.
        """
        if missing := [name for name in ("certificate", "private-key", "ca-chain") if not content.get(name)]:
            raise UnusableError(f"it lacks {', '.join(missing)}")
        x509, serialization = self._library("x509"), self._library("serialization")
        try:
            certificates = [
                x509.load_pem_x509_certificate(text.encode())
                for name in ("certificate", "ca-chain")
                for text in tls.split(content[name])
            ]
            key = serialization.load_pem_private_key(content["private-key"].encode(), password=None)
        except (ValueError, TypeError) as error:
            raise UnusableError(
                f"it is not PEM of certificates and of a key without a password: {error}"
            ) from error
        self._check_chain(certificates)
        if key.public_key() != certificates[0].public_key():
            raise UnusableError("private-key is not that of certificate")
        begins, ends = tls.validity(certificates[0])
        chain = tuple(self._pem(one) for one in certificates)
        authority = Authority(certificate=chain[0], chain=chain, begins=begins, ends=ends, origin=origin)
        return authority, content["private-key"]

    def _check_chain(self, certificates: list[Any]) -> None:
        x509 = self._library("x509")
        now = self._machine.now()
        for lower, upper in zip(certificates, [*certificates[1:], certificates[-1]], strict=True):
            name = lower.subject.rfc4514_string()
            try:
                lower.verify_directly_issued_by(upper)
            except (self._library("exceptions").InvalidSignature, ValueError, TypeError) as error:
                raise UnusableError(
                    f"ca-chain does not lead from certificate to a root in order: {name} is not signed by "
                    f"{upper.subject.rfc4514_string()}"
                ) from error
            if tls.validity(lower)[1] <= now:
                raise UnusableError(f"{name} has expired")
            try:
                may_sign = lower.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            except x509.ExtensionNotFound:
                may_sign = False
            if not may_sign:
                raise UnusableError(f"{name} may not sign others (basicConstraints)")

    # Certificates

    def sign(self, csr: str, *, is_ca: bool, authority: Authority, key: str, validity: int) -> str:
        """Return a certificate for servers and clients, valid for so many seconds and not longer than its CA.

        Subject and names are those of the request; all other extensions are ours.

        Raises:
            RefusedError: The request is not signed.
        """
        x509, rsa, hashes, serialization = map(self._library, ("x509", "rsa", "hashes", "serialization"))
        if is_ca:
            raise RefusedError("it asks for a certificate that may sign others, which is not given")
        request, names = self._read_request(csr)
        issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
        signer = serialization.load_pem_private_key(key.encode(), password=None)
        begins = max(self._machine.now() - _SKEW, authority.begins)
        ends = min(begins + _SKEW + validity, authority.ends)
        if ends <= begins:
            # The CA has expired, and so is this: with it the requirer learns of the next CA.
            begins = authority.begins
        public_key = request.public_key()
        usage = _usage(
            x509, digital_signature=True, key_encipherment=isinstance(public_key, rsa.RSAPublicKey)
        )
        purposes = [x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
        builder = (
            self._builder(
                request.subject, issuer.subject, public_key, x509.random_serial_number(), (begins, ends)
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(above, critical=False)
        )
        if names is not None:
            # RFC 5280, 4.2.1.6: where there is no subject, the names have to be understood.
            builder = builder.add_extension(names, critical=not list(request.subject))
        # Ed25519 and Ed448 have their hash built in.
        digest = hashes.SHA384() if hasattr(signer, "key_size") else None
        return self._pem(builder.sign(signer, digest))

    def describe(self, certificate: str) -> dict[str, Any]:
        """Return what a certificate says: subject, names, serial number (hexadecimal) and end (UTC)."""
        x509 = self._library("x509")
        loaded = x509.load_pem_x509_certificate(certificate.encode())
        try:
            names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = []
        ends = datetime.fromtimestamp(tls.validity(loaded)[1], UTC)
        return {
            "subject": loaded.subject.rfc4514_string(),
            "sans": sorted(str(getattr(name.value, "dotted_string", name.value)) for name in names),
            "serial": f"{loaded.serial_number:x}",
            "not-after": ends.isoformat().replace("+00:00", "Z"),
        }

    def _read_request(self, csr: str) -> tuple[Any, Any]:
        """Return the request and the names in it (None without); it is one that may be signed."""
        x509 = self._library("x509")
        unreadable = (self._library("exceptions").UnsupportedAlgorithm, x509.DuplicateExtension)
        try:
            request = x509.load_pem_x509_csr(csr.encode())
            is_valid = request.is_signature_valid
            extensions = {extension.oid: extension.value for extension in request.extensions}
            key = request.public_key()
        except (ValueError, TypeError, *unreadable) as error:
            raise RefusedError("it is no certificate signing request that can be read") from error
        if not is_valid:
            raise RefusedError("its signature is not valid")
        constraints = extensions.get(x509.BasicConstraints.oid)
        if constraints is not None and constraints.ca:
            raise RefusedError("it asks for a certificate that may sign others, which is not given")
        self._check_key(key)
        return request, extensions.get(x509.SubjectAlternativeName.oid)

    def _check_key(self, key: Any) -> None:
        least = {
            self._library("rsa").RSAPublicKey: _LEAST_RSA,
            self._library("ec").EllipticCurvePublicKey: _LEAST_EC,
            self._library("ed25519").Ed25519PublicKey: 0,
            self._library("ed448").Ed448PublicKey: 0,
        }
        fewest = next((bits for kind, bits in least.items() if isinstance(key, kind)), None)
        if fewest is None:
            raise RefusedError("its key is neither RSA nor of an elliptic curve")
        if fewest and key.key_size < fewest:
            raise RefusedError(f"its key has {key.key_size} bits, {fewest} are the least")

    def _library(self, name: str) -> ModuleType:
        return self._machine.load_library(next(full for full in LIBRARIES if full.endswith(f".{name}")))

    def _builder(self, subject: Any, issuer: Any, key: Any, serial: int, life: tuple[float, float]) -> Any:
        x509 = self._library("x509")
        begins, ends = (datetime.fromtimestamp(int(time), UTC) for time in life)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _pem(self, certificate: Any) -> str:
        encoded = certificate.public_bytes(self._library("serialization").Encoding.PEM)
        return encoded.decode().strip()


def _usage(x509: Any, **allowed: bool) -> Any:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**(dict.fromkeys(names, False) | allowed))
