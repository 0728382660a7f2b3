"""The engine on real machines: these tests make containers, so they run only where OPENINFRA_LIVE is set."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import jubilant
import pytest

from . import charms

pytestmark = pytest.mark.skipif(
    "OPENINFRA_LIVE" not in os.environ, reason="NOT RUN: makes machines on this host; set OPENINFRA_LIVE=1"
)

OPENINFRA = Path(__file__).parents[4] / "openinfra"
CONTROLLER_PID = Path("/run/openinfra/controller.pid")
MODEL = "edge-live"


@pytest.fixture(scope="module")
def juju(tmp_path_factory):
    juju = jubilant.Juju(cli_binary=OPENINFRA, wait_timeout=120)
    with contextlib.suppress(jubilant.CLIError):
        juju.destroy_model(MODEL, force=True)  # what a run that was interrupted left
    juju.add_model(MODEL)
    blob = tmp_path_factory.mktemp("blob") / "blob"
    blob.write_text("a blob")
    archive = charms.build(tmp_path_factory.mktemp("charm"))
    juju.deploy(archive, config={"seconds": 8}, resources={"blob": str(blob)}, storage={"data": "10M"})
    yield juju
    instances = {machine.instance_id for machine in juju.status().machines.values()}
    juju.destroy_model(MODEL, force=True)
    assert instances
    assert not [path for path in Path("/var/lib/openinfra/machines").iterdir() if path.name in instances]


def notes(juju) -> list[str]:
    return juju.exec("cat /var/log/tiny", unit="tiny/0").stdout.splitlines()


def is_installing(status) -> bool:
    return any(
        unit.juju_status.message == "running install hook" for unit in status.get_units("tiny").values()
    )


def is_settled(status) -> bool:
    return jubilant.all_active(status) and jubilant.all_agents_idle(status)


def test_a_killed_controller_runs_the_interrupted_hook_again(juju):
    juju.wait(is_installing, delay=0.2, successes=1)
    os.kill(int(CONTROLLER_PID.read_text()), signal.SIGKILL)

    juju.wait(is_settled)

    lines = notes(juju)
    assert lines.count("begin hooks/install") == 2
    assert lines.count("end hooks/install") == 1
    assert lines.index("end hooks/install") < lines.index("begin hooks/start")
    assert "sleep" not in juju.exec("ps -e -o comm", machine="0").stdout.split()


def test_storage_is_a_directory_attached_before_install(juju):
    assert notes(juju)[0] == "begin hooks/data-storage-attached"
    location = juju.exec("storage-get -s data/0 location", unit="tiny/0").stdout.strip()
    assert juju.exec(f"test -d {location}", unit="tiny/0").success


def test_an_action_reads_a_resource(juju):
    assert juju.run("tiny/leader", "show").results["blob"] == "a blob"


@pytest.mark.parametrize("length", [255, 256, 100_000])
def test_a_tool_takes_words_of_any_length(juju, length):
    command = f"status-set active \"$(head -c {length} /dev/zero | tr '\\0' x)\"; status-get --include-data; status-set active"
    assert "x" * length in juju.exec(command, unit="tiny/0").stdout.split()


def test_an_action_that_fails_says_why(juju):
    with pytest.raises(jubilant.TaskError, match="as it was told"):
        juju.run("tiny/0", "fail")


def test_ssh_and_scp_reach_the_machine(juju, tmp_path):
    sent, fetched = tmp_path / "sent", tmp_path / "fetched"
    sent.write_text("there and back")
    juju.scp(sent, "tiny/0:sent")
    juju.scp("tiny/0:/home/ubuntu/sent", fetched)
    assert fetched.read_text() == "there and back"
    assert juju.ssh("tiny/0", "sudo", "id", "-u").strip() == "0"


def test_juju_reboot_restarts_the_machine_and_the_hook(juju):
    before = juju.exec("cat /proc/sys/kernel/random/boot_id", machine="0").stdout
    juju.config("tiny", {"reboot": True})
    juju.wait(
        lambda status: "end hooks/config-changed" in notes_after_reboot(juju, before), delay=1, successes=1
    )
    juju.wait(is_settled)
    assert notes_after_reboot(juju, before).count("begin hooks/config-changed") == 2
    assert "begin hooks/start" in notes_after_reboot(juju, before)


def notes_after_reboot(juju, boot_id: str) -> list[str]:
    """Return what was noted after the interrupted hook, empty while the machine is still in its former life."""
    try:
        if juju.exec("cat /proc/sys/kernel/random/boot_id", machine="0").stdout == boot_id:
            return []
    except jubilant.CLIError:
        return []
    lines = notes(juju)
    interrupted = next(
        number
        for number, line in enumerate(lines)
        if line == "begin hooks/config-changed"
        and lines[number + 1 : number + 2] != ["end hooks/config-changed"]
    )
    return lines[interrupted:]


def test_refresh_replaces_the_charm_and_its_files(juju, tmp_path):
    juju.refresh("tiny", path=charms.build(tmp_path, "second"))
    juju.wait(lambda status: status.get_units("tiny")["tiny/0"].workload_status.message == "second")
    juju.wait(is_settled)
    files = juju.exec("ls /var/lib/juju/agents/unit-tiny-0/charm", unit="tiny/0").stdout.split()
    assert "only-in-second" in files
    assert "only-in-first" not in files


def test_a_machine_removed_by_force_goes_without_its_hooks_and_another_takes_its_place(juju):
    juju.add_unit("tiny")
    juju.wait(is_settled)
    juju.cli("remove-machine", "--force", "0")
    juju.wait(lambda status: set(status.machines) == {"1"} and set(status.get_units("tiny")) == {"tiny/1"})
    juju.wait(is_settled)


def test_refused_requests_change_nothing(juju):
    before = juju.status().apps
    for command in (
        ("deploy", "./missing.charm"),
        ("config", "tiny", "seconds=many"),
        ("config", "tiny", "nothing=1"),
        ("integrate", "tiny", "nobody"),
        ("add-unit", "nobody"),
        ("run", "tiny/9", "show"),
        ("run", "tiny/leader", "dance"),
        ("remove-machine", "77"),
    ):
        with pytest.raises(jubilant.CLIError) as refused:
            juju.cli(*command)
        assert refused.value.stderr.startswith("ERROR ")
    assert set(juju.status().apps) == set(before)
    assert juju.config("tiny")["seconds"] == 8


def test_no_secret_of_the_store_is_readable_by_others():
    modes = {path: path.stat().st_mode & 0o077 for path in Path("/var/lib/openinfra").glob("controller.db*")}
    assert modes
    assert not any(modes.values())
    assert not Path("/run/openinfra/controller.socket").stat().st_mode & 0o077
    look = ["runuser", "-u", "nobody", "--", "ls", "/var/lib/openinfra"]
    assert subprocess.run(look, capture_output=True, check=False).returncode
