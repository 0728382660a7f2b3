"""A service without an API: release trees, configuration and processes, and neither an entrance nor a database."""

import json

import agents
import ops
import pytest
from api_model import CERTIFICATES
from ops import testing

from openinfra_charm.machine import use
from openinfra_charm.openstack.check import main as check

AGENT, WORKER = "agent-agent.service", "agent-worker.service"
CONFIG = "/etc/agent/agent.conf"


def unit_of(machine, unit):
    return machine.read(f"/etc/systemd/system/{unit}")


def test_processes_run_from_a_release_tree_and_nothing_else_does(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    for machine in three.machines.values():
        assert {unit for unit, state in machine.services.items() if state == "active"} == {AGENT, WORKER}
        assert "haproxy" not in machine.packages
        assert machine.read(CONFIG) == f"[DEFAULT]\ndebug = false\nhost = {machine.name}\n"
        assert f"ExecStart=/opt/agent/current/bin/neutron-ovn-agent --config-file={CONFIG}\n" in unit_of(
            machine, AGENT
        )
    assert three.done == []


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


def test_modules_are_the_charms_own(one):
    assert one.machines[0].list_folder("/usr/lib/openinfra/agent") == ["own.py"]


def test_a_sandbox_is_as_wide_as_its_process_needs(one):
    machine = one.machines[0]
    worker, agent = unit_of(machine, WORKER), unit_of(machine, AGENT)
    assert "\nAfter=network-online.target libvirtd.service\n" in worker
    assert "\nCapabilityBoundingSet=CAP_NET_ADMIN\n" in worker
    assert "\nReadWritePaths=/var/lib/agent /run/ovn\n" in worker
    assert worker.count("PrivateDevices=") == 1
    for line in ("PrivateDevices=yes", "CapabilityBoundingSet=", "Restart=always", "User=agent"):
        assert f"\n{line}\n" in agent
    assert "\nRestart=always\n" in worker


def test_it_runs_as_root_where_it_has_to():
    model = agents.Rooted(1)
    machine = model.machines[0]
    assert model.statuses[0] == ops.ActiveStatus()
    assert "\nUser=root\nGroup=root\n" in unit_of(machine, AGENT)
    assert machine.users == {"root"}
    node = machine.nodes["/var/lib/agent"]
    assert (node.mode, node.owner) == (0o711, ("root", "root"))
    model.run(0, model.on.stop())
    model.run(0, model.on.remove(), formed=False)
    assert "root" in machine.users


def test_what_ends_again_and_again_is_said_though_it_runs(one):
    one.machines[0].restarting_often = {WORKER: 57}
    one.every(one.on.update_status())
    words = f"{WORKER} (57 times) ends and is started again and again; see journalctl -u {WORKER}"
    assert one.statuses[0] == ops.WaitingStatus(f"for Agent: {words}")
    one.machines[0].restarting_often = {}
    one.every(one.on.update_status())
    assert one.statuses[0] == ops.ActiveStatus()


def test_what_does_not_run_is_named(one):
    one.machines[0].services[AGENT] = "failed"
    one.machines[0].broken["systemctl"] = ""
    one.machines[0].software[2].can_run = lambda unit: unit != AGENT
    one.every()
    assert one.statuses[0].message.startswith(f"for Agent: {AGENT} does not run")


def test_units_take_a_new_configuration_one_after_the_other(three):
    three.configure(debug=True)
    three.update_status()
    assert [machine.starts[WORKER] for machine in three.machines.values()] == [2, 2, 2]
    assert [machine.starts[AGENT] for machine in three.machines.values()] == [2, 2, 2]
    assert "turn-holder" not in three.shared


def test_without_certificates_it_says_what_is_missing(one):
    model = agents.Model(0)
    del model.relations[CERTIFICATES]
    model.add_unit()
    assert model.statuses[0] == ops.BlockedStatus("no TLS: juju integrate agent certificates")


def test_a_paused_unit_stays_stopped(one):
    one.action(0, "pause")
    one.every()
    assert one.machines[0].services[AGENT] == "inactive"
    assert one.statuses[0].message == "paused; start it again: juju run agent/0 resume"
    one.action(0, "resume")
    assert one.machines[0].services[AGENT] == "active"


def test_an_upgrade_has_no_schema_and_needs_no_backup(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("templates", "files"):
        (source / name).symlink_to(agents.HERE / "source" / name)
    releases = source / "releases"
    releases.mkdir()
    for name in ("2026.1", "2026.2"):
        (releases / name).mkdir()
        for lock in (agents.RELEASES / "2026.1").iterdir():
            text = lock.read_text().replace("2026.1", name, 1)
            (releases / name / lock.name).write_text(text)
    monkeypatch.setattr(agents, "SPEC", agents.dataclasses.replace(agents.SPEC, source=source))
    model = agents.Model(3)
    model.action(0, "upgrade-release", release=2026.2)
    for _ in range(3):
        model.update_status()
    assert model.statuses[0].message.startswith("2026.2 runs; to end the upgrade: finish-upgrade")
    model.action(0, "finish-upgrade")
    model.update_status()
    assert {status.name for status in model.statuses.values()} == {"active"}
    assert model.shared["release"]["phase"] == ""
    assert not any("schema" in line for machine in model.machines.values() for line in machine.argv)
    words = model.refuse(0, "rollback-release")
    assert words == "the upgrade from 2026.1 was finished: 2026.2 stays"


def test_a_unit_that_may_not_stop_does_not(one, monkeypatch):
    monkeypatch.setattr(agents.AgentCharm, "refusal", "guests run")
    with pytest.raises(testing.errors.UncaughtCharmError):
        one.run(0, one.on.stop())
    assert one.machines[0].services[AGENT] == "active"


def test_a_machine_is_back_when_all_processes_are(one, capsys):
    machine = one.machines[0]
    assert "check.py after-start agent" in machine.read("/usr/lib/openinfra/after-start.d/agent")
    with use(machine):
        assert check("safe-to-stop", "agent") == 0
        assert check("after-start", "agent") == 0
        machine.services[WORKER] = "failed"
        assert check("after-start", "agent") == 1
    assert capsys.readouterr().out == f"{WORKER} does not run\n"


def test_nothing_is_left_on_the_machine(one):
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    assert [p for p, node in machine.nodes.items() if node.content is not None and "agent" in p] == []
    assert machine.users == {"root"}


def test_a_part_shares_what_its_charm_has(part):
    machine = part.machines[0]
    machine.have("/var/lib/juju/agents/unit-agent-0/agent.conf", "")
    part.update_status()
    assert part.statuses[0] == ops.ActiveStatus()
    assert machine.services[AGENT] == machine.services["daemon.service"] == "active"
    assert {"daemon", "python3-cryptography"} <= machine.packages.keys()
    record = json.loads(machine.read("/var/lib/openinfra/agent/unit.json"))
    assert "/etc/systemd/system/agent-agent.service" in record["footprint"]["paths"]
    assert machine.list_folder("/usr/lib/openinfra/safe-to-stop.d") == []
    part.log()
    part.every()
    part.update_status()
    assert part.log() == []


def test_a_part_goes_with_its_charm(part):
    machine = part.machines[0]
    part.run(0, part.on.stop())
    assert machine.services[AGENT] == machine.services["daemon.service"] == "inactive"
    part.run(0, part.on.remove(), formed=False)
    left = [p for p, node in machine.nodes.items() if node.content is not None and "agent" in p]
    assert left == []
