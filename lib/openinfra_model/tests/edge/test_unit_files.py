"""A unit's files on its machine."""

from __future__ import annotations

import os
import zipfile

import pytest

from openinfra_model.controller import unit_files

from . import charms

UNIT = "tiny/0"


@pytest.fixture
def machine(tmp_path):
    machine = tmp_path / "machine"
    machine.mkdir()
    return machine


def prepare(machine, archive, url="local:tiny-0"):
    unit_files.prepare(machine, UNIT, url=url, archive=archive, tools=["config-get", "status-set"])
    return machine / "agents/unit-tiny-0/charm"


def test_the_charm_is_unpacked_with_its_modes(machine, tmp_path):
    charm = prepare(machine, charms.build(tmp_path))
    assert (charm / "metadata.yaml").is_file()
    assert os.access(charm / "dispatch", os.X_OK)


def test_symbolic_links_stay_links(machine, tmp_path):
    archive = charms.build(tmp_path)
    with zipfile.ZipFile(archive, "a") as charm:
        link = zipfile.ZipInfo("hooks/install")
        link.external_attr = 0o120777 << 16
        charm.writestr(link, "../dispatch")
    assert (prepare(machine, archive) / "hooks/install").readlink().as_posix() == "../dispatch"


def test_tools_and_socket_lead_to_the_controller(machine, tmp_path):
    prepare(machine, charms.build(tmp_path))
    assert (machine / "tools/unit-tiny-0/config-get").readlink().as_posix() == "../hook-tool"
    socket = machine / "agents/unit-tiny-0/agent.socket"
    assert os.path.normpath(socket.parent / socket.readlink()) == str(machine / "controller.socket")


def test_the_same_revision_is_not_unpacked_again(machine, tmp_path):
    archive = charms.build(tmp_path)
    charm = prepare(machine, archive)
    (charm / "metadata.yaml").write_text("changed by hand")
    prepare(machine, archive)
    assert (charm / "metadata.yaml").read_text() == "changed by hand"


def test_another_revision_replaces_the_archives_files_and_keeps_the_charms_own(machine, tmp_path):
    charm = prepare(machine, charms.build(tmp_path, "first"))
    (charm / ".unit-state.db").write_text("state")

    prepare(machine, charms.build(tmp_path, "second"), url="local:tiny-1")

    assert (charm / ".unit-state.db").read_text() == "state"
    assert (charm / "only-in-second").exists()
    assert not (charm / "only-in-first").exists()


def test_an_interrupted_unpacking_is_done_again(machine, tmp_path, monkeypatch):
    archive = charms.build(tmp_path)

    def fail(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(unit_files, "_extract", fail)
        with pytest.raises(InterruptedError):
            prepare(machine, archive)
    assert (prepare(machine, archive) / "dispatch").exists()


def test_a_resource_is_copied_when_its_content_is_another(machine, tmp_path):
    first, second = tmp_path / "hash-one", tmp_path / "hash-two"
    first.write_text("one")
    second.write_text("two")
    unit_files.copy_resource(machine, UNIT, "blob.bin", first)
    unit_files.copy_resource(machine, UNIT, "blob.bin", second)
    assert (machine / "agents/unit-tiny-0/resources/blob.bin").read_text() == "two"


@pytest.mark.parametrize(
    "planted",
    [
        "agents",
        "agents/unit-tiny-0",
        "agents/unit-tiny-0/charm",
        "agents/unit-tiny-0/charm/src",
        "tools/unit-tiny-0",
    ],
)
def test_links_that_a_machine_has_planted_lead_nowhere(machine, tmp_path, planted):
    """What a machine sees as its /var/lib/juju its root may change: the host's files are not to be reached by it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    link = machine / planted
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    archive = charms.build(tmp_path)
    with zipfile.ZipFile(archive, "a") as charm:
        charm.writestr("src/charm.py", "a charm")

    prepare(machine, archive)
    assert (machine / "agents/unit-tiny-0/charm/src/charm.py").read_text() == "a charm"
    unit_files.remove(machine, unit_files.tag(UNIT))
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_an_archives_links_are_not_written_through(machine, tmp_path):
    """`Charm` refuses such an archive; if one is there all the same, nothing outside is written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = charms.build(tmp_path)
    with zipfile.ZipFile(archive, "a") as charm:
        link = zipfile.ZipInfo("way")
        link.external_attr = 0o120777 << 16
        charm.writestr(link, str(outside))
        charm.writestr("way/out", "written")
    prepare(machine, archive)
    assert not list(outside.iterdir())


def test_nothing_of_a_removed_unit_is_left(machine, tmp_path):
    prepare(machine, charms.build(tmp_path))
    unit_files.remove(machine, unit_files.tag(UNIT))
    assert not any((machine / "agents").iterdir())
    assert not any((machine / "tools").iterdir())


def test_whose_files_are_there_and_nobodys(machine, tmp_path):
    assert unit_files.others(machine, ()) == []
    prepare(machine, charms.build(tmp_path))
    assert unit_files.others(machine, (UNIT,)) == []
    assert unit_files.others(machine, ("other/0",)) == [unit_files.tag(UNIT)]
