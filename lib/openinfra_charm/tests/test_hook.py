"""How a hook begins: in a process of its own, between hook tools of straw."""

import os
import subprocess
import sys

CHARM = """\
import logging
import ops
from openinfra_charm import hook

class Probe(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        framework.observe(self.on.start, self._on_start)

    def _on_start(self, _event):
        logging.getLogger("probe").info("the charm's own")

hook.main(Probe)
"""
TOOL = """\
#!/bin/sh
echo "${0##*/} $*" >>"$JUJU_CHARM_DIR/asked"
echo true
"""


def test_what_the_charm_says_is_logged_and_not_what_ops_says_in_each_hook(tmp_path):
    (tmp_path / "metadata.yaml").write_text("name: probe\n")
    for name in ("juju-log", "is-leader", "status-set"):
        (tmp_path / name).write_text(TOOL)
        (tmp_path / name).chmod(0o755)
    environment = {
        "JUJU_CHARM_DIR": str(tmp_path),
        "JUJU_DISPATCH_PATH": "hooks/start",
        "JUJU_MODEL_NAME": "model",
        "JUJU_MODEL_UUID": "0",
        "JUJU_UNIT_NAME": "probe/0",
        "JUJU_VERSION": "3.6.0",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    subprocess.run([sys.executable, "-c", CHARM], env=environment, check=True, cwd=tmp_path)

    logged = [line for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("juju-log")]
    assert logged == ["juju-log --log-level INFO -- the charm's own"]
