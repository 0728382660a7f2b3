"""How a hook begins."""

import logging

import ops
import pytest

from openinfra_charm import hook


@pytest.fixture
def said(monkeypatch):
    """What reaches Juju's log of what ops and a charm say in a hook."""
    said = []

    class Handler(logging.Handler):
        def emit(self, record):
            said.append(record.getMessage())

    def main(_charm_type):
        logging.getLogger("ops._main").debug("ops is up and running")
        logging.getLogger("ops.model").warning("ops warns")
        logging.getLogger("charm").debug("the charm's own")

    handler = Handler()
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    monkeypatch.setattr(logging.getLogger("ops"), "level", logging.NOTSET)
    monkeypatch.setattr(ops, "main", main)
    root.addHandler(handler)
    yield said
    root.removeHandler(handler)


def test_ops_says_only_what_matters_and_the_charm_all_that_it_wants(said):
    hook.main(ops.CharmBase)
    assert said == ["ops warns", "the charm's own"]
