"""How a hook begins and ends: in a process of its own, between hook tools of straw."""

import os
import subprocess
import sys

import pytest

CHARM = """\
import logging
import ops
from openinfra_charm.model import hook

class Probe(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        framework.observe(self.on.start, self._on_start)
        framework.observe(self.on.config_changed, self._on_address)
        framework.observe(self.on["db"].relation_broken, self._on_address)

    def _on_start(self, _event):
        logging.getLogger("probe").info("the charm's own")

    def _on_address(self, _event):
        self.model.get_binding("db").network

hook.main(Probe)
"""
METADATA = """\
name: probe
requires:
  db:
    interface: db
"""
TOOL = """\
#!/bin/sh
echo "${0##*/} $*" >>"$JUJU_CHARM_DIR/asked"
case "${0##*/}" in
  network-get) echo "ERROR relation 3 not found" >&2; exit 1 ;;
  relation-*) echo "[]" ;;
  *) echo true ;;
esac
"""


@pytest.fixture
def play(tmp_path):
    """Run a hook of the probe in a process of its own; return its exit code and what it has told Juju's log."""
    (tmp_path / "metadata.yaml").write_text(METADATA)
    for name in ("juju-log", "is-leader", "status-set", "network-get", "relation-ids", "relation-list"):
        (tmp_path / name).write_text(TOOL)
        (tmp_path / name).chmod(0o755)

    def run(hook, **more):
        environment = {
            "JUJU_CHARM_DIR": str(tmp_path),
            "JUJU_DISPATCH_PATH": f"hooks/{hook}",
            "JUJU_MODEL_NAME": "model",
            "JUJU_MODEL_UUID": "0",
            "JUJU_UNIT_NAME": "probe/0",
            "JUJU_VERSION": "3.6.0",
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            **more,
        }
        done = subprocess.run([sys.executable, "-c", CHARM], env=environment, check=False, cwd=tmp_path)
        asked = (tmp_path / "asked").read_text().splitlines()
        return done.returncode, [line for line in asked if line.startswith("juju-log")]

    return run


def test_what_the_charm_says_is_logged_and_not_what_ops_says_in_each_hook(play):
    assert play("start") == (0, ["juju-log --log-level INFO -- the charm's own"])


def test_a_relation_that_is_gone_fails_no_hook_about_its_end(play):
    code, logged = play(
        "db-relation-broken", JUJU_RELATION="db", JUJU_RELATION_ID="db:3", JUJU_REMOTE_APP="other"
    )
    assert code == 0
    assert [line for line in logged if "WARNING" in line and "network-get" in line]


def test_it_fails_any_other_hook(play):
    code, _ = play("config-changed")
    assert code
