"""The program that tries KVM; QEMU is another program here."""

import json
import stat

import pytest

import probe


@pytest.fixture
def qemu(tmp_path):
    """Return a function that makes a program in QEMU's place."""

    def make(body, name="qemu-system-x86_64"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def test_a_boot_sector_is_one():
    assert len(probe._X86) == 512
    assert probe._X86[510:] == b"\x55\xaa"


@pytest.mark.parametrize(("name", "ends"), [("qemu-system-x86_64", 33), ("qemu-system-aarch64", 0)])
def test_a_guest_that_comes_to_its_end_counts(qemu, name, ends):
    seconds, why = probe.run(qemu(f"exit {ends}", name), "tcg", 10)
    assert seconds is not None
    assert why == ""


def test_a_guest_that_runs_for_ever_does_not(qemu):
    seconds, why = probe.run(qemu("exec sleep 60"), "kvm", 0.3)
    assert seconds is None
    assert why == "the guest did not end within 0.3 s"


def test_what_qemu_says_is_the_reason(qemu):
    assert probe.run(qemu("echo no permission >&2; exit 1"), "kvm", 10) == (None, "no permission")
    assert probe.run(qemu("exit 1"), "kvm", 10) == (None, "QEMU ended with exit code 1")


def test_it_prints_what_was_found(qemu, monkeypatch, capsys):
    monkeypatch.setattr(probe, "Path", lambda path: type("P", (), {"exists": lambda _: False})())
    monkeypatch.setattr(probe, "run", lambda *_: (0.5, ""))
    assert probe.main("qemu-system-x86_64") == 0
    assert json.loads(capsys.readouterr().out) == {"kvm": None, "tcg": 0.5, "why": "there is no /dev/kvm"}
