"""Both sides of `tls-certificates` and of `certificate_transfer`, against the libraries that Canonical publishes."""

import hashlib
import json
import time

import authority
import ops
import pytest
from charmlibs.interfaces import certificate_transfer as published_transfer
from charmlibs.interfaces import tls_certificates as published
from ops import testing

from openinfra_charm.interfaces import certificate_transfer, tls_certificates
from openinfra_charm.interfaces.tls_certificates import Issued, Refusal, Request

CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMIIA\n-----END CERTIFICATE REQUEST-----"
LEAF, ROOT = (
    f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----" for body in ("bGVhZg==", "cm9vdA==")
)
# What the published library 1.12 writes.
REQUESTS_ON_THE_WIRE = json.dumps([{"certificate_signing_request": CSR, "ca": False}])
ISSUED_ON_THE_WIRE = json.dumps(
    [{"ca": ROOT, "certificate_signing_request": CSR, "certificate": LEAF, "chain": [LEAF, ROOT]}]
)
ISSUED = Issued(csr=CSR, certificate=LEAF, ca=ROOT, chain=(LEAF, ROOT))


class Provider(ops.CharmBase):
    """As the certificates charm."""


class Requirer(ops.CharmBase):
    """As the mysql charm."""


class PublishedProvider(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        self.tls = published.TLSCertificatesProvidesV4(self, "certificates")


class PublishedRequirer(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        attributes = published.CertificateRequestAttributes(common_name="db.example", sans_dns=["db.example"])
        self.tls = published.TLSCertificatesRequiresV4(self, "certificates", [attributes])


class PublishedReceiver(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        self.cas = published_transfer.CertificateTransferRequires(self, "certificates")


def play(charm, relation, step=lambda *_: None, *, interface="tls-certificates", secrets=(), event=None):
    """Run a hook, and `step(charm, relation)` at its end; return its value and the state after it."""
    provides = "Provider" in charm.__name__
    meta = {
        "name": "certificates" if provides else "mysql",
        "provides" if provides else "requires": {"certificates": {"interface": interface}},
    }
    context = testing.Context(charm, meta)
    state = testing.State(leader=True, relations={relation}, secrets=secrets)
    with context(getattr(context.on, event)(relation) if event else context.on.start(), state) as manager:
        after = None if event is None else manager.run()
        value = step(manager.charm, manager.charm.model.get_relation("certificates"))
        return value, after or manager.run()


def from_mysql(units=None, application=None, **local):
    return testing.Relation(
        "certificates",
        remote_app_name="mysql",
        remote_units_data=units or {0: {}},
        remote_app_data=application or {},
        local_app_data=local,
    )


def from_provider(**data):
    return testing.Relation("certificates", remote_app_name="certificates", remote_app_data=data)


# Words on the wire


def test_requests_of_units_and_of_the_application_are_read():
    another = json.dumps([{"certificate_signing_request": "x\n", "ca": True}])
    relation = from_mysql(
        {1: {"certificate_signing_requests": REQUESTS_ON_THE_WIRE}, 0: {}},
        {"certificate_signing_requests": another},
    )
    requests, _ = play(Provider, relation, lambda _, seen: tls_certificates.read_requests(seen))
    assert requests == [Request(csr="x", is_ca=True), Request(csr=CSR, unit="mysql/1")]


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{}", "null", "[1]", '[{"ca": false}]', '[{"certificate_signing_request": 1}]']
)
def test_what_is_no_request_is_passed_over(text):
    relation = from_mysql({0: {"certificate_signing_requests": text}})
    assert play(Provider, relation, lambda _, seen: tls_certificates.read_requests(seen))[0] == []


def test_certificates_are_written_as_published_providers_do():
    def step(charm, relation):
        tls_certificates.publish(relation, charm.app, issued=[ISSUED], refusals=[], bundle=[ROOT])
        return tls_certificates.read_issued(relation, charm.app)

    relation = from_mysql()
    issued, after = play(Provider, relation, step)
    data = after.get_relation(relation.id).local_app_data
    assert issued == [ISSUED]
    assert issued[0].issuer == ROOT
    assert data == {"certificates": ISSUED_ON_THE_WIRE, "ca-bundle": json.dumps([ROOT])}


def test_a_request_is_written_as_published_requirers_do():
    relation = from_provider()
    _, after = play(
        Requirer,
        relation,
        lambda charm, seen: tls_certificates.publish_requests(seen, charm.unit, [f"{CSR}\n"]),
    )
    assert (
        after.get_relation(relation.id).local_unit_data["certificate_signing_requests"]
        == REQUESTS_ON_THE_WIRE
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "{}",
        "[1]",
        '[{"certificate": "x"}]',
        '[{"ca": "x", "certificate": "x", "certificate_signing_request": "x", "chain": 1}]',
    ],
)
def test_what_is_no_certificate_is_passed_over(text):
    relation = from_provider(certificates=text)
    assert play(Requirer, relation, lambda _, seen: tls_certificates.read_issued(seen))[0] == []


def test_revoked_certificates_are_told_from_others():
    revoked = [json.loads(ISSUED_ON_THE_WIRE)[0] | {"revoked": True, "chain": None}]
    relation = from_provider(certificates=json.dumps(revoked))
    (issued,), _ = play(Requirer, relation, lambda _, seen: tls_certificates.read_issued(seen))
    assert issued == Issued(csr=CSR, certificate=LEAF, ca=ROOT, chain=(LEAF,), revoked=True)
    assert issued.issuer == ROOT


def test_acknowledgements_come_across():
    relation = from_provider()
    _, after = play(
        Requirer,
        relation,
        lambda charm, seen: tls_certificates.acknowledge(seen, charm.unit, trusts=[ROOT], serves=LEAF),
    )
    said = after.get_relation(relation.id).local_unit_data
    back = from_mysql({0: {}, 1: said, 2: {"acknowledged": "[]"}})
    heard, _ = play(Provider, back, lambda _, seen: tls_certificates.read_acknowledgements(seen))
    assert heard["mysql/1"].trusts == {hashlib.sha256(b"root").hexdigest()}
    assert heard["mysql/1"].serves == hashlib.sha256(b"leaf").hexdigest()
    assert heard["mysql/0"] == heard["mysql/2"] == tls_certificates.Acknowledgement()


def test_what_is_there_is_not_written_again(monkeypatch):
    relation = from_mysql(certificates=ISSUED_ON_THE_WIRE)
    written = []
    monkeypatch.setattr(ops.RelationDataContent, "__setitem__", lambda _, key, value: written.append(key))

    def step(charm, seen):
        tls_certificates.publish(seen, charm.app, issued=[ISSUED], refusals=[], bundle=[])

    play(Provider, relation, step)
    assert written == []


# Against the published libraries


def test_a_published_requirer_takes_our_answer():
    now = time.time()
    root = authority.make("root", now)
    relation = from_provider()
    _, asked = play(PublishedRequirer, relation, event="relation_created")
    said = asked.get_relation(relation.id).local_unit_data
    (request,), _ = play(
        Provider, from_mysql({0: said}), lambda _, seen: tls_certificates.read_requests(seen)
    )
    leaf = root.sign(request.csr, now)
    issued = Issued(csr=request.csr, certificate=leaf, ca=root.pem, chain=(leaf, root.pem))
    ours = from_mysql({0: said})
    _, answered = play(
        Provider,
        ours,
        lambda charm, seen: tls_certificates.publish(
            seen, charm.app, issued=[issued], refusals=[Refusal(csr="y", message="no")], bundle=[root.pem]
        ),
    )
    data = answered.get_relation(ours.id).local_app_data
    back = testing.Relation(
        "certificates", remote_app_name="certificates", local_unit_data=said, remote_app_data=data
    )
    taken, _ = play(
        PublishedRequirer,
        back,
        lambda charm, _: charm.tls.get_assigned_certificates(),
        secrets=asked.secrets,
        event="relation_changed",
    )
    assert [str(one.certificate) for one in taken[0]] == [leaf]
    assert [str(one) for one in taken[0][0].chain] == [leaf, root.pem]


def test_a_published_provider_signs_our_request_and_we_take_its_answer():
    now = time.time()
    root = authority.make("root", now)
    key = published.PrivateKey.generate()
    csr = published.CertificateRequestAttributes(common_name="db").generate_csr(private_key=key)
    relation = from_provider()

    def ask(charm, seen):
        tls_certificates.publish_requests(seen, charm.unit, [str(csr)])
        tls_certificates.acknowledge(seen, charm.unit, trusts=[root.pem], serves=root.pem)

    _, asked = play(Requirer, relation, ask)
    leaf = root.sign(str(csr), now)

    def sign(charm, seen):
        (request,) = charm.tls.get_certificate_requests()
        ca, certificate = (published.Certificate.from_string(text) for text in (root.pem, leaf))
        charm.tls.set_relation_certificate(
            published.ProviderCertificate(
                relation_id=seen.id,
                certificate=certificate,
                certificate_signing_request=request.certificate_signing_request,
                ca=ca,
                chain=[certificate, ca],
            )
        )

    theirs = from_mysql({0: asked.get_relation(relation.id).local_unit_data})
    _, signed = play(PublishedProvider, theirs, sign)
    back = from_provider(**signed.get_relation(theirs.id).local_app_data)
    issued, _ = play(Requirer, back, lambda _, seen: tls_certificates.read_issued(seen))
    assert issued == [Issued(csr=str(csr), certificate=leaf, ca=root.pem, chain=(leaf, root.pem))]


def test_refusals_come_across():
    ours = from_mysql()
    _, refused = play(
        Provider,
        ours,
        lambda charm, seen: tls_certificates.publish(
            seen, charm.app, issued=[], refusals=[Refusal(csr=CSR, message="too short")], bundle=[]
        ),
    )
    data = refused.get_relation(ours.id).local_app_data
    told, _ = play(Requirer, from_provider(**data), lambda _, seen: tls_certificates.read_refusals(seen))
    assert told == [Refusal(csr=CSR, message="too short")]
    assert json.loads(data["request_errors"])[0]["error"] == {
        "code": published.CertificateRequestErrorCode.OTHER.value,
        "name": published.CertificateRequestErrorCode.OTHER.name,
        "message": "too short",
    }


def test_a_published_receiver_takes_our_bundle():
    relation = from_mysql()
    _, sent = play(
        Provider,
        relation,
        lambda charm, seen: certificate_transfer.publish(seen, charm.app, [f"{ROOT}\n", LEAF, ROOT]),
        interface="certificate_transfer",
    )
    data = sent.get_relation(relation.id).local_app_data
    assert data == {"certificates": json.dumps([LEAF, ROOT]), "version": "1"}
    back = from_provider(**data)
    received, asked = play(
        PublishedReceiver,
        back,
        lambda charm, _: charm.cas.get_all_certificates(),
        interface="certificate_transfer",
        event="relation_created",
    )
    assert received == {LEAF, ROOT}
    mine, said = play(
        Requirer,
        back,
        lambda charm, seen: (certificate_transfer.announce(seen, charm.app), certificate_transfer.read(seen)),
        interface="certificate_transfer",
    )
    assert mine == (None, [LEAF, ROOT])
    assert said.get_relation(back.id).local_app_data == asked.get_relation(back.id).local_app_data


def test_receivers_acknowledge_too():
    relation = from_provider()
    _, after = play(
        Requirer,
        relation,
        lambda charm, seen: certificate_transfer.acknowledge(seen, charm.unit, [ROOT]),
        interface="certificate_transfer",
    )
    back = from_mysql({0: after.get_relation(relation.id).local_unit_data})
    heard, _ = play(Provider, back, lambda _, seen: certificate_transfer.read_acknowledgements(seen))
    assert heard["mysql/0"] == tls_certificates.Acknowledgement(
        trusts=frozenset({hashlib.sha256(b"root").hexdigest()})
    )


@pytest.mark.parametrize("text", ["", "no JSON", "{}"])
def test_what_is_no_bundle_is_none(text):
    relation = from_provider(certificates=text)
    assert play(Requirer, relation, lambda _, seen: certificate_transfer.read(seen))[0] == []
