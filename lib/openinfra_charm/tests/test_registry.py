"""What applications on one machine know of each other."""

import pytest

from openinfra_charm.daemon import registry


def test_the_first_unit_owns_a_daemon(machine):
    assert registry.claim(machine, "ceph", "ceph/0") == "ceph/0"
    assert registry.claim(machine, "ceph", "store/0") == "ceph/0"
    assert registry.claim(machine, "mysql", "store/0") == "store/0"


def test_only_the_owner_can_give_it_up(machine):
    assert registry.owner(machine, "ceph") == ""
    registry.claim(machine, "ceph", "ceph/0")
    registry.disclaim(machine, "ceph", "store/0")
    assert registry.owner(machine, "ceph") == "ceph/0"
    assert registry.claim(machine, "ceph", "store/0") == "ceph/0"
    registry.disclaim(machine, "ceph", "ceph/0")
    assert registry.claim(machine, "ceph", "store/0") == "store/0"


def test_only_missing_packages_are_installed(machine):
    machine.packages["chrony"] = "4.5"
    assert registry.install(machine, "host", ["logrotate", "chrony"])
    assert machine.log[-1] == "install logrotate"
    assert machine.read(f"{registry.PACKAGES}/host") == "chrony\nlogrotate\n"
    machine.log.clear()
    assert not registry.install(machine, "host", ["logrotate", "chrony"])
    assert machine.log == []


def test_packages_are_on_record_before_they_are_installed(machine, monkeypatch):
    def fail(_names, **_options):
        raise OSError("the disk is full")

    monkeypatch.setattr(machine, "install_packages", fail)
    with pytest.raises(OSError, match="full"):
        registry.install(machine, "ceph", ["ceph-mon"])
    assert machine.read(f"{registry.PACKAGES}/ceph") == "ceph-mon\n"


def test_packages_that_another_application_needs_stay(machine):
    registry.install(machine, "ceph", ["ceph-mon", "python3-rados"])
    registry.install(machine, "nova", ["python3-rados"])
    registry.uninstall(machine, "ceph")
    assert set(machine.packages) == {"python3-rados"}
    registry.uninstall(machine, "nova")
    assert machine.packages == {}


def test_what_the_machine_had_before_stays(machine):
    machine.packages["iproute2"] = "6.15"
    machine.kept.add("iproute2")
    registry.install(machine, "mysql", ["iproute2", "galera-4"])
    registry.install(machine, "gateway", ["haproxy", "iproute2"])
    registry.uninstall(machine, "mysql")
    registry.uninstall(machine, "gateway")
    assert machine.packages == {"iproute2": "6.15"}
    assert machine.kept == {"iproute2"}
    assert not machine.exists(registry.INSTALLED)


def test_what_is_left_to_the_machine_stays(machine):
    registry.install(machine, "host", ["logrotate"])
    registry.leave(machine, "host")
    registry.install(machine, "ceph", ["ceph-mon", "logrotate"])
    registry.uninstall(machine, "ceph")
    assert set(machine.packages) == {"logrotate"}
    assert not machine.list_folder(registry.PACKAGES)


def test_who_installed_nothing_removes_nothing(machine):
    registry.install(machine, "mysql", ["galera-4"])
    machine.log.clear()
    registry.uninstall(machine, "mysql-backup")
    assert machine.log == []


def test_what_came_as_a_dependency_is_kept_for_whom_needs_it_until_he_goes(machine):
    """Else it would go with the other application."""
    machine.packages["python3-cryptography"] = "43"
    machine.dependencies.add("python3-cryptography")
    assert not registry.install(machine, "certificates", ["python3-cryptography"])
    assert machine.kept == {"python3-cryptography"}
    registry.uninstall(machine, "certificates")
    assert machine.kept == set()
    assert machine.packages == {"python3-cryptography": "43"}


def test_a_removal_that_was_interrupted_is_gone_on_with(machine, monkeypatch):
    registry.install(machine, "ceph", ["ceph-mon"])
    with monkeypatch.context() as interrupted:

        def fail(_names):
            raise OSError("killed")

        interrupted.setattr(machine, "remove_packages", fail)
        with pytest.raises(OSError, match="killed"):
            registry.uninstall(machine, "ceph")
    registry.uninstall(machine, "ceph")
    assert machine.packages == {}


@pytest.mark.parametrize(
    ("packaged", "version"), [("18.2.7+ds-1", "18.2.7"), ("1:11.8.3-0+deb13u1", "11.8.3"), ("1.6~rc1", "1.6")]
)
def test_a_version_is_what_its_makers_call_it(machine, packaged, version):
    assert registry.version(machine, "radosgw") == ""
    machine.packages["radosgw"] = packaged
    assert registry.version(machine, "radosgw") == version


def test_checks_are_programs_that_come_and_go(machine):
    for kind in registry.CHECKS:
        registry.leave_check(machine, kind, "ceph", "python3", "/check.py", kind)
    path = "/usr/lib/openinfra/safe-to-stop.d/ceph"
    assert machine.read(path) == "#!/bin/sh\nexec python3 /check.py safe-to-stop\n"
    assert machine.nodes[path].mode == 0o755
    registry.remove_checks(machine, "ceph")
    assert not any(machine.list_folder(f"/usr/lib/openinfra/{kind}.d") for kind in registry.CHECKS)


def test_what_a_later_version_of_an_application_does_not_need_goes(machine):
    machine.packages["lvm2"] = "2.03"
    machine.kept.add("lvm2")
    registry.install(machine, "ceph", ["ceph-osd", "ceph-volume", "lvm2", "python3-rados"])
    registry.install(machine, "nova", ["python3-rados"])
    registry.install(machine, "ceph", ["ceph-osd"])
    assert set(machine.packages) == {"ceph-osd", "lvm2", "python3-rados"}
    registry.uninstall(machine, "nova")
    registry.uninstall(machine, "ceph")
    assert machine.packages == {"lvm2": "2.03"}
    assert not machine.exists(registry.INSTALLED)
