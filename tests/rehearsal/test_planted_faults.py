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

from openinfra_model.devtools import pack
from tests.probes import lay_out

from .planted import PLANTED

ROOT = Path(__file__).parents[2]
SCHEDULES = 500


@pytest.fixture(scope="session")
def builds(tmp_path_factory) -> tuple[Path, Path]:
    """Return where all charms are, and where all probes are."""
    pack.pack(ROOT)
    site = lay_out(tmp_path_factory.mktemp("probes") / "site")
    pack.pack(site)
    return ROOT / "build", site / "build"


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_it_is_found(planted, builds, tmp_path):
    plant(planted, builds, tmp_path)
    found = rehearse(planted, tmp_path)
    assert found is not None, f"{SCHEDULES} schedules hold"
    assert found["invariant"] in planted.told_by, found["what"]


def plant(planted, builds: tuple[Path, Path], folder: Path) -> None:
    """Make copies of the shared package, the bundle and its archives, one of them with the fault."""
    shutil.copytree(ROOT / "lib/openinfra_charm/src", folder / "lib/openinfra_charm/src")
    bundle = yaml.safe_load((ROOT / planted.bundle).read_text())
    names = planted.charms or tuple(bundle["applications"])
    bundle["applications"] = {name: bundle["applications"][name] for name in names}
    bundle["relations"] = [
        ends
        for ends in bundle.get("relations", [])
        if {end.partition(":")[0] for end in ends} <= bundle["applications"].keys()
    ]
    (folder / "bundles").mkdir()
    (folder / "build").mkdir()
    found = False
    for application in bundle["applications"].values():
        archive = f"build/{Path(application['charm']).name}"
        application["charm"] = f"../{archive}"
        original = next(path for build in builds if (path := build.parent / archive).exists())
        name = original.stem.removeprefix("openinfra-")
        with zipfile.ZipFile(original) as source, zipfile.ZipFile(folder / archive, "w") as copy:
            for entry in source.infolist():
                content = source.read(entry)
                if f"charms/{name}/{entry.filename}" == planted.file:
                    content = with_fault(planted, content.decode()).encode()
                    found = True
                copy.writestr(entry, content)
    (folder / "bundles/openinfra.yaml").write_text(yaml.safe_dump(bundle))
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
        "--schedules", str(SCHEDULES), "--no-shrink", "--save", str(save), "--faults", planted.faults,
        "--usual" if planted.usual and not planted.deployed_only else "--no-usual",
        *(["--operations", "0"] if planted.deployed_only else []),
        *(word for operation in planted.do for word in ("--do", operation)),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(folder / "lib/openinfra_charm/src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback (most recent call last)" not in done.stderr, done.stderr
    return json.loads(save.read_text()) if save.exists() else None
