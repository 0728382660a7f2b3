"""What serves requirers, and keeps the CAs' keys, without a charm."""

from types import SimpleNamespace
from typing import Any

import ops
import pytest
from sites import load, request

from certificates import Signer
from keys import Keys, NoKeyError
from openinfra_charm.interfaces import tls_certificates
from requirers import Requirers
from state import Authority, Settings, Succession

APP = "certificates"


class Named:
    """A unit or an application: what relation data is kept by."""

    def __init__(self, name):
        self.name = name


class Model:
    """What of a model keys and requirers need: secrets by their ids, one relation with a requirer's two units."""

    def __init__(self):
        self.app = self._backend = self
        self.model_uuid = "0"
        self.secrets = {}
        other, units = Named("mysql"), [Named(f"mysql/{number}") for number in (0, 1)]
        data = {other: {}, self: {}, **{unit: {} for unit in units}}
        requirer: Any = SimpleNamespace(id=2, active=True, app=other, units=set(units), data=data)
        unit: Any
        for unit, csr in zip(units, (request("db0.example"), "no request"), strict=True):
            tls_certificates.publish_requests(requirer, unit, [csr])
        self.relations = {"certificates": [requirer], "send-ca-cert": []}

    def add_secret(self, content, **_):
        made = f"secret:{len(self.secrets)}"
        self.secrets[made] = content
        return SimpleNamespace(id=made)

    def get_secret(self, id):  # noqa: A002  as ops has it
        return SimpleNamespace(remove_all_revisions=lambda: self.secrets.pop(id))

    def secret_get(self, id, **_):  # noqa: A002
        if id not in self.secrets:
            raise ops.SecretNotFoundError
        return self.secrets[id]


class Cluster:
    """What the application has published."""

    def __init__(self):
        self.shared = {}

    def publish_shared(self, **facts):
        self.shared |= facts


@pytest.fixture
def model() -> Any:
    return Model()


@pytest.fixture
def cluster() -> Any:
    return Cluster()


@pytest.fixture
def signer(machine):
    return Signer(machine, APP)


@pytest.fixture
def made(signer, defaults):
    """A new CA and its key."""
    return signer.make_root(Settings.parse(defaults))


def test_a_key_is_read_by_the_hook_that_makes_it_and_by_others(model, made):
    keys = Keys(model)
    authority = keys.keep(*made)
    assert model.secrets == {authority.secret: {"private-key": made[1]}}
    assert keys.read(authority) == Keys(model).read(authority) == made[1]


def test_the_key_of_a_ca_that_signs_no_more_is_removed_but_not_by_the_hook_that_made_it(model, made):
    keys = Keys(model)
    authority = keys.keep(*made)
    keys.remove(authority)
    assert model.secrets
    Keys(model).remove(authority)
    assert model.secrets == {}


def test_a_key_that_juju_does_not_give_out_is_named(model):
    authority = Authority(certificate="", chain=("",), begins=0, ends=1, secret="secret:9")
    with pytest.raises(NoKeyError, match="read the CA's key"):
        Keys(model).read(authority)


def test_each_request_is_signed_once_or_refused_by_name(model, cluster, signer, made):
    keys = Keys(model)
    requirers = Requirers(model, cluster, signer, keys)
    succession = Succession(signing=keys.keep(*made))
    requirers.serve(succession, 3600)
    ((name, issued),) = requirers.issued()
    load(issued.certificate).verify_directly_issued_by(load(succession.signing.root))
    assert (name, list(requirers.refusals())) == ("mysql/0", ["mysql/1"])
    assert (cluster.shared["requirers"], [one.name for one in requirers.holders()]) == (2, ["mysql/0"])
    requirers.serve(succession, 3600)
    assert requirers.issued() == [(name, issued)]
    requirers.serve(succession, 3600, anew=lambda name: name == "mysql/0")
    assert requirers.issued() != [(name, issued)]
