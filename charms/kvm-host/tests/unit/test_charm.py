"""The charm: what runs, what it tells, and what it does not do to guests."""

import json

import ops
import pytest
from machines import CERTIFICATES, HYPERVISOR, HostMachine, Model
from ops import testing

import check
from openinfra_charm.machine import use

LIBVIRTD, TLS = "libvirtd.service", "libvirtd-tls.socket"


def test_a_host_with_kvm_says_so_and_tells_what_it_can(one):
    assert one.statuses[0] == ops.ActiveStatus("KVM")
    told = one.told[0]
    assert told["hostname"] == "machine-0"
    assert (told["virt-type"], told["cpu-mode"]) == ("kvm", "host-model")
    assert "cpu-model" not in told
    assert told["migration-address"] == told["console-address"] == "10.0.0.10"
    assert told["tls-folder"] == "/etc/pki/qemu"
    assert told["reserved-memory"] == "2048"


@pytest.mark.parametrize(
    ("kvm", "words"),
    [(None, "there is no /dev/kvm"), (4.5, "KVM is slower than emulation: 4.5 s, 0.4 s")],
)
def test_where_kvm_runs_no_guest_they_are_emulated(monkeypatch, kvm, words):
    monkeypatch.setattr(HostMachine, "kvm", kvm)
    model = Model(1)
    assert model.statuses[0] == ops.ActiveStatus(f"guests are emulated (TCG): {words}")
    assert (model.told[0]["virt-type"], model.told[0]["cpu-mode"]) == ("qemu", "custom")
    assert model.told[0]["cpu-model"] == "Nehalem"


def test_emulated_guests_of_another_architecture_see_what_qemu_has(monkeypatch, architecture):
    architecture("aarch64")
    monkeypatch.setattr(HostMachine, "kvm", None)
    model = Model(1)
    assert model.told[0]["cpu-model"] == "max"
    assert {"qemu-system-arm", "qemu-efi-aarch64"} <= model.machines[0].packages.keys()


def test_who_wants_kvm_and_has_none_is_told(monkeypatch):
    monkeypatch.setattr(HostMachine, "kvm", None)
    model = Model(1, {"virt-type": "kvm"})
    assert model.statuses[0].name == "blocked"
    assert model.statuses[0].message.startswith("virt-type=kvm: there is no /dev/kvm")
    assert model.told[0] == {}
    model.machines[0].virt.kvm = 0.2
    model.action(0, "check-virtualization")
    model.every()
    assert model.statuses[0] == ops.ActiveStatus("KVM")
    assert model.told[0]["virt-type"] == "kvm"


def test_kvm_is_tried_once_for_each_start_of_the_machine(one):
    machine = one.machines[0]
    one.every()
    one.update_status()
    assert machine.virt.tried == 1
    machine.power_off()
    machine.power_on()
    one.run(0, one.on.start())
    one.every()
    assert machine.virt.tried == 2


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.update_status()
    assert three.log() == []
    assert three.snapshot() == before


def test_other_hosts_reach_libvirt_by_tls_with_certificates_of_the_application(one):
    machine = one.machines[0]
    drop_in = machine.read("/etc/systemd/system/libvirtd-tls.socket.d/openinfra.conf")
    assert "\nListenStream=\nListenStream=10.0.0.10:16514\n" in drop_in
    config = machine.read("/etc/libvirt/libvirtd.conf")
    assert 'tls_allowed_dn_list = ["CN=libvirt.*"]' in config
    assert "auth_unix" not in config  # as packaged: polkit, and systemd's sockets are open to all
    assert "\nmigrate_tls_force = 1\n" in machine.read("/etc/libvirt/qemu.conf")
    for name in ("server-key", "client-key"):
        assert machine.nodes[machine.resolve(f"/etc/pki/qemu/{name}.pem")].mode == 0o600
        assert machine.nodes[machine.resolve(f"/etc/pki/qemu/{name}.pem")].owner[0] == "libvirt-qemu"
    assert machine.read("/etc/pki/libvirt/clientcert.pem") == machine.read("/etc/pki/qemu/server-cert.pem")
    assert machine.read("/etc/pki/CA/cacert.pem")
    request = json.loads(one.local[CERTIFICATES, 0]["certificate_signing_requests"])
    assert len(request) == 1
    assert machine.services[TLS] == "active"


def test_the_socket_for_other_hosts_comes_before_the_daemon(deploy):
    model = deploy(0)
    model.add_unit()
    machine = model.machines[0]
    assert machine.services[TLS] == machine.services[LIBVIRTD] == "active"
    machine.power_off()
    machine.power_on()
    assert machine.services[LIBVIRTD] == "active"


def test_another_configuration_restarts_the_daemon_and_no_guest(one):
    machine = one.machines[0]
    machine.virt.run_guest("instance-00000001")
    machine.write(f"/var/lib/openinfra/kvm-host/services/{LIBVIRTD}", "that of an earlier charm")
    one.every()
    assert machine.starts[LIBVIRTD] == 2
    assert machine.services[TLS] == "active"
    assert machine.starts["libvirt-guests.service"] == 1
    assert machine.virt.guests


def test_what_libvirt_guests_reads_restarts_nothing(one):
    machine = one.machines[0]
    one.configure(shutdown_timeout=600)
    text = machine.read("/etc/default/libvirt-guests")
    assert "\nSHUTDOWN_TIMEOUT=600\n" in text
    assert "\nON_BOOT=ignore\n" in text
    assert machine.starts["libvirt-guests.service"] == machine.starts[LIBVIRTD] == 1


def test_a_new_certificate_is_read_by_the_daemon_and_by_consoles(one):
    machine = one.machines[0]
    machine.virt.run_guest("instance-00000001")
    before = machine.virt.served
    one.time.now += 25 * 86400
    one.update_status()
    one.update_status()
    assert machine.virt.served != before
    assert machine.virt.served == machine.read("/etc/pki/qemu/server-cert.pem")
    assert machine.virt.reloaded_consoles == ["instance-00000001"]
    assert machine.starts[LIBVIRTD] == 1


def test_without_certificates_nothing_runs():
    model = Model(1, secure=False)
    assert model.statuses[0] == ops.BlockedStatus("no TLS: juju integrate kvm-host certificates")
    assert LIBVIRTD not in model.machines[0].starts


def test_guests_keep_a_unit_from_stopping(one):
    machine = one.machines[0]
    machine.virt.run_guest("instance-00000001")
    # Juju may have stopped what it likes: the guests' files tell.
    machine.services[LIBVIRTD] = "inactive"
    with pytest.raises(testing.errors.UncaughtCharmError, match="1 guests run here"):
        one.run(0, one.on.stop())
    assert machine.virt.guests
    machine.virt.end_guest("instance-00000001")
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [
        path
        for path, node in machine.nodes.items()
        if (node.content is not None or node.link) and "pki" in path
    ]
    assert left == []
    assert "libvirt-daemon-system" not in machine.packages


def test_a_machine_with_guests_is_not_safe_to_stop(one, capsys):
    machine = one.machines[0]
    with use(machine):
        assert check.main("safe-to-stop", "kvm-host") == 0
        assert check.main("after-start", "kvm-host") == 0
        for number in range(7):
            machine.virt.run_guest(f"g{number}")
        assert check.main("safe-to-stop", "kvm-host") == 1
        machine.virt.refused = "it starts"
        assert check.main("after-start", "kvm-host") == 1
    assert capsys.readouterr().out == (
        "7 guests run here (g0, g1, g2, g3, g4, ...): move them (with nova-compute: the action drain), or shut them down\n"
        "error: it starts\n"
    )


def test_a_guest_whose_process_is_gone_does_not_run(one):
    machine = one.machines[0]
    machine.have("/run/libvirt/qemu/old.pid", "4711\n")
    with use(machine):
        assert check.main("safe-to-stop", "kvm-host") == 0


def test_guests_are_listed(one):
    one.machines[0].virt.run_guest("instance-00000001")
    one.machines[0].virt.stopped.add("instance-00000002")
    result = one.action(0, "list-guests")
    assert result["summary"] == "1 of 2 guests run"
    assert {(g["name"], g["state"]) for g in result["result"]} == {
        ("instance-00000001", "running"),
        ("instance-00000002", "shut off"),
    }
    one.machines[0].virt.refused = "it starts"
    assert "libvirt does not answer: error: it starts" in one.refuse(0, "list-guests")


def test_huge_pages_are_asked_for_and_missed(one):
    machine = one.machines[0]
    one.configure(huge_pages="2M:64")
    assert "hugepages-2048kB/nr_hugepages - - - - 64" in machine.read(
        "/etc/tmpfiles.d/openinfra-kvm-host.conf"
    )
    assert one.statuses[0].message.startswith("KVM; 0 of 64 huge pages of 2048 KiB")
    machine.have("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64\n")
    one.every()
    assert one.statuses[0] == ops.ActiveStatus("KVM")


def test_nested_applies_with_the_next_start(one):
    one.machines[0].have("/sys/module/kvm_intel/parameters/nested", "N\n")
    one.configure(nested=True)
    assert one.statuses[0] == ops.ActiveStatus(
        "KVM; nested=true applies when the machine has been started anew"
    )
    assert "options kvm_intel nested=1\n" in one.machines[0].read("/etc/modprobe.d/openinfra-kvm-host.conf")


def test_the_operator_says_how_guests_see_the_cpu(one):
    one.configure(cpu_mode="custom", cpu_model="Skylake-Server", cpu_dedicated_set="4-7", virt_type="qemu")
    told = one.told[0]
    assert (told["virt-type"], told["cpu-mode"], told["cpu-model"]) == ("qemu", "custom", "Skylake-Server")
    assert told["cpu-dedicated-set"] == "4-7"
    assert one.statuses[0] == ops.ActiveStatus("guests are emulated (TCG), as virt-type has it")


def test_an_option_that_cannot_be_used_blocks(one):
    one.configure(virt_type="xen")
    assert one.statuses[0].message == "config virt-type='xen' cannot be used: expected auto or kvm or qemu"


def test_a_subordinate_is_told_again_when_it_comes(one):
    one.run(0, one.on.relation_created, relation=HYPERVISOR)
    assert one.told[0]["virt-type"] == "kvm"
