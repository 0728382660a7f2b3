"""The units of nova-compute on machines in memory, with what they need."""

import sys
from pathlib import Path

CHARM = Path(__file__).parents[2]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
HERE = CHARM / "tests/unit"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY / "tests")]

import model  # noqa: E402

import hosts  # noqa: E402  found on the path of the line above

deploy, one, three = model.fixtures(hosts.Model)
defaults = model.defaults(CHARM)
