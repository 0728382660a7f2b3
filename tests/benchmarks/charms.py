"""Charms that note when each of their hooks began and ended; and bare ones, which do nothing else."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.site import Site

LOG = "/var/log/hooks"
OWN_DISPATCH = "dispatch-charm"
TIMED_DISPATCH = f"""\
#!/bin/bash
begun=$EPOCHREALTIME
"${{0%/*}}/{OWN_DISPATCH}"
code=$?
echo "$JUJU_UNIT_NAME $JUJU_DISPATCH_PATH $begun $EPOCHREALTIME $JUJU_RELATION_ID $JUJU_REMOTE_UNIT" >>{LOG}
exit $code
"""
BARE = """\
#!/usr/bin/env python3
import ops


class Bare(ops.CharmBase):
    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        framework.observe(self.on.config_changed, self._on_config_changed)

    def _on_config_changed(self, _event: ops.EventBase) -> None:
        self.unit.status = ops.ActiveStatus()


ops.main(Bare)
"""


def timed(archive: Path, target: Path, *, bare: bool = False) -> Path:
    """Write a copy of a charm whose hooks are timed; a bare one has the same metadata and does nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "dispatch":
                own = zipfile.ZipInfo(OWN_DISPATCH)
                own.external_attr = entry.external_attr
                copy.writestr(own, content)
                content = TIMED_DISPATCH.encode()
            elif entry.filename == "src/charm.py" and bare:
                content = BARE.encode()
            copy.writestr(entry, content)
    return target


def timed_bundle(bundle: Path, target: Path, *, bare: bool = False) -> Path:
    """Write a copy of a bundle whose charms are timed."""
    content = yaml.safe_load(bundle.read_text())
    for name, application in content["applications"].items():
        archive = bundle.parent / application["charm"]
        application["charm"] = str(timed(archive, target / f"{name}.charm", bare=bare))
    copy = target / "bundle.yaml"
    copy.write_text(yaml.safe_dump(content))
    return copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One hook that ran; times in seconds since the epoch."""

    unit: str
    name: str
    begun: float
    ended: float
    relation: str = ""
    """The relation's id as Juju gives it, `cluster:1`, if the hook is about one."""
    remote_unit: str = ""

    @property
    def application(self) -> str:
        return self.unit.split("/")[0]

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


def hooks_of(site: Site, unit: str) -> list[Hook]:
    """Return the hooks that the units of one machine have run so far, but those that come by the clock."""
    rows = [line.split() for line in site.shell(unit, f"cat {LOG}").splitlines()]
    return [
        Hook(unit=who, name=name, begun=float(begun), ended=float(ended), **_about(*about))
        for who, name, begun, ended, *about in rows
        if name != "hooks/update-status"
    ]


def _about(relation: str = "", remote_unit: str = "") -> dict[str, str]:
    return {"relation": relation, "remote_unit": remote_unit}
