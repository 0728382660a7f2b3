"""The bundle is rehearsed for as long as there is time: all faults, and whatever operators do to it."""

import itertools
import time
from pathlib import Path

from openinfra_model import bundle
from openinfra_model.devtools import pack
from openinfra_model.rehearsal.play import Plot
from openinfra_model.rehearsal.rehearse import Rehearsal
from openinfra_model.rehearsal.stage import Stage

ROOT = Path(__file__).parents[2]
SCHEDULES = 100
"""So many between two looks at the clock."""
UNDERTAKINGS = 3
FAULTS = 5


def test_every_schedule_holds(request, seconds, tell, tmp_path):
    pack.pack(ROOT)
    stage = Stage(bundle.load(ROOT / "bundles/openinfra.yaml"), tmp_path, ROOT / "charms")
    end = time.monotonic() + seconds
    played = 0
    for seed in itertools.count(request.config.getoption("--seed")):
        plot = Plot(usual=seed % 2 == 1, undertakings=UNDERTAKINGS, most_faults=FAULTS)
        report = Rehearsal(stage, plot).run(SCHEDULES, seed)
        told = "\n".join(step.what for step in report.found.timeline) if report.found else ""
        assert report.found is None, f"seed {seed}: {report.found.invariant}: {report.found.what}\n{told}"
        played += report.schedules
        tell(f"{played} schedules hold, up to seed {seed}")
        if time.monotonic() > end:
            break
