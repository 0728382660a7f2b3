"""Pack the probes: `python -m tests.probes` makes build/openinfra-<probe>.charm. With `relock` it makes their locks instead."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from openinfra_model.devtools import pack, relock
from tests.probes import ROOT, lay_out

with tempfile.TemporaryDirectory() as folder:
    site = lay_out(Path(folder) / "site")
    if sys.argv[1:2] == ["relock"]:
        parser = argparse.ArgumentParser()
        parser.add_argument("names", nargs="*")
        parser.add_argument("--constraints", action="append", default=[], metavar="RELEASE=FILE")
        asked = parser.parse_args(sys.argv[2:])
        sys.stdout.writelines(f"{line}\n" for line in relock.lock(site, asked.names, asked.constraints))
        sys.exit()
    for packed in pack.pack(site):
        (ROOT / "build").mkdir(exist_ok=True)
        target = shutil.copy(packed.path, ROOT / "build")
        sys.stdout.write(f"{target}\n")
