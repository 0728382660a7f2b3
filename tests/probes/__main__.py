"""Pack the probes: `python -m tests.probes` makes build/openinfra-<probe>.charm."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from openinfra_model.devtools import pack
from tests.probes import ROOT, lay_out

with tempfile.TemporaryDirectory() as folder:
    for packed in pack.pack(lay_out(Path(folder) / "site")):
        (ROOT / "build").mkdir(exist_ok=True)
        target = shutil.copy(packed.path, ROOT / "build")
        sys.stdout.write(f"{target}\n")
