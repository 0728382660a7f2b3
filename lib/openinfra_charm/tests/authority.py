"""A CA of a few lines, for tests of those who use one."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = 86400


@dataclass
class Authority:
    """A key and a certificate that may sign; `signed_by` is None for a root."""

    name: str
    key: Any
    certificate: Any
    signed_by: "Authority | None"

    @property
    def pem(self):
        return pem(self.certificate)

    def sign(self, csr, now, days=30):
        """Return a certificate for all that a request names."""
        request = x509.load_pem_x509_csr(csr.encode())
        issuer, extensions = self.certificate.subject, tuple(request.extensions)
        return pem(
            build(
                request.subject, issuer, request.public_key(), self.key, now, days=days, extensions=extensions
            )
        )

    def __deepcopy__(self, _):
        """Return this one: it never changes, and neither do its key and certificate."""
        return self


def make(name, now, signed_by=None):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (signed_by.certificate.subject, signed_by.key) if signed_by else (subject, key)
    certificate = build(subject, issuer, key.public_key(), signer, now, days=3650, is_ca=True)
    return Authority(name, key, certificate, signed_by)


def build(subject, issuer, public_key, key, now, *, days, is_ca=False, extensions=()):
    begins = dt.datetime.fromtimestamp(now, dt.UTC)
    builder = (
        x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(key, hashes.SHA256())


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode().strip()


def names(certificate):
    """Return all that a certificate names."""
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    found = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}
