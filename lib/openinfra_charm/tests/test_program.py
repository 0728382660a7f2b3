"""How programs of a charm are started without Juju."""

import os
import subprocess
import sys
from pathlib import Path

from openinfra_charm.machine import program


def test_a_program_finds_the_modules_of_its_charm(tmp_path, monkeypatch):
    (tmp_path / "here.py").write_text("words = 'found'\n")
    script = tmp_path / "elsewhere" / "check.py"
    script.parent.mkdir()
    script.write_text("import sys, here\nprint(here.words, *sys.argv[1:])\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = subprocess.run(program.command(script, "a b"), capture_output=True, text=True, check=True)
    assert done.stdout == "found a b\n"


def test_the_interpreters_own_folders_are_left_to_the_interpreter(tmp_path, monkeypatch):
    """They are those of another version after an upgrade of the system."""
    library = Path(os.__file__).parent
    own = [str(library), str(library / "lib-dynload"), f"{library.parent}/python311.zip"]
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", *own])
    assert program.search_path() == str(tmp_path.resolve())
