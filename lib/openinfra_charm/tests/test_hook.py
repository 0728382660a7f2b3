"""How a hook begins: in a process of its own, between hook tools of straw."""

import os
import subprocess
import sys

import pytest

CHARM = """\
import logging
import ops
from openinfra_charm import hook

class Probe(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        framework.observe(self.on.start, self._on_start)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)

    def _on_start(self, _event):
        logging.getLogger("probe").info("the charm's own")

    def _on_collect_unit_status(self, event):
        event.add_status(ops.ActiveStatus())

hook.main(Probe)
"""
TOOL = """\
#!/bin/sh
echo "${0##*/} $*" >>"$JUJU_CHARM_DIR/asked"
case ${0##*/} in
relation-ids) echo '["cluster:1"]' ;;
relation-list) echo '["probe/1"]' ;;
*) echo true ;;
esac
"""


@pytest.fixture
def asked(tmp_path):
    """Run a hook of the charm; return the hook tools that it ran, each with its arguments."""
    (tmp_path / "metadata.yaml").write_text("name: probe\npeers:\n  cluster:\n    interface: probe\n")
    for name in ("is-leader", "juju-log", "relation-ids", "relation-list", "status-set"):
        (tmp_path / name).write_text(TOOL)
        (tmp_path / name).chmod(0o755)

    def run(hook, **variables):
        environment = {
            "JUJU_CHARM_DIR": str(tmp_path),
            "JUJU_DISPATCH_PATH": f"hooks/{hook}",
            "JUJU_MODEL_NAME": "model",
            "JUJU_MODEL_UUID": "0",
            "JUJU_UNIT_NAME": "probe/0",
            "JUJU_VERSION": "3.6.0",
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            **variables,
        }
        (tmp_path / "asked").write_text("")
        subprocess.run([sys.executable, "-c", CHARM], env=environment, check=True, cwd=tmp_path)
        return (tmp_path / "asked").read_text().splitlines()

    return run


def test_what_the_charm_says_is_logged_and_not_what_ops_says_in_each_hook(asked):
    logged = [line for line in asked("start") if line.startswith("juju-log")]
    assert logged == ["juju-log --log-level INFO -- the charm's own"]


def test_a_unit_that_joins_is_looked_at_in_the_hook_that_follows(asked):
    other = {
        "JUJU_RELATION": "cluster", "JUJU_RELATION_ID": "cluster:1",
        "JUJU_REMOTE_APP": "probe", "JUJU_REMOTE_UNIT": "probe/1",
    }  # fmt: skip
    assert asked("cluster-relation-joined", **other) == []
    assert "status-set --application=False active -- " in asked("cluster-relation-changed", **other)
