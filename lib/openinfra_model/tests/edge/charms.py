"""A small charm in shell: it notes each hook's beginning and end, and does what its options say."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

METADATA = {
    "name": "tiny",
    "summary": "A charm for tests",
    "description": "It notes its hooks",
    "assumes": ["juju >= 3.6"],
    "storage": {"data": {"type": "filesystem", "minimum-size": "10M", "multiple": {"range": "0-"}}},
    "resources": {"blob": {"type": "file", "filename": "blob.bin", "description": "A file"}},
}
CONFIG = {
    "options": {
        "reboot": {"type": "boolean", "default": False, "description": "Reboot once from a hook"},
        "seconds": {"type": "int", "default": 0, "description": "How long install takes"},
    }
}
ACTIONS = {
    "show": {"description": "Show the notes", "additionalProperties": False},
    "fail": {"description": "Fail in words", "additionalProperties": False},
}
MANIFEST = {"bases": [{"name": "ubuntu", "channel": "24.04", "architectures": ["amd64", "arm64"]}]}
DISPATCH = """\
#!/bin/sh
set -eu
notes=/var/log/tiny
echo "begin $JUJU_DISPATCH_PATH" >>$notes
case $JUJU_DISPATCH_PATH in
hooks/install) sleep "$(config-get seconds)" ;;
hooks/config-changed)
    if [ "$(config-get reboot)" = True ] && [ ! -e /var/log/rebooted ]; then
        touch /var/log/rebooted
        juju-reboot --now
    fi ;;
actions/show) action-set notes="$(cat $notes)" blob="$(cat "$(resource-get blob)")" ;;
actions/fail) action-fail "as it was told" ;;
esac
case $JUJU_DISPATCH_PATH in hooks/*) status-set active "VERSION" ;; esac
echo "end $JUJU_DISPATCH_PATH" >>$notes
"""


def build(directory: Path, version: str = "first", **metadata: Any) -> Path:
    """Write the charm's archive; `version` shows in the unit's status, `metadata` takes the place of the usual one."""
    archive = directory / f"tiny-{version}.charm"
    with zipfile.ZipFile(archive, "w") as charm:
        for name, content in (
            ("metadata", METADATA | metadata),
            ("config", CONFIG),
            ("actions", ACTIONS),
            ("manifest", MANIFEST),
        ):
            charm.writestr(f"{name}.yaml", yaml.safe_dump(content))
        dispatch = zipfile.ZipInfo("dispatch")
        dispatch.external_attr = 0o755 << 16
        charm.writestr(dispatch, DISPATCH.replace("VERSION", version))
        charm.writestr(f"only-in-{version}", version)
    return archive
