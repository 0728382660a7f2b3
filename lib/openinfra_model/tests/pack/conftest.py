"""A charm as Juju sees it, to be bent by each test."""

import stat
import zipfile

import pytest

METADATA = """\
name: probe
summary: A probe
description: It probes.
assumes: [juju >= 3.6]
peers:
  cluster: {interface: probe-peers, optional: true}
provides:
  server: {interface: probe, optional: true}
requires:
  client: {interface: probe, optional: true, limit: 2}
storage:
  data: {type: filesystem, minimum-size: 10M, multiple: {range: 0-}}
resources:
  blob: {type: file, filename: blob.bin, description: A blob}
extra-bindings:
  public:
"""
CONFIG = """\
options:
  greeting: {type: string, default: hello, description: How to greet}
  count: {type: int, default: 3, description: How often}
  loud: {type: boolean, default: false, description: Whether to shout}
  ratio: {type: float, description: How much}
  token: {type: secret, description: A secret}
"""
ACTIONS = """\
echo:
  description: Say it
  parallel: true
  params: {text: {type: string, default: hi}, number: {type: integer}}
  required: [text]
  additionalProperties: false
"""
FILES = {
    "metadata.yaml": METADATA,
    "config.yaml": CONFIG,
    "actions.yaml": ACTIONS,
    "manifest.yaml": "bases: [{name: ubuntu, channel: '24.04', architectures: [amd64, arm64]}]\n",
    "dispatch": "#!/bin/sh\n",
}


@pytest.fixture
def make_charm(tmp_path):
    """Return a function that writes an archive: the probe with some files changed, or left out (None)."""

    def make(name="probe.charm", *, mode=0o755, **changes):
        contents = FILES | {f"{key}.yaml": text for key, text in changes.items()}
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            for member, text in contents.items():
                if text is not None:
                    info = zipfile.ZipInfo(member)
                    info.external_attr = (stat.S_IFREG | (mode if member == "dispatch" else 0o644)) << 16
                    archive.writestr(info, text)
        return path

    return make
