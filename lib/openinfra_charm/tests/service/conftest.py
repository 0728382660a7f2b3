"""The units of a service of the tests' own, on machines in memory with what they need."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
CHARM = HERE.parents[3] / "tests/probes/notes"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(HERE.parent)]

import api_model  # noqa: E402  found on the path of the line above
import model  # noqa: E402
import twin  # noqa: E402

from charm import NotesCharm  # noqa: E402


class Model(api_model.ApiModel):
    """The units of the service, with what they need."""

    charm, application, software = NotesCharm, "notes", twin.Notes


deploy, one, three = model.fixtures(Model)
