"""What is signed and what is not, looked at with the library and with openssl."""

import subprocess
import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from sites import DAY, intermediate, load, pem, request

from certificates import RefusedError, Signer, UnusableError
from openinfra_charm.daemon import tls
from state import Authority, Settings


@pytest.fixture
def signer(machine):
    return Signer(machine, "certificates")


@pytest.fixture
def settings(defaults):
    return Settings.parse(defaults)


@pytest.fixture
def root(signer, settings):
    return signer.make_root(settings)


@pytest.fixture
def sign(signer, root):
    def sign(csr, *, validity=DAY, is_ca=False, ca=root):
        return signer.sign(csr, is_ca=is_ca, authority=ca[0], key=ca[1], validity=validity)

    return sign


def extension(certificate, kind) -> Any:
    return certificate.extensions.get_extension_for_class(kind)


def test_a_root_may_sign_certificates_only(machine, root):
    authority, key = root
    certificate = load(authority.certificate)
    assert extension(certificate, x509.BasicConstraints).value == x509.BasicConstraints(
        ca=True, path_length=0
    )
    usage = extension(certificate, x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    certificate.verify_directly_issued_by(certificate)
    assert authority.ends - machine.now() == 3650 * DAY
    assert authority.chain == (authority.certificate,)
    assert "PRIVATE KEY" in key


def test_two_roots_of_the_same_name_are_told_apart(signer, settings):
    first, second = (load(signer.make_root(settings)[0].certificate).subject for _ in range(2))
    assert first != second
    assert all("CN=openinfra CA" in name.rfc4514_string() for name in (first, second))


def test_a_certificate_is_for_servers_and_clients(machine, sign, root):
    csr = request("db.example", "*.example")
    certificate = load(sign(csr))
    certificate.verify_directly_issued_by(load(root[0].certificate))
    assert extension(certificate, x509.BasicConstraints).value.ca is False
    assert set(extension(certificate, x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    names = extension(certificate, x509.SubjectAlternativeName)
    assert (names.value.get_values_for_type(x509.DNSName), names.critical) == (
        ["db.example", "*.example"],
        False,
    )
    assert certificate.subject.rfc4514_string() == "CN=db"
    assert certificate.public_key() == x509.load_pem_x509_csr(csr.encode()).public_key()
    assert tls.validity(certificate) == (machine.now() - 60, machine.now() + DAY)
    assert extension(certificate, x509.KeyUsage).value.key_encipherment is False


def test_without_a_subject_the_names_have_to_be_understood(sign):
    certificate = load(sign(request("db.example", name="")))
    assert extension(certificate, x509.SubjectAlternativeName).critical is True


def test_no_certificate_outlasts_its_ca(machine, sign, root):
    machine.clock += 3650 * DAY - 100
    assert tls.validity(load(sign(request("a"))))[1] == root[0].ends


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())],
    ids=["rsa", "curve"],
)
def test_good_keys_are_signed(sign, key):
    certificate = load(sign(request("a", key=key)))
    assert certificate.public_key() == key.public_key()
    assert extension(certificate, x509.KeyUsage).value.key_encipherment is isinstance(key, rsa.RSAPrivateKey)


def test_ed25519_is_signed(sign):
    key = ed25519.Ed25519PrivateKey.generate()
    csr = pem(x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, None))
    assert load(sign(csr)).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("csr", "why"),
    [
        ("nonsense", "no certificate signing request"),
        (request("a", key=rsa.generate_private_key(65537, 1024)), "1024 bits, 2048 are the least"),
        (request("a", key=ec.generate_private_key(ec.SECP224R1())), "224 bits, 256 are the least"),
        (request("a", key=dsa.generate_private_key(2048)), "neither RSA nor"),
        (request("a", extensions=[x509.BasicConstraints(ca=True, path_length=None)]), "may sign others"),
    ],
)
def test_what_is_not_signed(sign, csr, why):
    with pytest.raises(RefusedError, match=why):
        sign(csr)


def test_a_request_for_a_ca_is_refused(sign):
    with pytest.raises(RefusedError, match="may sign others"):
        sign(request("a"), is_ca=True)


def test_a_request_whose_signature_was_changed_is_refused(sign):
    lines = request("a").split("\n")
    body = "".join(lines[1:-1])
    spoilt = body[:-12] + ("AAAA" if body[-12:-8] != "AAAA" else "BBBB") + body[-8:]
    with pytest.raises(RefusedError):
        sign("\n".join([lines[0], spoilt, lines[-1]]))


def test_an_operators_intermediate_signs(machine, signer, sign, tmp_path):
    content = intermediate(machine.now())
    authority, key = signer.read_intermediate(content, "secret:x")
    assert authority == Authority(
        certificate=content["certificate"],
        chain=(content["certificate"], content["ca-chain"]),
        begins=machine.now(),
        ends=machine.now() + 1000 * DAY,
        origin="secret:x",
    )
    assert authority.root == content["ca-chain"]
    load(sign(request("a"), ca=(authority, key))).verify_directly_issued_by(load(content["certificate"]))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ca-chain": ""}, "it lacks ca-chain"),
        ({"certificate": "", "private-key": ""}, "it lacks certificate, private-key"),
        ({"private-key": "x"}, "not PEM"),
        ({"certificate": "-----BEGIN CERTIFICATE-----\nAAAA"}, "not PEM"),
        ({"ca-chain": intermediate(1e6)["ca-chain"]}, "does not lead from certificate to a root"),
        ({"private-key": intermediate(1e6)["private-key"]}, "private-key is not that of certificate"),
    ],
)
def test_an_intermediate_that_cannot_be_used_says_why(signer, change, why):
    with pytest.raises(UnusableError, match=why):
        signer.read_intermediate({**intermediate(1e6), **change}, "secret:x")


def test_an_intermediate_has_to_lead_to_a_root(signer, machine):
    content = intermediate(machine.now())
    with pytest.raises(UnusableError, match="CN=site intermediate is not signed by CN=site intermediate"):
        signer.read_intermediate({**content, "ca-chain": content["certificate"]}, "secret:x")


def test_an_intermediate_has_to_be_valid_and_a_ca(signer, machine):
    with pytest.raises(UnusableError, match="CN=site intermediate may not sign others"):
        signer.read_intermediate(intermediate(machine.now(), ca=False), "secret:x")
    content = intermediate(machine.now())
    machine.clock += 1001 * DAY
    with pytest.raises(UnusableError, match="has expired"):
        signer.read_intermediate(content, "secret:x")


def test_openssl_accepts_it(machine, signer, settings, sign, tmp_path):
    machine.clock = time.time()
    content = intermediate(machine.now())
    for authority, key in (signer.make_root(settings), signer.read_intermediate(content, "secret:x")):
        leaf = sign(request("db.example"), ca=(authority, key))
        files = {
            "leaf": leaf,
            "root": authority.root,
            "between": "\n".join(authority.chain[:-1]) or authority.root,
        }
        for name, text in files.items():
            (tmp_path / name).write_text(f"{text}\n")
        for purpose in ("sslserver", "sslclient"):
            # What the tests' own CA lacks is not ours to answer for.
            strict = [] if authority.origin else ["-x509_strict"]
            trusted = ["-CAfile", "root", "-untrusted", "between"]
            words = ["openssl", "verify", *strict, "-purpose", purpose, *trusted, "leaf"]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.stdout == "leaf: OK\n", done.stderr


def test_a_certificate_is_described(machine, sign, signer):
    described = signer.describe(sign(request("b.example", "a.example")))
    serial = described.pop("serial")
    assert int(serial, 16) > 0
    assert described == {
        "subject": "CN=db",
        "sans": ["a.example", "b.example"],
        "not-after": "1970-01-13T13:46:40Z",
    }
    assert signer.describe(sign(request()))["sans"] == []


def test_the_machine_gets_the_library_and_keeps_nothing(machine, signer):
    signer.install()
    assert signer.version() == "1.0"
    signer.remove()
    assert machine.packages == {}
    assert [path for path, node in machine.nodes.items() if node.is_file] == []
