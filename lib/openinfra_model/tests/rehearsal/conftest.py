"""A bundle of two small charms, to be bent by each test."""

import stat
import zipfile

import pytest

from openinfra_model import bundle
from openinfra_model.rehearsal.stage import Stage

METADATA = """\
name: {name}
summary: A charm
description: It writes a file.
assumes: [juju >= 3.6]
peers:
  cluster: {{interface: {name}-peers, optional: true}}
provides:
  first: {{interface: one, optional: true}}
  second: {{interface: two, optional: true}}
requires:
  one: {{interface: one, optional: true}}
  two: {{interface: two, optional: true}}
"""
CHARM = """\
import os

import ops

from openinfra_charm import machine as machines
from word import WORD


class Charm(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        kinds = ("created", "joined", "changed", "departed")
        events = [self.on.install, self.on.config_changed, self.on.start, self.on.update_status]
        events += [self.on.secret_rotate, self.on.secret_changed, self.on["one"].relation_broken]
        for event in (*events, *(getattr(self.on["cluster"], f"relation_{kind}") for kind in kinds)):
            framework.observe(event, self._go)
        framework.observe(self.on.remove, self._remove)
        framework.observe(self.on.show_action, self._go)

    def _go(self, event):
        machine = machines.this()
        if machine.read(f"/etc/{WORD}/word") is None:
            machine.write(f"/etc/{WORD}/word", WORD)
        # HERE
        assert os.environ["JUJU_UNIT_NAME"] == self.unit.name
        self.unit.status = ops.ActiveStatus()

    def _remove(self, event):
        machines.this().remove(f"/etc/{WORD}")


ops.main(Charm)
"""
BUNDLE = """\
applications:
  alpha: {{charm: ./alpha.charm, base: ubuntu@24.04, num_units: {units}}}
  beta: {{charm: ./beta.charm, base: ubuntu@24.04, num_units: {units}}}
"""
RELATIONS = "relations: [[alpha:one, beta:first], [alpha:two, beta:second]]\n"
MANIFEST = "bases: [{name: ubuntu, channel: '24.04', architectures: [amd64, arm64]}]\n"


@pytest.fixture
def stage(tmp_path):
    """Return a function that makes a stage: two applications, the first with more lines in its charm."""

    def make(*lines, units=2, related=False):
        for name, more in (("alpha", lines), ("beta", ())):
            code = CHARM.replace("        # HERE\n", "".join(f"        {line}\n" for line in more))
            _archive(tmp_path / f"{name}.charm", name, code)
        file = tmp_path / "bundle.yaml"
        file.write_text(BUNDLE.format(units=units) + (RELATIONS if related else ""))
        return Stage(bundle.load(file), tmp_path / "unpacked")

    return make


def _archive(path, name, code):
    contents = {
        "metadata.yaml": METADATA.format(name=name),
        "manifest.yaml": MANIFEST,
        "actions.yaml": "show: {description: Show it}\n",
        "dispatch": "#!/bin/sh\n",
        "src/charm.py": code,
        "src/word.py": f'WORD = "{name}"\n',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in contents.items():
            info = zipfile.ZipInfo(member)
            info.external_attr = (stat.S_IFREG | (0o755 if member == "dispatch" else 0o644)) << 16
            archive.writestr(info, text)
