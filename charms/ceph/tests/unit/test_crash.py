"""Which crash reports reach the cluster."""

import importlib.machinery
import json
import types
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[2] / "src/files/ceph-crash"
LOADED = {"mgr_module_caller": "PyModule::load_subclass_of"}
ONCE = "ImportError: PyO3 modules compiled for CPython 3.8 or older may only be initialized once per interpreter process"


@pytest.fixture
def crash(tmp_path, monkeypatch):
    """The program, with a folder of its own and what it has posted."""
    loader = importlib.machinery.SourceFileLoader("ceph_crash", str(PROGRAM))
    module: Any = types.ModuleType("ceph_crash")
    loader.exec_module(module)
    module.posted = []
    monkeypatch.setattr(module, "CRASHES", tmp_path)
    monkeypatch.setattr(module, "post", lambda report: module.posted.append(json.loads(report)) or True)
    (tmp_path / "posted").mkdir()
    return module


def leave(folder, report, *, done=True):
    folder.mkdir()
    (folder / "meta").write_text(json.dumps(report))
    if done:
        (folder / "done").touch()


@pytest.mark.parametrize(
    ("report", "is_posted"),
    [
        (LOADED | {"mgr_python_exception": "AttributeError", "backtrace": []}, False),
        (LOADED | {"mgr_python_exception": "ImportError", "backtrace": ["x", ONCE]}, False),
        (LOADED | {"mgr_python_exception": "ImportError", "backtrace": ["No module named yaml"]}, True),
        (LOADED | {"mgr_python_exception": "AttributeError", "backtrace": ["line 1"]}, True),
        ({"mgr_module_caller": "ActivePyModule::serve", "mgr_python_exception": "AttributeError", "backtrace": []}, True),
        ({"process_name": "ceph-osd", "backtrace": ["abort"]}, True),
    ],
)  # fmt: skip
def test_what_is_harmless_is_dropped_by_its_cause(crash, tmp_path, report, is_posted):
    leave(tmp_path / "2026-1", report)
    crash.look()
    assert crash.posted == ([report] if is_posted else [])
    assert not (tmp_path / "2026-1").exists()
    assert (tmp_path / "posted/2026-1").exists() == is_posted


def test_what_is_not_complete_or_a_link_is_left(crash, tmp_path):
    leave(tmp_path / "2026-1", {"process_name": "ceph-osd"}, done=False)
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "2026-2").mkdir()
    (tmp_path / "2026-2/meta").symlink_to(tmp_path / "secret")
    (tmp_path / "2026-2/done").touch()
    crash.look()
    assert crash.posted == []
    assert (tmp_path / "2026-1").exists()
