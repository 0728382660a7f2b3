"""The engine stands alone: developer's tools and the rehearsal are beside it, never in its way."""

import pkgutil
import subprocess
import sys

import openinfra_model

APART = ("openinfra_model.devtools", "openinfra_model.rehearsal")
THEIR_VERBS = ("openinfra_model.cli.developer", "openinfra_model.cli.rehearsal")


def test_the_engine_imports_no_developers_tool_and_no_rehearsal():
    modules = [found.name for found in pkgutil.walk_packages(openinfra_model.__path__, "openinfra_model.")]
    engine = [
        name for name in modules if not name.startswith((*APART, *THEIR_VERBS)) and "__main__" not in name
    ]
    program = (
        "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *engine], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert set(engine) <= set(loaded)
    # What charms share and what plays them come with the rehearsal only.
    beside = (*APART, *THEIR_VERBS, "openinfra_charm", "hypothesis", "packaging")
    assert [name for name in loaded if name.startswith(beside)] == []
