"""A unit's certificate: asked for, taken, renewed, and nothing done when there is nothing to do."""

import json
from typing import Any

import authority
import ops
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from ops import testing

from openinfra_charm import machine as machines
from openinfra_charm.daemon.tls import Certificate, Subject
from openinfra_charm.interfaces import tls_certificates
from openinfra_charm.testing import Cryptography

SUBJECT = Subject(common_name="db.example", dns=("db.example", "db"), addresses=("10.0.0.5", "fd00::5"))
FOLDER = "/etc/mysql/tls"
KEY, LEAF, CHAIN, CA = (f"{FOLDER}/{name}.pem" for name in ("key", "certificate", "chain", "ca"))
DAY = 86400


class Probe(ops.CharmBase):
    """Has a certificate."""


class Site:
    """A unit with its machine, and the relation to a CA, hook after hook."""

    def __init__(self, machine):
        machine.bring(Cryptography())
        self.machine = machine
        self.root = authority.make("root", machine.now())
        self.said = {}
        self.told = {}
        self.options: dict[str, Any] = {"user": "mysql", "group": "mysql"}

    @property
    def tls(self):
        return Certificate(self.machine, "mysql", **self.options)

    def play(self, step):
        context = testing.Context(
            Probe, {"name": "mysql", "requires": {"certificates": {"interface": "tls-certificates"}}}
        )
        relation = testing.Relation(
            "certificates", remote_app_name="ca", local_unit_data=self.said, remote_app_data=self.told
        )
        with context(context.on.update_status(), testing.State(relations={relation})) as manager:
            value = step(manager.charm.model.get_relation("certificates"), manager.charm.unit)
            self.said = manager.run().get_relation(relation.id).local_unit_data
        return value

    def update(self, subject=SUBJECT):
        return self.play(lambda relation, unit: self.tls.update(relation, unit, subject))

    def acknowledge(self):
        return self.play(self.tls.acknowledge)

    def problem(self):
        return self.play(lambda relation, _: self.tls.problem(relation))

    @property
    def csr(self):
        (request,) = json.loads(self.said["certificate_signing_requests"])
        return request["certificate_signing_request"]

    def answer(self, signer=None, **fields):
        """Have the CA answer the latest request; return the certificate."""
        signer = signer or self.root
        leaf = signer.sign(self.csr, self.machine.now())
        entry = {"certificate": leaf, "certificate_signing_request": self.csr, "ca": signer.pem}
        entry |= {"chain": [leaf, signer.pem]} | fields
        self.told = {"certificates": json.dumps([entry])}
        return leaf


@pytest.fixture
def site(machine):
    return Site(machine)


def test_a_request_has_all_names_and_the_key_is_its_owners(site):
    assert site.update() is False
    request = x509.load_pem_x509_csr(site.csr.encode())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["db", "db.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.5", "fd00::5"]
    assert request.is_signature_valid
    node = site.machine.nodes[KEY]
    assert (node.mode, node.owner) == (0o600, ("mysql", "mysql"))
    key = serialization.load_pem_private_key(site.machine.read(KEY).encode(), None)
    assert key.public_key() == request.public_key()
    assert site.machine.argv == []
    assert (site.tls.ready, site.tls.current, site.tls.ends) == (False, False, 0)
    assert site.problem() == "for a certificate from ca"


def test_the_answer_is_written(site):
    site.update()
    leaf = site.answer()
    assert site.update() is True
    read = site.machine.read
    assert (read(LEAF), read(CHAIN), read(CA)) == (f"{leaf}\n", f"{leaf}\n", f"{site.root.pem}\n")
    assert site.tls.ready
    assert site.tls.current
    assert site.problem() == ""
    assert site.tls.ends - site.machine.now() == 30 * DAY
    assert site.tls.renew_at - site.machine.now() == 20 * DAY
    assert {site.machine.nodes[path].mode for path in (LEAF, CHAIN, CA)} == {0o644}


def test_with_nothing_new_nothing_is_done(site, monkeypatch):
    site.update()
    assert site.update() is False
    site.answer()
    site.update()
    site.acknowledge()
    site.machine.log.clear()
    monkeypatch.setattr(site.machine, "libraries", {})
    written = []
    monkeypatch.setattr(ops.RelationDataContent, "__setitem__", lambda _, key, value: written.append(key))
    shuffled = Subject(
        common_name="db.example", dns=("db", "db.example", "db"), addresses=("fd00:0::5", "10.0.0.5")
    )
    assert site.update(shuffled) is False
    site.acknowledge()
    assert (site.machine.log, written) == ([], [])


def test_a_subject_has_the_machine_and_all_hosts_that_clients_use():
    served = ("10.0.0.5", "10.0.0.5", "fd00::5", "db.example.com", "203.0.113.5")
    assert Subject.of("db-0", served) == Subject(
        common_name="db-0", dns=("db-0", "db.example.com"), addresses=("10.0.0.5", "203.0.113.5", "fd00::5")
    )


def test_a_machine_that_is_called_like_an_address_is_not_taken_for_one():
    assert Subject.of("10", ["10.0.0.5"]) == Subject(common_name="10", dns=("10",), addresses=("10.0.0.5",))


def test_it_is_renewed_at_two_thirds_of_its_life_and_serves_until_then(site):
    site.update()
    leaf, first, key = site.answer(), site.csr, None
    site.update()
    key = site.machine.read(KEY)
    site.machine.clock += 20 * DAY - 1
    site.update()
    assert site.csr == first
    site.machine.clock += 1
    assert site.update() is False
    second = site.csr
    assert second != first
    assert site.machine.read(CHAIN) == f"{leaf}\n"
    assert (site.tls.ready, site.tls.current) == (True, False)
    site.update()
    assert site.csr == second
    renewed = site.answer()
    assert site.update() is True
    assert site.machine.read(CHAIN) == f"{renewed}\n"
    assert site.machine.read(KEY) == key
    assert site.tls.current
    assert site.tls.renew_at == site.machine.now() + 20 * DAY


@pytest.mark.parametrize(
    ("minutes", "requirers", "part"),
    [(3, 32, 1 / 3), (3, 0, 2 / 3), (60 * 24 * 90, 512, 0.6663), (30, 64, 0.4533)],
)
def test_where_many_wait_for_a_short_certificate_it_is_renewed_earlier(site, minutes, requirers, part):
    site.update()
    life = minutes * 60
    leaf = site.root.sign(site.csr, site.machine.now(), life / DAY)
    entry = {"certificate": leaf, "certificate_signing_request": site.csr, "ca": site.root.pem}
    site.told = {"certificates": json.dumps([entry])} | ({"requirers": str(requirers)} if requirers else {})
    site.update()
    assert (site.tls.renew_at - site.machine.now()) / life == pytest.approx(part, abs=1e-4)


def test_a_certificate_from_a_clock_that_is_ahead_is_asked_for_anew(site):
    site.update()
    first = site.csr
    site.machine.clock += 400 * DAY
    site.answer()
    site.machine.clock -= 400 * DAY - 120
    assert site.update() is True
    assert not site.tls.current
    assert site.problem() == (
        "for ca to renew the certificate, which begins 1971-02-16 13:46Z: is the clock right here, and there?"
    )
    site.update()
    assert site.csr != first
    site.answer()
    site.update()
    assert site.tls.current
    assert site.problem() == ""


def test_a_wrong_clock_does_not_have_it_ask_in_every_hook(site):
    site.update()
    site.answer()
    site.machine.clock += 400 * DAY
    seen = {site.csr}
    for _ in range(5):
        site.update()
        seen.add(site.csr)
        site.machine.clock -= 400 * DAY
        site.answer()
        site.machine.clock += 400 * DAY + 1
    assert len(seen) == 2
    site.machine.clock -= 400 * DAY
    site.update()
    assert site.tls.current


def test_other_names_are_asked_for_anew(site):
    site.update()
    leaf, first = site.answer(), site.csr
    site.update()
    moved = Subject(common_name="db.example", dns=("db.example",), addresses=("10.0.0.6",))
    assert site.update(moved) is False
    assert site.csr != first
    assert site.machine.read(CHAIN) == f"{leaf}\n"
    assert not site.tls.current


def test_a_lost_key_is_made_anew(site):
    site.update()
    first = site.csr
    site.machine.remove(KEY)
    site.update()
    assert site.machine.read(KEY)
    assert site.csr != first


def test_a_reissued_certificate_is_taken(site):
    site.update()
    site.answer()
    site.update()
    csr = site.csr
    site.machine.clock += DAY
    leaf = site.answer()
    assert site.update() is True
    assert (site.csr, site.machine.read(LEAF)) == (csr, f"{leaf}\n")
    assert site.tls.ends == site.machine.now() + 30 * DAY


def test_the_chain_ends_before_the_root(site):
    between = authority.make("between", site.machine.now(), site.root)
    site.update()
    leaf = between.sign(site.csr, site.machine.now())
    chain = [leaf, between.pem, site.root.pem]
    for order in (chain, chain[::-1]):
        site.answer(certificate=leaf, chain=order, ca=site.root.pem)
        site.update()
        assert site.machine.read(CHAIN) == f"{leaf}\n{between.pem}\n"
        assert site.machine.read(CA) == f"{site.root.pem}\n"
    # As a provider does that calls its intermediate its CA.
    site.answer(certificate=leaf, chain=chain, ca=between.pem)
    site.update()
    assert site.machine.read(CHAIN) == f"{leaf}\n{between.pem}\n{site.root.pem}\n"
    assert site.machine.read(CA) == f"{between.pem}\n{site.root.pem}\n"


def test_all_cas_of_the_bundle_are_trusted_and_acknowledged(site):
    coming = authority.make("coming", site.machine.now())
    site.update()
    leaf = site.answer()
    site.told["ca-bundle"] = json.dumps([site.root.pem, coming.pem])
    before = site.tls.inputs
    assert site.update() is True
    assert site.machine.read(CA) == f"{site.root.pem}\n{coming.pem}\n"
    assert site.tls.inputs != before
    assert "acknowledged" not in site.said
    site.acknowledge()
    assert json.loads(site.said["acknowledged"]) == {
        "trusts": sorted(tls_certificates.fingerprint(ca) for ca in (site.root.pem, coming.pem)),
        "serves": tls_certificates.fingerprint(leaf),
    }


@pytest.mark.parametrize("fault", ["another key", "no certificate", "revoked", "another request"])
def test_what_does_not_fit_is_not_taken(site, fault):
    site.update()
    leaf = site.answer()
    other = Site(machines_like(site.machine))
    other.update()
    fields = {
        "another key": {"certificate": site.root.sign(other.csr, site.machine.now())},
        "no certificate": {"certificate": "nonsense"},
        "revoked": {"revoked": True},
        "another request": {"certificate_signing_request": other.csr},
    }[fault]
    (entry,) = json.loads(site.told["certificates"])
    site.told = {"certificates": json.dumps([entry | fields])}
    assert site.update() is False
    assert not site.tls.ready
    site.told = {"certificates": json.dumps([entry])}
    assert site.update() is True
    assert site.machine.read(LEAF) == f"{leaf}\n"


def machines_like(machine):
    return type(machine)("another", machine.time)


def test_a_file_that_was_changed_by_hand_is_put_right(site):
    site.update()
    leaf = site.answer()
    site.update()
    site.machine.write(LEAF, "by hand")
    assert site.update() is True
    assert site.machine.read(LEAF) == f"{leaf}\n"


def test_chain_and_key_in_one_file(site):
    site.options = {"combined": True, "folder": "/etc/haproxy/tls"}
    site.update()
    leaf = site.answer()
    site.update()
    node = site.machine.nodes["/etc/haproxy/tls/combined.pem"]
    assert (node.mode, node.owner) == (0o600, ("root", "root"))
    assert node.content == f"{leaf}\n{site.machine.read('/etc/haproxy/tls/key.pem')}"
    assert site.tls.ready
    site.machine.remove("/etc/haproxy/tls/combined.pem")
    assert not site.tls.ready


def test_the_key_is_written_anew_after_each_certificate_for_who_looks_at_its_time(site):
    site.options["key_goes_last"] = True
    site.update()
    site.answer()
    site.update()
    key = site.machine.read(KEY)
    for _ in range(2):
        site.machine.clock += 20 * DAY
        site.update()
        site.answer()
        site.machine.log.clear()
        assert site.update()
        written = [line for line in site.machine.log if line.endswith((LEAF, CHAIN, KEY))]
        assert written == [f"write {LEAF}", f"write {CHAIN}", f"renew {KEY}"]
        site.machine.log.clear()
        site.update()
        assert site.machine.log == []
    assert site.machine.read(KEY) == key


@pytest.mark.parametrize("changes", range(30))
def test_a_hook_that_dies_before_the_key_is_written_anew_is_made_up_for(site, changes):
    from openinfra_charm.testing import Fuse, Killed

    site.options["key_goes_last"] = True
    site.update()
    site.answer()
    site.update()
    site.machine.clock += 20 * DAY
    site.update()
    leaf = site.answer()
    site.machine.log.clear()
    try:
        with site.machine.fused(Fuse(changes)):
            site.update()
    except Killed:
        pass
    site.update()
    assert site.machine.read(LEAF) == f"{leaf}\n"
    written = [line for line in site.machine.log if line.endswith((LEAF, CHAIN, KEY))]
    assert written[-1] == f"renew {KEY}"


def test_a_common_name_is_as_long_as_it_may_be(site):
    name = f"{'a' * 60}.example"
    site.update(Subject(common_name=name, dns=(name,)))
    subject = x509.load_pem_x509_csr(site.csr.encode()).subject
    assert subject.rfc4514_string() == f"CN={name[:64]}"


def test_problems_say_who_has_to_do_what(site):
    assert Certificate(site.machine, "mysql").problem(None) == (
        "certificates: integrate with an application that provides tls-certificates"
    )
    site.update()
    error = {"code": 999, "name": "OTHER", "message": "its key is too short"}
    site.told = {"request_errors": json.dumps([{"csr": site.csr, "error": error}])}
    assert site.problem() == "ca does not sign the request: its key is too short"
    site.answer()
    site.update()
    site.machine.clock += 20 * DAY
    site.update()
    assert not site.tls.current
    assert site.problem() == ""
    site.machine.clock += 4 * DAY
    assert site.problem() == "for ca to renew the certificate, which ends 1970-02-11 13:46Z"
    site.update(Subject(common_name="other"))
    assert site.problem() == "for a certificate from ca"


def test_without_a_relation_nothing_changes(site):
    unit = None
    assert site.tls.update(None, unit, SUBJECT) is False
    site.tls.acknowledge(None, unit)
    assert site.machine.log == []


def test_nothing_is_left(site):
    before = set(site.machine.nodes)
    site.update()
    site.answer()
    site.update()
    assert set(site.machine.nodes) != before
    site.tls.remove()
    assert set(site.machine.nodes) == before
    assert not site.machine.exists(FOLDER)


@pytest.mark.parametrize("changes", range(25))
def test_a_hook_that_dies_leaves_a_pair_that_fits(site, changes):
    from openinfra_charm.testing import Fuse, Killed

    site.update()
    site.answer()
    try:
        with site.machine.fused(Fuse(changes)):
            site.update()
    except Killed:
        pass
    site.machine.power_off()
    site.machine.power_on()
    leaf = site.machine.read(CHAIN)
    key = serialization.load_pem_private_key(site.machine.read(KEY).encode(), None)
    if leaf is not None:
        assert x509.load_pem_x509_certificate(leaf.encode()).public_key() == key.public_key()
    site.update()
    assert site.tls.current


def test_the_real_machine_takes_it(real, tmp_path, monkeypatch):
    """The library as it is installed, the files as they are on a disk."""
    with machines.use(real):
        site = Site.__new__(Site)
        site.machine, site.said, site.told = real, {}, {}
        site.options = {"folder": str(tmp_path / "tls")}
        site.root = authority.make("root", real.now())
        tls = Certificate(real, "mysql", **site.options)
        monkeypatch.setattr(tls, "_record", str(tmp_path / "record.json"))
        monkeypatch.setattr(Site, "tls", tls)
        site.update()
        site.answer()
        assert site.update() is True
        assert tls.current
        checked = real.run("openssl", "verify", "-CAfile", tls.ca_path, tls.chain_path)
        assert checked.stdout == f"{tls.chain_path}: OK\n"
