"""Each planted fault is found within 500 schedules, and what is told is what was planted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from openinfra_model import pack

from .planted import PLANTED

ROOT = Path(__file__).parents[2]
SCHEDULES = 500
RELATIONS = (
    ["host:juju-info", "ceph:juju-info"],
    ["certificates:certificates", "memcached:certificates"],
)


@pytest.fixture(scope="session", autouse=True)
def packed():
    pack.pack(ROOT)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_it_is_found(planted, tmp_path):
    plant(planted, tmp_path)
    found = rehearse(planted, tmp_path)
    assert found is not None, f"{SCHEDULES} schedules hold"
    assert found["invariant"] in planted.told_by, found["what"]


def plant(planted, folder: Path) -> None:
    """Make copies of the shared package, the bundle and its archives, one of them with the fault."""
    shutil.copytree(ROOT / "lib/openinfra_charm/src", folder / "lib/openinfra_charm/src")
    bundle = yaml.safe_load((ROOT / "bundles/openinfra.yaml").read_text())
    bundle["applications"] = {name: bundle["applications"][name] for name in planted.charms}
    bundle["relations"] = [ends for ends in RELATIONS if ends[0].partition(":")[0] in planted.charms]
    (folder / "bundles").mkdir()
    (folder / "bundles/openinfra.yaml").write_text(yaml.safe_dump(bundle))
    (folder / "build").mkdir()
    found = False
    for name in planted.charms:
        archive = f"build/openinfra-{name}.charm"
        with zipfile.ZipFile(ROOT / archive) as source, zipfile.ZipFile(folder / archive, "w") as copy:
            for entry in source.infolist():
                content = source.read(entry)
                if f"charms/{name}/{entry.filename}" == planted.file:
                    content = with_fault(planted, content.decode()).encode()
                    found = True
                copy.writestr(entry, content)
    if not found:
        path = folder / planted.file
        path.write_text(with_fault(planted, path.read_text()))


def with_fault(planted, text: str) -> str:
    assert planted.old in text, f"{planted.file} is not as it was any more: plant the fault anew"
    # The first line of the module keeps its future imports first.
    return text.replace(planted.old, planted.new).replace(
        "from __future__ import annotations\n", "from __future__ import annotations\nimport os\n", 1
    )


def rehearse(planted, folder: Path) -> dict | None:
    """Rehearse the bundle with the fault; return the violation, if there was one."""
    save = folder / "found.json"
    command = [
        sys.executable, "-m", "openinfra_model.cli", "rehearse", str(folder / "bundles/openinfra.yaml"),
        "--schedules", str(SCHEDULES), "--no-shrink", "--usual", "--save", str(save), "--faults", planted.faults,
        *(word for operation in planted.do for word in ("--do", operation)),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(folder / "lib/openinfra_charm/src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback (most recent call last)" not in done.stderr, done.stderr
    return json.loads(save.read_text()) if save.exists() else None
