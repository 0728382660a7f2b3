"""OVN's databases as a cloud management system uses them: where they are, and by what they know who asks."""

import configparser

import authority
import ops
import pytest
from ops import testing

from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces.ovsdb import Connections
from openinfra_charm.interfaces.tls_certificates import Issued
from openinfra_charm.model.databag import RelationError
from openinfra_charm.openstack import oslo
from openinfra_charm.openstack.needs import NETWORKS, Requirer
from openinfra_charm.openstack.spec import Options, Ports, Spec, State
from openinfra_charm.openstack.workload import Workload
from openinfra_charm.testing import Cryptography

FOUND = Connections(northbound="ssl:10.0.0.5:6641,ssl:10.0.0.6:6641", southbound="ssl:10.0.0.5:16642")


class Trust:
    """Where certificates are kept."""

    site, certificate, key = "/tls/ca.pem", "/tls/chain.pem", "/tls/key.pem"

    def keep(self, whom, cas):
        return f"/tls/{whom}-ca.pem" if list(cas) else ""


TRUST = Trust()


class Requiring(ops.CharmBase):
    """As the neutron charm."""


def read(**addresses):
    """Return what the need reads, where the units of ovn-central have published these addresses."""
    meta = {"name": "neutron", "requires": {"ovsdb-cms": {"interface": "ovsdb-cms"}}}
    context = testing.Context(Requiring, meta, app_name="neutron")
    units = {int(unit[1:]): {"bound-address": address} for unit, address in addresses.items()}
    relation = testing.Relation("ovsdb-cms", remote_app_name="ovn-central", remote_units_data=units)
    with context(context.on.update_status(), testing.State(relations={relation})) as manager:
        model = manager.charm.model
        requirer = Requirer(model=model, application=model.app, region="RegionOne")
        related = model.get_relation("ovsdb-cms")
        assert related
        return NETWORKS.read(related, requirer)


def test_all_servers_are_known_at_the_port_of_those_who_write_all():
    found = read(u0="10.0.0.5", u1="fd00::6")
    assert found
    assert found.northbound == "ssl:10.0.0.5:6641,ssl:[fd00::6]:6641"
    assert found.southbound == "ssl:10.0.0.5:16642,ssl:[fd00::6]:16642"


def test_servers_that_have_not_said_where_they_are_are_waited_for():
    assert read(u0="") is None


def test_what_would_be_another_line_of_the_configuration_is_refused():
    with pytest.raises(RelationError, match="bound-address"):
        read(u0="10.0.0.5\novn_nb_ca_cert = /tmp/x")


def test_both_databases_are_asked_as_the_unit():
    config = configparser.RawConfigParser(default_section="")
    config.read_string(oslo.sections(NETWORKS.sections(FOUND, TRUST)))
    assert dict(config["ovn"]) == {
        "ovn_nb_connection": FOUND.northbound, "ovn_nb_ca_cert": "/tls/ca.pem",
        "ovn_nb_certificate": "/tls/chain.pem", "ovn_nb_private_key": "/tls/key.pem",
        "ovn_sb_connection": FOUND.southbound, "ovn_sb_ca_cert": "/tls/ca.pem",
        "ovn_sb_certificate": "/tls/chain.pem", "ovn_sb_private_key": "/tls/key.pem",
    }  # fmt: skip


def test_without_databases_there_is_nothing():
    assert NETWORKS.sections(None, TRUST) == {}


@pytest.fixture
def workload(machine, tmp_path):
    """A service that needs OVN's databases."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/neutron.conf.j2").write_text("{{ networks }}")
    spec = Spec(
        name="neutron", ports=Ports(public=1, backend=2, proxied=3), wsgi="neutron:app",
        templates=("neutron.conf.j2",), needs=(NETWORKS,), source=tmp_path,
    )  # fmt: skip
    machine.bring(Cryptography())
    workload = Workload(machine, "neutron", spec)
    workload.install()
    return workload


def state(found=FOUND):
    options = Options(region="R", workers=1, debug=False, extra="")
    return State(
        options=options, settings={}, address="10.0.0.9", others=(), sources=(), found={"networks": found},
        own={},
    )  # fmt: skip


def certify(workload, machine, ca):
    """Give the unit another certificate of a CA."""
    tls = workload.tls
    csr = tls._known.get("csr")
    if csr is None:
        tls._ask(Subject(common_name="m0", dns=("m0",)))
        csr = tls._known["csr"]
    leaf = ca.sign(csr, machine.now(), 30)
    tls._take(Issued(csr=csr, certificate=leaf, ca=ca.pem, chain=(leaf, ca.pem)), [])


def test_the_services_user_can_read_its_key_and_nobody_else(workload, machine):
    certify(workload, machine, authority.make("CA", machine.now() - 60))
    workload.render(state())
    config = configparser.RawConfigParser()
    config.read_string(machine.read(workload.config_path))
    node = machine.nodes[config["ovn"]["ovn_nb_private_key"]]
    assert (node.owner[0], node.mode) == ("neutron", 0o600)
    assert machine.read(config["ovn"]["ovn_sb_certificate"]).startswith("-----BEGIN CERTIFICATE-----")


def test_a_new_certificate_restarts_nothing_and_another_server_does(workload, machine):
    ca = authority.make("CA", machine.now() - 60)
    certify(workload, machine, ca)
    workload.render(state())
    first, chain = workload._inputs, machine.read(workload.tls.chain_path)
    machine.sleep(3600)
    certify(workload, machine, ca)
    workload.render(state())
    assert machine.read(workload.tls.chain_path) != chain
    assert workload._inputs == first
    workload.render(state(Connections(northbound="ssl:10.0.0.7:6641", southbound="ssl:10.0.0.7:16642")))
    assert workload._inputs != first
