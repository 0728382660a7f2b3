"""The baseline on a machine in memory."""

import dataclasses
import json

import pytest

import host
from host import Host
from openinfra_charm.daemon import registry
from state import Config


@pytest.fixture
def config(defaults):
    return Config.parse({**defaults, "sysctl": "net.core.somaxconn=4096\nkernel.panic=10\nno.such.thing=1"})


def settle(machine, config):
    """Reconcile as the charm does."""
    workload = Host(machine, "host")
    workload.install()
    workload.render(config)
    workload.apply(config)
    workload.start()
    return workload


def test_everything_is_set_up(machine, config):
    workload = settle(machine, config)
    assert set(machine.packages) == {"chrony", "logrotate", "needrestart", "unattended-upgrades"}
    assert machine.read("/proc/sys/net/core/somaxconn") == "4096\n"
    assert machine.read("/proc/sys/kernel/panic") == "10\n"
    assert "* soft nofile 65536\n" in machine.read(host.LIMITS)
    assert "SystemMaxUse=1024M\n" in machine.read(host.JOURNALD)
    assert "pool pool.ntp.org iburst\n" in machine.read(host.CHRONY)
    assert 'APT::Periodic::Unattended-Upgrade "1";' in machine.read(host.APT)
    assert "$nrconf{restart} = 'l';" in machine.read(host.NEEDRESTART)
    assert "reload ssh.service" in machine.log
    assert "restart systemd-journald.service" in machine.log
    assert not workload.stopped_services()
    assert workload.version() == "24.04"


def test_a_second_time_changes_nothing(machine, config):
    settle(machine, config)
    machine.log.clear()
    settle(machine, config)
    assert machine.log == []


def test_only_what_has_changed_is_taken_up(machine, config):
    settle(machine, config)
    machine.log.clear()
    settle(machine, dataclasses.replace(config, ntp_servers=("ntp.example.org",)))
    changes = [change for change in machine.log if not change.startswith("write /var/lib/")]
    assert changes == [f"write {host.CHRONY}", "restart chrony.service"]


def test_what_someone_else_changed_is_put_right(machine, config):
    settle(machine, config)
    before = machine.read(host.LIMITS)
    machine.write(host.LIMITS, "* soft nofile 1\n")
    machine.write("/proc/sys/kernel/panic", "0\n")
    settle(machine, config)
    assert machine.read(host.LIMITS) == before
    assert machine.read("/proc/sys/kernel/panic") == "10\n"


def test_a_hook_that_died_after_writing_is_finished_by_the_next(machine, config):
    settle(machine, config)
    changed = dataclasses.replace(
        config, journal_max_size=2048, ssh_root_login="no", sysctl={"net.core.somaxconn": "8192"}
    )
    Host(machine, "host").render(changed)
    machine.log.clear()
    settle(machine, changed)
    assert "restart systemd-journald.service" in machine.log
    assert "reload ssh.service" in machine.log
    assert machine.read("/proc/sys/net/core/somaxconn") == "8192\n"
    assert "restart chrony.service" not in machine.log


def test_a_container_leaves_its_hosts_kernel_and_clock_alone(machine, config):
    machine.kind = "lxc"
    workload = settle(machine, config)
    assert machine.read("/proc/sys/kernel/panic") == "0\n"
    assert "kernel.panic" not in machine.read(host.SYSCTL)
    assert machine.read("/proc/sys/net/core/somaxconn") == "4096\n"
    assert "chrony" not in machine.packages
    assert workload.not_applicable(config) == {
        "time synchronisation": "the clock belongs to the container's host",
        "sysctl kernel.panic": "it belongs to the container's host",
        "sysctl no.such.thing": "it belongs to the container's host",
    }
    assert workload.notes(config) == ["not applicable here: time synchronisation, 2 kernel settings"]


def test_a_setting_that_the_kernel_refuses_is_tried_once(machine, config):
    machine.system.refused_settings = {"net.core.somaxconn"}
    workload = settle(machine, config)
    assert workload.not_applicable(config)["sysctl net.core.somaxconn"] == "the kernel refuses the value 4096"
    machine.log.clear()
    settle(machine, config)
    assert machine.log == []


def test_a_setting_that_can_only_be_written_is_made_once_and_told(machine, config):
    flushing = dataclasses.replace(config, sysctl={"net.ipv4.route.flush": "1", "net.core.somaxconn": "4096"})
    workload = settle(machine, flushing)
    assert machine.system.flushes == 1
    assert machine.read("/proc/sys/net/core/somaxconn") == "4096\n"
    assert workload.notes(flushing) == ["cannot be read back: net.ipv4.route.flush"]
    machine.log.clear()
    settle(machine, flushing)
    assert (machine.log, machine.system.flushes) == ([], 1)


def test_of_a_setting_with_a_dash_nobody_is_told_where_it_cannot_be_had(machine, defaults):
    text = "-no.such.thing = 1\n-kernel.panic = 10\n-net.core.somaxconn = 4096"
    lenient = Config.parse({**defaults, "sysctl": text})
    machine.system.refused_settings = {"kernel.panic"}
    workload = settle(machine, lenient)
    assert machine.read("/proc/sys/net/core/somaxconn") == "4096\n"
    assert "-net.core.somaxconn = 4096\n" in machine.read(host.SYSCTL)
    assert workload.notes(lenient) == []


def test_another_value_is_tried_again(machine, config):
    machine.system.refused_settings = {"net.core.somaxconn"}
    settle(machine, config)
    machine.system.refused_settings = set()
    settle(machine, dataclasses.replace(config, sysctl={"net.core.somaxconn": "256"}))
    assert machine.read("/proc/sys/net/core/somaxconn") == "256\n"


def test_keys_only_where_someone_has_one(machine, config):
    settle(machine, config)
    assert "PasswordAuthentication no\n" in machine.read(host.SSHD)
    assert "PermitRootLogin prohibit-password\n" in machine.read(host.SSHD)


def test_nobody_is_locked_out(machine, config):
    machine.remove("/home/ubuntu/.ssh")
    workload = settle(machine, dataclasses.replace(config, ssh_root_login="no"))
    assert "PasswordAuthentication" not in machine.read(host.SSHD)
    assert "PermitRootLogin" not in machine.read(host.SSHD)
    assert "SSH passwords stay possible: no account has an authorized key" in workload.notes(config)


def test_root_stays_able_to_log_in_where_nobody_else_is(machine, config):
    machine.remove("/home/ubuntu/.ssh")
    machine.write("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA operator\n")
    settle(machine, dataclasses.replace(config, ssh_root_login="no"))
    assert "PermitRootLogin prohibit-password\n" in machine.read(host.SSHD)


def test_passwords_are_the_operators_choice(machine, config):
    settle(machine, dataclasses.replace(config, ssh_password_login=True))
    assert "PasswordAuthentication" not in machine.read(host.SSHD)


def test_what_sshd_refuses_never_reaches_it(machine, config):
    settle(machine, config)
    before = machine.read(host.SSHD)
    machine.system.ssh_error = "Bad configuration option: X"
    changed = dataclasses.replace(config, ssh_root_login="no")
    machine.log.clear()
    workload = settle(machine, changed)
    assert machine.read(host.SSHD) == before
    assert "reload ssh.service" not in machine.log
    assert workload.ssh_problem(changed) == "Bad configuration option: X"


def test_a_machine_without_sshd_is_left_without(machine, config):
    machine.remove("/usr/sbin/sshd")
    workload = settle(machine, config)
    assert not machine.exists(host.SSHD)
    assert workload.not_applicable(config)["sshd"] == "openssh-server is not installed"


def test_an_sshd_that_waits_for_its_socket_is_not_started(machine, config):
    machine.services["ssh.service"] = "inactive"
    settle(machine, config)
    assert machine.services["ssh.service"] == "inactive"


def test_packages_of_charms_are_kept_from_automatic_updates(machine, config):
    machine.write(f"{registry.PACKAGES}/ceph", "ceph-mon\nlibstdc++6\n")
    settle(machine, config)
    apt = machine.read(host.APT)
    assert r'"^ceph\-mon$";' in apt
    assert r'"^libstdc\+\+6$";' in apt
    assert "chrony" not in apt


def test_removal_takes_the_baseline_back(machine, config):
    workload = settle(machine, config)
    machine.log.clear()
    workload.remove()
    for path in (host.SYSCTL, host.LIMITS, host.JOURNALD, host.SSHD, host.APT, host.NEEDRESTART):
        assert not machine.exists(path)
    assert not machine.exists("/var/lib/openinfra/host")
    assert not machine.exists(f"{registry.PACKAGES}/host")
    assert "reload ssh.service" in machine.log
    assert "logrotate" in machine.packages


def test_refusals_are_forgotten_at_the_next_start(machine, config):
    machine.system.refused_settings = {"kernel.panic"}
    settle(machine, config)
    refused = json.loads(machine.read("/run/openinfra/host/refused-settings.json"))
    assert refused == {"kernel.panic": "10"}
