"""The baseline of a machine: time, kernel settings, limits, logs, sshd and security updates."""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon import registry, render
from openinfra_charm.daemon.services import Service, Services

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from openinfra_charm.machine import Machine
    from state import Config

SYSCTL = "/etc/sysctl.d/90-openinfra.conf"
LIMITS = "/etc/security/limits.d/90-openinfra.conf"
JOURNALD = "/etc/systemd/journald.conf.d/90-openinfra.conf"
CHRONY = "/etc/chrony/chrony.conf"
SSHD = "/etc/ssh/sshd_config.d/10-openinfra.conf"
APT = "/etc/apt/apt.conf.d/90openinfra"
NEEDRESTART = "/etc/needrestart/conf.d/90-openinfra.conf"
_FILES = (SYSCTL, LIMITS, JOURNALD, SSHD, APT, NEEDRESTART)

_PACKAGES = ("logrotate", "needrestart", "unattended-upgrades")
_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer", "logrotate.timer")
_CHRONY_UNIT = "chrony.service"
_SSH_UNIT = "ssh.service"
_JOURNALD_UNIT = "systemd-journald.service"
_SSHD_PROGRAM = "/usr/sbin/sshd"
_SSHD_CANDIDATE = "/run/openinfra/sshd_config"
_SYSTEMD_SYSCTL = "/usr/lib/systemd/systemd-sysctl"
# The kinds of containers that systemd-detect-virt(1) knows.
_CONTAINER = re.compile(
    "openvz|lxc|lxc-libvirt|systemd-nspawn|docker|podman|rkt|wsl|proot|pouch|container-other"
)


def _kernel_path(key: str) -> str:
    return f"/proc/sys/{key.replace('.', '/')}"


class Host:
    """The operating system of one machine, as one application keeps it."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self._application = application
        self._folder = f"/var/lib/openinfra/{application}"
        # Under /run, so that the next kernel is asked again.
        self._refusals = f"/run/openinfra/{application}/refused-settings.json"
        self._made = f"/run/openinfra/{application}/made-settings.json"
        self._kind = f"/run/openinfra/{application}/virtualization"
        self._services = Services(machine, application)
        self._templates = render.Templates(machine, application, Path(__file__).parent / "templates")

    # Verbs

    def install(self) -> bool:
        """Install what is missing of the packages; return whether anything was."""
        time_sync = () if self.in_container else ("chrony",)
        return registry.install(self.machine, self._application, (*_PACKAGES, *time_sync))

    def render(self, config: Config) -> frozenset[str]:
        """Write the configuration files; return those that changed. One that sshd would refuse is not written."""
        settings = {
            f"{'-' if key in config.sysctl_lenient else ''}{key}": value
            for key, value in config.sysctl.items()
            if not self._out_of_reach(key)
        }
        files = [
            self._file(SYSCTL, "sysctl.conf.j2", settings=settings),
            self._file(LIMITS, "limits.conf.j2", limits=config.limits),
            self._file(
                JOURNALD, "journald.conf.j2", max_size=config.journal_max_size, max_age=config.journal_max_age
            ),
            self._file(
                APT, "apt.conf.j2", security_updates=config.security_updates, kept=self._kept_packages()
            ),
            self._file(NEEDRESTART, "needrestart.conf.j2"),
        ]
        if not self.in_container:
            files.append(self._file(CHRONY, "chrony.conf.j2", servers=config.ntp_servers))
        if self.has_sshd and not self.ssh_problem(config):
            files.append(self._ssh_file(config))
        return render.write(self.machine, *files)

    def apply(self, config: Config) -> None:
        """Let the kernel and the services apply what was rendered; those that have already are left alone."""
        self._apply_kernel_settings(config)
        self._apply_file(self._service(_JOURNALD_UNIT, JOURNALD), self._services.restart)
        if not self.in_container:
            self._apply_file(self._service(_CHRONY_UNIT, CHRONY), self._services.restart)
        if self.has_sshd:
            self._apply_file(self._service(_SSH_UNIT, SSHD), self._reload_if_active)

    def start(self) -> list[str]:
        """Start what does not run yet; return the units that were started."""
        return self._services.ensure_running(self._wanted_services())

    def stop(self) -> None:
        """Leave all running: they are services of the machine, not of the charm."""

    def version(self) -> str:
        """Return the version of the operating system, such as 24.04."""
        found = re.search(
            r'^VERSION_ID="?([^"\n]*)', self.machine.read("/etc/os-release") or "", re.MULTILINE
        )
        return found[1] if found else ""

    def remove(self) -> None:
        """Take the baseline back.

        Packages stay: they are part of an ordinary machine. So do chrony's servers, that time goes on, and what the
        kernel has been set to, until it starts again.
        """
        for path in _FILES:
            self.machine.remove(path)
        registry.leave(self.machine, self._application)
        self.machine.restart_services(_JOURNALD_UNIT)
        if self.has_sshd:
            self._reload_if_active(self._service(_SSH_UNIT, SSHD))
        self.machine.remove(self._folder)

    # Facts

    @cached_property
    def in_container(self) -> bool:
        """Whether the kernel, and so its clock, belongs to somebody else."""
        kind = self.machine.read(self._kind)
        if kind is None:
            # It stays the same until the machine starts again.
            kind = self.machine.virtualization()
            self.machine.write(self._kind, kind)
        return bool(_CONTAINER.fullmatch(kind))

    def stopped_services(self) -> list[str]:
        """Return the units that should run and do not."""
        return self._services.stopped(*(service.unit for service in self._wanted_services()))

    @property
    def has_sshd(self) -> bool:
        """Whether the machine has an SSH server."""
        return self.machine.exists(_SSHD_PROGRAM)

    def not_applicable(self, config: Config) -> dict[str, str]:
        """Return the parts of the baseline that cannot be had on this machine, and why."""
        parts: dict[str, str] = {}
        if self.in_container:
            parts["time synchronisation"] = "the clock belongs to the container's host"
        if not self.has_sshd:
            parts["sshd"] = "openssh-server is not installed"
        settings = {
            key: self.kernel_objection(key, config.sysctl[key]) for key in self._strict_settings(config)
        }
        return parts | {f"sysctl {key}": reason for key, reason in settings.items() if reason}

    def notes(self, config: Config) -> list[str]:
        """Return what the operator should know of this machine, though all is well."""
        parts = self.not_applicable(config)
        settings = [part for part in parts if part.startswith("sysctl ")]
        named = [part for part in parts if part not in settings]
        if settings:
            named.append(f"{len(settings)} kernel settings")
        notes = [f"not applicable here: {', '.join(named)}"] if named else []
        if unseen := [key for key in self._strict_settings(config) if self.is_write_only(key)]:
            notes.append(f"cannot be read back: {', '.join(unseen)}")
        if self.has_sshd and not config.ssh_password_login and not self.accounts_with_keys():
            notes.append("SSH passwords stay possible: no account has an authorized key")
        return notes

    # Kernel settings

    def kernel_objection(self, key: str, value: str) -> str:
        """Return why a kernel setting cannot be had here; empty where it can."""
        refused = self._known(self._refusals).get(key) == value
        return self._out_of_reach(key) or (f"the kernel refuses the value {value}" if refused else "")

    @staticmethod
    def _strict_settings(config: Config) -> list[str]:
        """Return the kernel settings that are reported where they cannot be had."""
        return [key for key in config.sysctl if key not in config.sysctl_lenient]

    def _out_of_reach(self, key: str) -> str:
        if self.in_container and not key.startswith("net."):
            return "it belongs to the container's host"
        return "" if self.machine.exists(_kernel_path(key)) else "this kernel has no such setting here"

    def kernel_value(self, key: str) -> str | None:
        """Return what a kernel setting is now; None where there is none of that name, or it is not to be read."""
        try:
            text = self.machine.read(_kernel_path(key))
        except OSError:
            # Some take a command, and have no value (net.ipv4.route.flush); others do not show theirs (stable_secret).
            return None
        return None if text is None else " ".join(text.split())

    def is_write_only(self, key: str) -> bool:
        """Return whether a kernel setting can be made and not be read."""
        return not self._out_of_reach(key) and self.kernel_value(key) is None

    def _apply_kernel_settings(self, config: Config) -> None:
        if not (pending := self._pending_settings(config)):
            return
        # It goes on after a setting that the kernel refuses, so what counts is what the kernel has afterwards.
        self.machine.run(_SYSTEMD_SYSCTL, SYSCTL, check=False)
        made = {key: value for key, value in pending.items() if self.is_write_only(key)}
        if made:
            self.machine.write(self._made, json.dumps({**self._known(self._made), **made}) + "\n")
        if refused := {key: pending[key] for key in self._pending_settings(config)}:
            self.machine.write(self._refusals, json.dumps({**self._known(self._refusals), **refused}) + "\n")

    def _pending_settings(self, config: Config) -> dict[str, str]:
        return {
            key: value
            for key, value in config.sysctl.items()
            if not self.kernel_objection(key, value) and self._value_or_made(key) != value
        }

    def _value_or_made(self, key: str) -> str | None:
        """Return what a kernel setting is; of one that is not to be read what it was made last."""
        value = self.kernel_value(key)
        return self._known(self._made).get(key) if value is None else value

    def _known(self, path: str) -> dict[str, str]:
        return json.loads(self.machine.read(path) or "{}")

    # sshd

    def ssh_problem(self, config: Config) -> str:
        """Return why sshd refuses the configuration that it should have; empty where it does not."""
        if not self.has_sshd:
            return ""
        wanted = self._ssh_file(config)
        if self.machine.read(SSHD) == wanted.content:
            return ""
        self.machine.write(_SSHD_CANDIDATE, f"{wanted.content}Include /etc/ssh/sshd_config\n")
        # Without it sshd tests nothing; its service makes it only while it runs.
        if not self.machine.exists("/run/sshd"):
            self.machine.make_folder("/run/sshd")
        tested = self.machine.run(_SSHD_PROGRAM, "-t", "-f", _SSHD_CANDIDATE, check=False)
        return " ".join(tested.stderr.split()) if tested.code else ""

    def accounts_with_keys(self) -> list[str]:
        """Return the accounts that can log in over SSH with a key."""
        rows = (line.split(":") for line in (self.machine.read("/etc/passwd") or "").splitlines())
        homes = {row[0]: row[5] for row in rows if len(row) > 5}  # noqa: PLR2004  passwd(5)
        return [
            account
            for account, home in homes.items()
            if (self.machine.read(f"{home}/.ssh/authorized_keys") or "").strip()
        ]

    def _ssh_file(self, config: Config) -> render.File:
        accounts = self.accounts_with_keys()
        root_login = "no" if config.ssh_root_login == "no" and accounts != ["root"] else "prohibit-password"
        return self._file(
            SSHD,
            "sshd.conf.j2",
            keys_only=bool(accounts) and not config.ssh_password_login,
            root_login=root_login if accounts else None,
        )

    # The rest

    def needed_packages(self) -> Mapping[str, list[str]]:
        """Return the packages that the other applications on the machine need, by application."""
        others = (name for name in self.machine.list_folder(registry.PACKAGES) if name != self._application)
        return {name: (self.machine.read(f"{registry.PACKAGES}/{name}") or "").split() for name in others}

    def _kept_packages(self) -> list[str]:
        """Return regular expressions, as unattended-upgrades wants them, of the packages that it leaves alone."""
        names = {name for packages in self.needed_packages().values() for name in packages}
        return [f"^{re.escape(name)}$" for name in sorted(names)]

    def _wanted_services(self) -> list[Service]:
        timers = [Service(unit=unit) for unit in _TIMERS]
        return timers if self.in_container else [*timers, self._service(_CHRONY_UNIT, CHRONY)]

    def _service(self, unit: str, path: str) -> Service:
        return Service(unit=unit, inputs=(self.machine.read(path) or "",))

    def _apply_file(self, service: Service, act: Callable[[Service], None]) -> None:
        """Restart or reload a service unless it runs with what its file holds now."""
        if service.unit not in self._services.units or self._services.outdated([service]):
            act(service)

    def _reload_if_active(self, service: Service) -> None:
        # A reload keeps the sessions, and the old sshd where the new configuration should fail after all. One that
        # waits for its socket reads its configuration when it starts.
        if self.machine.service_states(service.unit)[service.unit] == "active":
            self._services.reload(service)

    def _file(self, path: str, name: str, **values: Any) -> render.File:
        return self._templates.fill(name, path, application=self._application, **values)
