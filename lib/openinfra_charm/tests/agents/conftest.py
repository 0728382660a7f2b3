"""The units of a service without an API: one that is a whole charm, and one that is a part of another one's."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import agents  # noqa: E402  found on the path of the line above
import model  # noqa: E402

deploy, one, three = model.fixtures(agents.Model)
_, part, _ = model.fixtures(agents.Partial)
