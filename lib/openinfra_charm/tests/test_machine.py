"""This machine itself: files in a temporary folder, and small programs."""

import contextlib
import http.server
import ipaddress
import os
import pwd
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import authority
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from openinfra_charm import machine as machines
from openinfra_charm.machine import CommandError, LinkError, Machine, Result, packages
from openinfra_charm.testing import MemoryMachine, Node


def owner_and_mode(path):
    now = Path(path).stat()
    return pwd.getpwuid(now.st_uid).pw_name, stat.S_IMODE(now.st_mode)


# Processes


def test_a_program_gets_its_input_and_environment_and_its_outputs_are_kept():
    done = Machine().run(
        "sh", "-c", "cat; echo $GREETING >&2; exit 3", stdin="in", env={"GREETING": "hi"}, check=False
    )
    assert done == Result(code=3, stdout="in", stderr="hi\n")


def test_a_program_without_input_reads_nothing():
    assert Machine().run("cat").stdout == ""


def test_a_program_that_fails_is_an_error_with_its_words():
    with pytest.raises(CommandError, match="sh ended with exit code 4: no such luck") as caught:
        Machine().run("sh", "-c", "echo no such luck >&2; exit 4")
    assert (caught.value.code, caught.value.argv[0]) == (4, "sh")


def test_a_program_that_hangs_is_killed():
    with pytest.raises(TimeoutError, match=r"sleep did not end within 0\.05 s"):
        Machine().run("sleep", "60", timeout=0.05)


def test_output_that_is_no_text_is_no_error():
    assert Machine().run("printf", "\\377").stdout == "\N{REPLACEMENT CHARACTER}"


def test_a_library_is_loaded_by_its_name():
    assert Machine().load_library("json").dumps([]) == "[]"
    with pytest.raises(ImportError, match="no_such_library"):
        Machine().load_library("no_such_library")


# Files


def test_a_file_is_written_once(real, tmp_path):
    path = str(tmp_path / "new/folder/file")
    assert real.write(path, "content\n", mode=0o640, user="nobody")
    before = Path(path).stat()
    assert not real.write(path, "content\n", mode=0o640, user="nobody")
    assert Path(path).stat() == before
    assert real.read(path) == "content\n"
    assert owner_and_mode(path) == ("nobody", 0o640)


@pytest.mark.parametrize(
    "change", [{"content": "CONTENT"}, {"mode": 0o600}, {"user": "nobody"}, {"group": "daemon"}]
)
def test_whatever_differs_is_put_right(real, tmp_path, change):
    path = str(tmp_path / "file")
    wanted = {"content": "content", "mode": 0o644, "user": "root", "group": "root"}
    real.write(path, **wanted)
    assert real.write(path, **wanted | change)
    assert not real.write(path, **wanted | change)


def test_a_file_is_written_anew_as_it_is(real, tmp_path):
    path = str(tmp_path / "file")
    real.write(path, "content\n", mode=0o600, user="nobody")
    before = Path(path).stat()
    real.renew(path)
    after = Path(path).stat()
    assert after.st_ino != before.st_ino
    assert after.st_mtime_ns > before.st_mtime_ns
    assert real.read(path) == "content\n"
    assert owner_and_mode(path) == ("nobody", 0o600)
    assert real.list_folder(str(tmp_path)) == ["file"]


def test_a_file_that_is_not_there_is_not_written_anew(real, tmp_path):
    with pytest.raises(FileNotFoundError):
        real.renew(str(tmp_path / "file"))


def test_a_reader_of_the_old_file_keeps_it_whole(real, tmp_path):
    path = str(tmp_path / "file")
    real.write(path, "old")
    with Path(path).open() as reader:
        real.write(path, "new and longer")
        assert reader.read() == "old"
    assert real.list_folder(str(tmp_path)) == ["file"]


def test_a_power_loss_before_the_exchange_leaves_the_old_file(real, tmp_path, monkeypatch):
    path = str(tmp_path / "file")
    real.write(path, "old")

    def lose_power(_descriptor):
        raise OSError("power loss")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lose_power)
        with pytest.raises(OSError, match="power loss"):
            real.write(path, "new")
    assert real.read(path) == "old"
    assert real.write(path, "new")
    assert real.list_folder(str(tmp_path)) == ["file"]


def test_the_content_is_durable_before_the_exchange_and_the_folder_after_it(real, tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (order.append(Path(f"/proc/self/fd/{fd}").readlink().name), fsync(fd))
    )
    monkeypatch.setattr(
        os, "replace", lambda *names, **where: (order.append("replace"), replace(*names, **where))
    )
    real.write(str(tmp_path / "file"), "content")
    assert order == [".file.new", "replace", tmp_path.name]


def test_a_file_in_new_folders_is_durable_with_their_names(real, tmp_path, monkeypatch):
    order = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (order.append(Path(f"/proc/self/fd/{fd}").readlink().name), fsync(fd))
    )
    real.write(str(tmp_path / "new/below/file"), "content")
    assert order == [tmp_path.name, "new", ".file.new", "below"]


def test_a_secret_is_never_readable_by_others(real, tmp_path, monkeypatch):
    modes = []
    write = os.fchmod
    monkeypatch.setattr(
        os, "fchmod", lambda fd, mode: (modes.append(stat.S_IMODE(os.fstat(fd).st_mode)), write(fd, mode))
    )
    real.write(str(tmp_path / "key"), "secret", mode=0o600)
    assert modes == [0o600]


def test_an_unknown_user_is_an_error_before_anything_is_written(real, tmp_path):
    with pytest.raises(KeyError, match="no-such-user"):
        real.write(str(tmp_path / "file"), "content", user="no-such-user")
    assert real.list_folder(str(tmp_path)) == []


def test_what_is_not_there_reads_as_none(tmp_path):
    assert Machine().read(str(tmp_path / "file")) is None
    assert Machine().list_folder(str(tmp_path / "folder")) == []
    assert not Machine().exists(str(tmp_path / "file"))


def test_bytes_are_read_from_either_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(10)))
    assert Machine().read_bytes(str(path), 3) == b"\0\1\2"
    assert Machine().read_bytes(str(path), 3, 8) == b"\x08\x09"
    assert Machine().read_bytes(str(path), 3, -3) == b"\x07\x08\x09"
    assert Machine().size(str(path)) == 10


def test_files_links_and_folders_are_removed(real, tmp_path):
    (tmp_path / "folder/below").mkdir(parents=True)
    (tmp_path / "folder/below/file").write_text("")
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    assert real.remove(str(tmp_path / "folder"))
    assert real.remove(str(tmp_path / "link"))
    assert not real.remove(str(tmp_path / "link"))
    assert real.list_folder(str(tmp_path)) == ["kept"]


def test_a_folder_is_made_once(real, tmp_path):
    path = str(tmp_path / "a/b")
    assert real.make_folder(path, mode=0o700, user="nobody")
    assert not real.make_folder(path, mode=0o700, user="nobody")
    assert owner_and_mode(path) == ("nobody", 0o700)
    assert real.make_folder(path, mode=0o750, user="nobody")
    assert owner_and_mode(path) == ("nobody", 0o750)


def test_a_link_is_made_and_turned(real, tmp_path):
    path = str(tmp_path / "link")
    assert real.link(path, "/somewhere")
    assert not real.link(path, "/somewhere")
    assert real.exists(path)
    assert real.link(path, str(tmp_path / "else"))
    assert real.resolve(path) == str(tmp_path / "else")
    assert real.list_folder(str(tmp_path)) == ["link"]


def test_a_sparse_file_takes_no_room(real, tmp_path):
    path = str(tmp_path / "image")
    real.allocate(path, 1 << 30, user="nobody")
    assert real.size(path) == 1 << 30
    assert Path(path).stat().st_blocks == 0
    assert owner_and_mode(path) == ("nobody", 0o600)
    with pytest.raises(FileExistsError):
        real.allocate(path, 1)


def test_the_owner_is_changed_behind_a_link(real, tmp_path):
    (tmp_path / "file").write_text("")
    real.link(str(tmp_path / "link"), "file")
    real.change_owner(str(tmp_path / "link"), user="nobody", group="daemon")
    assert (tmp_path / "file").owner() == "nobody"
    assert (tmp_path / "file").group() == "daemon"


# Links that a service plants


@pytest.fixture
def services(tmp_path):
    """A folder that a service owns, as it is below /var/lib, and beside it one of root's with what it would like to have."""
    for name in ("lib", "roots"):
        (tmp_path / name).mkdir()
    (tmp_path / "roots/shadow").write_text("secret")
    os.chown(tmp_path / "lib", pwd.getpwnam("nobody").pw_uid, -1)
    return tmp_path / "lib"


@pytest.fixture(params=["file", "folder", "parent"])
def planted(request, services):
    """A path of root's choice in such a folder, of which the service has made a link to what is root's."""
    roots = services.parent / "roots"
    name, target, path = {
        "file": ("key", roots / "shadow", "key"),
        "folder": ("keys", roots, "keys"),
        "parent": ("keys", roots, "keys/shadow"),
    }[request.param]
    (services / name).symlink_to(target)
    return services / path


def roots_own(services):
    """Return owner, mode and content of what is root's."""
    roots = services.parent / "roots"
    return [owner_and_mode(roots), owner_and_mode(roots / "shadow"), (roots / "shadow").read_text()]


@pytest.mark.parametrize(
    "act",
    [
        lambda real, path, _: real.write(path, "new", mode=0o666, user="nobody"),
        lambda real, path, _: real.make_folder(path, mode=0o777, user="nobody"),
        lambda real, path, _: real.change_owner(path, user="nobody", group="daemon"),
        lambda real, path, _: real.link(path, "elsewhere"),
        lambda real, path, _: real.remove(path),
        lambda real, path, _: real.allocate(path, 4096, user="nobody"),
        lambda real, path, fresh: real.move_folder(fresh, path),
    ],
    ids=["write", "make_folder", "change_owner", "link", "remove", "allocate", "move_folder"],
)
def test_nothing_of_roots_is_changed_through_a_link_of_a_services(real, services, planted, act):
    (services.parent / "fresh").mkdir()
    before = roots_own(services)
    with contextlib.suppress(OSError):
        act(real, str(planted), str(services.parent / "fresh"))
    assert roots_own(services) == before
    assert sorted(path.name for path in (services.parent / "roots").iterdir()) == ["shadow"]


def test_nothing_of_roots_is_read_through_a_link_of_a_services(real, planted):
    assert real.read(str(planted)) is None
    assert real.list_folder(str(planted)) == []


def test_what_was_planted_is_replaced(real, services):
    for name in ("key", "keys", ".key.new"):
        (services / name).symlink_to(services.parent / "roots")
    assert real.write(str(services / "key"), "new", user="nobody")
    assert real.make_folder(str(services / "keys"), mode=0o700, user="nobody")
    assert (services / "key").read_text() == "new"
    assert not (services / "keys").is_symlink()
    assert owner_and_mode(services / "keys") == ("nobody", 0o700)


def test_another_name_of_roots_file_is_not_given_away(real, services):
    (services / "key").hardlink_to(services.parent / "roots/shadow")
    with pytest.raises(LinkError):
        real.change_owner(str(services / "key"), user="nobody", group="daemon")
    assert owner_and_mode(services.parent / "roots/shadow")[0] == "root"


def test_roots_own_links_are_followed_also_over_folders(real, tmp_path):
    (tmp_path / "real/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/again").symlink_to("../link/inner/file")
    assert real.write(str(tmp_path / "link/inner/file"), "content")
    assert real.read(str(tmp_path / "link/again")) == "content"
    assert real.list_folder(str(tmp_path / "link/inner")) == ["file"]
    (tmp_path / "circle").symlink_to("circle")
    assert real.read(str(tmp_path / "circle")) is None


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(real, services):
    os.mkfifo(services / "key")
    assert real.read(str(services / "key")) is None
    assert real.write(str(services / "key"), "new", user="nobody")
    assert (services / "key").read_text() == "new"


@pytest.mark.parametrize(
    ("act", "left"),
    [
        (lambda machine: machine.write("/var/lib/app/key", "new"), "new"),
        (lambda machine: machine.make_folder("/var/lib/app/key", mode=0o700, user="app"), None),
        (lambda machine: machine.remove("/var/lib/app/key"), None),
    ],
    ids=["write", "make_folder", "remove"],
)
def test_a_machine_in_memory_follows_no_planted_link_either(act, left):
    machine = MemoryMachine()
    machine.have("/etc/shadow", "secret", mode=0o600)
    machine.make_folder("/var/lib/app", mode=0o750, user="app", group="app")
    machine.nodes["/var/lib/app/key"] = Node(
        content=None, mode=0o777, owner=("app", "app"), link="/etc/shadow"
    )
    assert machine.read("/var/lib/app/key") is None
    with pytest.raises(LinkError):
        machine.change_owner("/var/lib/app/key", user="app", group="app")
    act(machine)
    assert machine.read("/var/lib/app/key") == left
    shadow = machine.nodes["/etc/shadow"]
    assert (shadow.content, shadow.mode, shadow.owner) == ("secret", 0o600, ("root", "root"))


def test_a_file_is_no_block_device(tmp_path):
    (tmp_path / "file").write_text("")
    assert not Machine().is_block_device(str(tmp_path / "file"))
    assert not Machine().is_block_device(str(tmp_path / "nothing"))
    assert not Machine().open_exclusively(str(tmp_path / "nothing"))
    assert Machine().free_space(str(tmp_path)) > 0


# Programs of the system, answered in its place


class Recorded(Machine):
    """This machine with the programs of packages and services answered by a table."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def run(self, *argv, check=True, **_):
        self.calls.append(" ".join(argv))
        answer = self.answers.get(argv[1], "") if len(argv) > 1 else ""
        result = answer if isinstance(answer, Result) else Result(code=0, stdout=answer, stderr="")
        if check and result.code:
            raise CommandError(argv, result.code, result.stderr)
        return result


@pytest.fixture
def database(tmp_path, monkeypatch):
    """Have a database of dpkg's that tests may change; return its file."""
    monkeypatch.setattr(packages, "_STATUS", tmp_path / "dpkg/status")
    monkeypatch.setattr(packages, "_PENDING", tmp_path / "dpkg/updates")
    monkeypatch.setattr(packages, "_ANSWERS", str(tmp_path / "dpkg/answers"))
    (tmp_path / "dpkg/updates").mkdir(parents=True)
    (tmp_path / "dpkg/status").write_text("Package: ceph\n")
    return tmp_path / "dpkg/status"


def test_dpkg_is_asked_once_as_long_as_its_database_is_the_same(real, database):
    machine = Recorded(**{"-W": "ceph\tinstalled\t18.2.7+ds-1\nold\tconfig-files\t1.0\n"})
    for _ in range(2):
        assert machine.package_versions(["ceph", "old"]) == {"ceph": "18.2.7+ds-1"}
    assert len(machine.calls) == 1
    assert machine.package_versions(["ceph", "new"]) == {"ceph": "18.2.7+ds-1"}
    assert machine.calls[1].endswith(" new")
    # As dpkg does: another file takes its place, of the same size and of the same time at worst.
    other = database.with_name("status-new")
    other.write_text("Package: ceph\n")
    os.utime(other, ns=(database.stat().st_atime_ns, database.stat().st_mtime_ns))
    other.replace(database)
    machine.answers["-W"] = "ceph\tinstalled\t20.2.4+ds-2\n"
    assert machine.package_versions(["ceph"]) == {"ceph": "20.2.4+ds-2"}


def test_dpkg_is_asked_each_time_while_it_is_at_work(real, database):
    (database.with_name("updates") / "0001").write_text("Package: ceph\n")
    machine = Recorded(**{"-W": "ceph\tinstalled\t18.2.7+ds-1\n"})
    for _ in range(2):
        assert machine.package_versions(["ceph"]) == {"ceph": "18.2.7+ds-1"}
    assert len(machine.calls) == 2


def test_only_installed_packages_have_a_version(real, database):
    machine = Recorded(**{"-W": "ceph\tinstalled\t18.2.7+ds-1\nold\tconfig-files\t1.0\n"})
    assert machine.package_versions(["ceph", "old", "never"]) == {"ceph": "18.2.7+ds-1"}
    assert machine.package_versions([]) == {}


def test_packages_start_nothing_while_they_are_installed(real, tmp_path, monkeypatch):
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "NO_START", str(policy))
    seen = []

    class Watched(Recorded):
        def run(self, *argv, **options):
            seen.append((argv[:2], policy.stat().st_mode & 0o777))
            return super().run(*argv, **options)

    Watched().install_packages(["chrony"])
    assert seen == [(("dpkg", "--audit"), 0o755), (("apt-get", "install"), 0o755)]
    assert not policy.exists()


def test_what_a_power_loss_interrupted_is_finished_first(real, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "NO_START", str(tmp_path / "policy-rc.d"))
    machine = Recorded(**{"--audit": "The following packages are only half configured"})
    machine.install_packages(["chrony"])
    assert [call.split()[1] for call in machine.calls] == ["--audit", "--force-confold", "install"]


def test_what_had_not_been_unpacked_is_brought(real, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "NO_START", str(tmp_path / "policy-rc.d"))
    failed = Result(code=1, stdout="", stderr="dependency problems")
    machine = Recorded(**{"--audit": "unpacked but not configured", "--force-confold": failed})
    machine.install_packages(["chrony"], release="n=forky")
    assert [call.split()[1] for call in machine.calls] == [
        "--audit",
        "--force-confold",
        "--fix-broken",
        "install",
    ]
    assert "--target-release n=forky" in machine.calls[2]


def test_packages_come_from_a_release_and_push_nobody_out(real, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "NO_START", str(tmp_path / "policy-rc.d"))
    machine = Recorded()
    machine.install_packages(["ceph-osd"], release="o=Debian,n=forky", keep_all=True)
    assert "--target-release o=Debian,n=forky --no-remove" in machine.calls[-1]
    machine.install_packages(["chrony"])
    assert "--target-release" not in machine.calls[-1]
    assert "--no-remove" not in machine.calls[-1]


def test_packages_of_a_source():
    rows = "installed\tceph\tceph-osd\nconfig-files\tceph\tceph-mds\ninstalled\tglibc\tlibc6\ninstalled\tceph\tceph-base\n"
    assert Recorded(**{"-W": rows}).installed_from("ceph") == ["ceph-base", "ceph-osd"]


def test_a_program_that_was_replaced_is_outdated(tmp_path):
    program = tmp_path / "daemon"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as old, subprocess.Popen(["/bin/sleep", "60"]) as other:
        try:
            pids = (old.pid, other.pid, 0)
            machine = Recorded(show="\n".join(f"MainPID={pid}\nActiveState=active\n" for pid in pids))
            units = ("old.service", "other.service", "none.service")
            assert machine.outdated_programs(*units) == set()
            shutil.copy("/bin/sleep", tmp_path / "new")
            (tmp_path / "new").rename(program)
            assert machine.outdated_programs(*units) == {"old.service"}
        finally:
            old.kill()
            other.kill()
    assert machine.outdated_programs(*units) == set()


def test_package_lists_are_renewed_only_when_a_package_is_not_to_be_had(real, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "NO_START", str(tmp_path / "policy-rc.d"))
    machine = Recorded(install=Result(code=100, stdout="", stderr="E: 404"))
    with pytest.raises(CommandError, match="E: 404"):
        machine.install_packages(["chrony"])
    assert [call.split()[1] for call in machine.calls] == ["--audit", "install", "update", "install"]
    assert not (tmp_path / "policy-rc.d").exists()


def test_only_what_nothing_needs_any_more_is_removed():
    """radosgw is another program's too, and what nothing needed before is the operator's to remove."""

    class Apt(Recorded):
        def run(self, *argv, **options):
            if argv[1] == "--simulate":
                is_marked = any(call.startswith("apt-mark auto") for call in self.calls)
                told = "Remv old-kernel [6.1]\n" + (
                    "Remv ceph-mds [18.2]\nRemv libfuse2 [2.9]\n" if is_marked else ""
                )
                return Result(code=0, stdout=f"Reading package lists...\n{told}", stderr="")
            return super().run(*argv, **options)

    machine = Apt()
    machine.remove_packages(["ceph-mds", "radosgw"])
    assert machine.calls == ["apt-mark auto ceph-mds radosgw", "apt-get remove -q -y ceph-mds libfuse2"]


def test_packages_are_kept():
    machine = Recorded(showmanual="chrony\niproute2\n")
    assert machine.kept_packages() == {"chrony", "iproute2"}
    machine.keep_packages(["radosgw"])
    assert machine.calls[-1] == "apt-mark manual radosgw"


@pytest.mark.parametrize("own", ["#!/bin/sh\nexit 101\n", "#!/bin/sh\nexit 0\n"])
def test_an_operators_policy_has_its_place_again(real, tmp_path, monkeypatch, own):
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "NO_START", str(policy))
    policy.write_text(own)
    Recorded().install_packages(["chrony"])
    assert policy.read_text() == own
    assert not real.let_services_start()
    assert [path.name for path in tmp_path.iterdir()] == ["policy-rc.d"]


@pytest.mark.parametrize("own", ["", "#!/bin/sh\nexit 0\n"])
def test_what_a_killed_installation_left_is_taken_away(real, tmp_path, monkeypatch, own):
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "NO_START", str(policy))
    monkeypatch.setattr(packages, "_APT_LOCK", str(tmp_path / "lock"))
    if own:
        policy.write_text(own)

    class Killed(Recorded):
        def run(self, *argv, **options):
            raise KeyboardInterrupt

        def _release_services(self, aside):
            """A process that is killed does nothing more."""

    with pytest.raises(KeyboardInterrupt):
        Killed().install_packages(["chrony"])
    assert policy.exists()
    holding = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as apt:
        assert apt.stdout is not None
        apt.stdout.readline()
        assert not real.let_services_start()
        apt.communicate(b"\n")
    assert real.let_services_start()
    assert (policy.read_text() if own else policy.exists()) == (own or False)
    assert not real.let_services_start()


def test_systemd_is_asked_again_when_it_starts_anew(monkeypatch):
    refused = Result(code=1, stdout="", stderr="Failed to connect to system scope bus: Connection refused")
    machine = Recorded(show=refused)
    monkeypatch.setattr(machine, "sleep", lambda _: machine.answers.update(show="ActiveState=active\n"))
    assert machine.service_states("a.service") == {"a.service": "active"}
    machine.answers["show"] = refused
    monkeypatch.setattr(machine, "sleep", lambda _: None)
    with pytest.raises(CommandError, match="Connection refused"):
        machine.service_states("a.service")


def test_services_are_asked_in_one_call():
    shown = "MainPID=7\nActiveState=active\n\nActiveState=inactive\n"
    machine = Recorded(show=shown, **{"is-enabled": "enabled\ndisabled\n"})
    assert machine.service_states("a.service", "b.service") == {
        "a.service": "active",
        "b.service": "inactive",
    }
    assert machine.enabled_services("a.service", "b.service") == {"a.service"}
    assert machine.service_states() == {}
    assert machine.outdated_programs("a.service", "b.service") == set()
    assert machine.enabled_services() == set()
    assert len(machine.calls) == 2


@pytest.mark.parametrize(
    ("restarts", "age", "again"), [(57, 20, {"a.service": 57}), (2, 20, {}), (57, 600, {})]
)
def test_what_is_started_again_and_again_is_known_from_its_state(monkeypatch, restarts, age, again):
    began = int(1e6 * (5000 - age))
    shown = f"MainPID=7\nActiveState=active\nNRestarts={restarts}\nExecMainStartTimestampMonotonic={began}\n"
    machine = Recorded(show=f"{shown}\nActiveState=active\n")
    monkeypatch.setattr("openinfra_charm.machine.units.time.monotonic", lambda: 5000.0)
    assert machine.restarting_services("a.service") == {}
    machine.service_states("a.service", "b.socket")
    assert machine.restarting_services("a.service", "b.socket") == again
    assert len(machine.calls) == 1


def test_a_daemon_answers_on_its_socket_until_it_hangs_up(real, tmp_path):
    path = str(tmp_path / "daemon.asok")
    with pytest.raises(FileNotFoundError):
        real.exchange(path, b"{}")

    def serve(server):
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b"question\0"
            for part in (b"ans", b"wer"):
                connection.sendall(part)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        assert real.exchange(path, b"question\0") == b"answer"
        thread.join()
    with pytest.raises(ConnectionRefusedError):
        real.exchange(path, b"question\0")


def test_another_machine_takes_this_ones_place_for_a_while():
    this = machines.this()
    with machines.use(MemoryMachine()) as other:
        assert machines.this() is other
    assert machines.this() is this


# Requests to other machines


@pytest.fixture
def https(tmp_path):
    """A server on this machine that answers with the path, its URL, and the file of the CA that it is checked with."""
    root = authority.make("root", time.time() - authority.DAY)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "one")])
    where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    request = x509.CertificateSigningRequestBuilder(name).add_extension(where, critical=False)
    csr = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_text(f"{root.sign(csr, time.time() - 60)}\n{private.decode()}")
    (tmp_path / "ca.pem").write_text(root.pem)

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, format, *args):  # noqa: A002  its name there
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}", str(tmp_path / "ca.pem")
    server.shutdown()
    thread.join()
    server.server_close()


def test_another_machine_is_asked_over_tls(real, https):
    url, ca = https
    answer = real.fetch(f"{url}/health", ca_path=ca)
    assert (answer.status, answer.body) == (503, "/health")


def test_another_machine_is_asked_in_clear(real):
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, format, *args):  # noqa: A002  its name there
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert real.fetch(f"http://127.0.0.1:{server.server_port}/synced").status == 200
        thread.join()


def test_who_shows_no_certificate_of_the_ca_is_not_asked(real, https, tmp_path):
    (tmp_path / "other.pem").write_text(authority.make("other", time.time() - authority.DAY).pem)
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        real.fetch(f"{https[0]}/health", ca_path=str(tmp_path / "other.pem"))


# Folders that count as a whole


def test_a_folder_gets_its_name_with_all_that_is_in_it(real, tmp_path):
    real.write(str(tmp_path / "beside/lib/module.py"), "content")
    real.link(str(tmp_path / "beside/lib/link"), "module.py")
    real.move_folder(str(tmp_path / "beside"), str(tmp_path / "tree"))
    assert (tmp_path / "tree/lib/link").read_text() == "content"
    assert not (tmp_path / "beside").exists()


@pytest.mark.parametrize("kind", ["real", "memory"])
def test_a_folder_takes_nobodys_name(request, tmp_path, kind):
    machine = request.getfixturevalue("real") if kind == "real" else MemoryMachine()
    for name in ("beside", "tree"):
        machine.write(f"{tmp_path}/{name}/file", name)
    with pytest.raises(FileExistsError):
        machine.move_folder(f"{tmp_path}/beside", f"{tmp_path}/tree")
    assert machine.read(f"{tmp_path}/tree/file") == "tree"
    assert machine.read(f"{tmp_path}/beside/file") == "beside"


# Ports


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_another_program_listens_on_is_taken(address):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((address, 0))
        other.listen()
        port = other.getsockname()[1]
        assert not Machine().can_listen(address, port)
    assert Machine().can_listen(address, port)


def test_a_port_is_free_for_who_shares_it_and_on_an_address_that_comes_later():
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        own.bind(("127.0.0.1", 0))
        own.listen()
        assert Machine().can_listen("127.0.0.1", own.getsockname()[1])
    assert Machine().can_listen("192.0.2.7", 5000)
