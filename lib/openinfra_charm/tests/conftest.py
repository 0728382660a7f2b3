"""What the tests of the shared package use in common."""

import os
import sys
from pathlib import Path

import pytest

from openinfra_charm.machine import Machine, use
from openinfra_charm.testing import MemoryMachine

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def machine():
    """A machine in memory that takes the place of this one."""
    with use(MemoryMachine()) as machine:
        yield machine


@pytest.fixture
def real():
    """This machine itself, for tests in a temporary folder."""
    if os.geteuid() != 0:
        pytest.skip("files are given to other users: run these tests as root")
    return Machine()
