"""The units of the charm, on machines of one architecture whatever tests run on."""

import sys
from pathlib import Path

import pytest

CHARM = Path(__file__).parents[2]
HERE = CHARM / "tests/unit"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE)]
sys.path.append(str(CHARM.parents[1] / "lib/openinfra_charm/tests"))

import machines  # noqa: E402  found on the path of the line above
import model  # noqa: E402

import kvm_host  # noqa: E402


@pytest.fixture(autouse=True)
def architecture(monkeypatch):
    """Tests are of one architecture, whatever they run on; returns how it becomes another."""

    def become(name):
        monkeypatch.setattr(kvm_host.platform, "machine", lambda: name)

    become("x86_64")
    return become


defaults = model.defaults(CHARM)
deploy, one, three = model.fixtures(machines.Model)
