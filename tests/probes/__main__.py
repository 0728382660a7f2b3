"""Pack the probes: `python -m tests.probes` makes build/openinfra-<probe>.charm. With `relock` it makes their locks instead."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from openinfra_model.devtools import pack, relock
from tests.probes import ROOT, lay_out

with tempfile.TemporaryDirectory() as folder:
    site = lay_out(Path(folder) / "site")
    if sys.argv[1:2] == ["relock"]:
        # As --constraints of `./openinfra relock`: 2026.1=FILE.
        sys.stdout.writelines(f"{line}\n" for line in relock.lock(site, [], sys.argv[2:]))
        sys.exit()
    for packed in pack.pack(site):
        (ROOT / "build").mkdir(exist_ok=True)
        target = shutil.copy(packed.path, ROOT / "build")
        sys.stdout.write(f"{target}\n")
