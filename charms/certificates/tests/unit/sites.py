"""A CA's customers: requests, an operator's CA, and a unit of the charm with all that Juju keeps for it."""

import dataclasses
import datetime as dt
import json
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ops import testing

from charm import CertificatesCharm
from openinfra_charm.interfaces.tls_certificates import fingerprint

DAY = 86400


def request(*names, key=None, name="db", extensions=()):
    """Return a CSR."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    builder = x509.CertificateSigningRequestBuilder(subject)
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternatives, critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return pem(signed)


def pem(signed):
    return signed.public_bytes(serialization.Encoding.PEM).decode().strip()


def load(certificate):
    return x509.load_pem_x509_certificate(certificate.encode())


def intermediate(now, *, days=1000, ca=True):
    """Return the content of an operator's secret: an intermediate of a root of his own."""
    begins = dt.datetime.fromtimestamp(now, dt.UTC)

    def sign(name, issuer, public_key, key, *, may_sign):
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (issuer, name)]
        return (
            x509.CertificateBuilder(names[0], names[1], public_key, x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=may_sign, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )

    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    above = sign("site root", "site root", root.public_key(), root, may_sign=True)
    encoded = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "certificate": pem(sign("site intermediate", "site root", own.public_key(), root, may_sign=ca)),
        "private-key": encoded.decode(),
        "ca-chain": pem(above),
    }


class Site:
    """One unit, hook after hook; `requests` maps units of the requirer to their CSRs, `said` to acknowledgements."""

    def __init__(self, machine):
        self.machine = machine
        self.context = testing.Context(CertificatesCharm, app_name="certificates")
        self.on = self.context.on
        self.peers = testing.PeerRelation("cluster", id=1)
        self.mysql = testing.Relation("certificates", id=2, remote_app_name="mysql", remote_units_data={})
        self.receiver = testing.Relation(
            "send-ca-cert", id=3, remote_app_name="horizon", remote_units_data={}
        )
        self.requests: dict[str, str] = {}
        self.said: dict[str, dict] = {}
        self.state = testing.State(leader=True, relations={self.peers, self.mysql, self.receiver})

    def run(self, event=None, **changes):
        """Play a hook with the requirers' words as they are now; `event` may be a function that makes one of the relation."""
        units = {}
        for unit, csr in self.requests.items():
            wanted = json.dumps([{"certificate_signing_request": csr, "ca": False}])
            units[int(unit.rpartition("/")[2])] = {
                "certificate_signing_requests": wanted,
                "acknowledged": json.dumps(self.said.get(unit, {})),
            }
        before = {one.id: one for one in self.state.relations}
        before[2] = dataclasses.replace(before[2], remote_units_data=units)
        state = dataclasses.replace(self.state, relations=frozenset(before.values()), **changes)
        due: Any = event(state.get_relation(2)) if callable(event) else event
        self.state = self.context.run(due or self.on.update_status(), state)
        return self.state.unit_status

    def action(self, name, **params):
        """Run an action; return its summary and result."""
        given = {key.replace("_", "-"): value for key, value in params.items()}
        self.run(self.on.action(name, params=given))
        results = self.context.action_results or {}
        return results["summary"], json.loads(results["result"])

    def configure(self, **options):
        """Set options; return the status."""
        config = {key.replace("_", "-"): value for key, value in options.items()}
        return self.run(self.on.config_changed(), config={**self.state.config, **config})

    def data(self, relation=2):
        return self.state.get_relation(relation).local_app_data

    @property
    def issued(self):
        return json.loads(self.data().get("certificates", "[]"))

    @property
    def refused(self):
        return [one["error"]["message"] for one in json.loads(self.data().get("request_errors", "[]"))]

    @property
    def bundle(self):
        return json.loads(self.data()["ca-bundle"])

    def acknowledge(self, *units):
        """Have units trust and serve what they have been given."""
        given = {one["certificate_signing_request"]: one["certificate"] for one in self.issued}
        for unit in units:
            self.said[unit] = {
                "trusts": [fingerprint(ca) for ca in self.bundle],
                "serves": fingerprint(given[self.requests[unit]]),
            }
