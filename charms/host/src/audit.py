"""The machine compared with its baseline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import updates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from host import Host
    from state import Config

Severity = Literal["low", "medium", "high"]
_LEAST_SPACE = 2048
"""MiB."""
_UPGRADE = "juju run UNIT upgrade-packages"
_REBOOT = "juju run UNIT reboot"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at; a reason is there for what failed or does not apply, a remedy for what failed."""

    id: str
    severity: Severity
    title: str
    state: Literal["pass", "fail", "not-applicable"]
    reason: str = ""
    remedy: str = ""


def findings(host: Host, config: Config) -> list[Finding]:
    """Look at everything; change nothing.

    Raises:
        CommandError: A program that was asked about the machine failed.
    """
    return [
        *_kernel_settings(host, config),
        _time(host),
        *_sshd(host, config),
        *_accounts(host),
        *_packages(host, config),
        *_system(host),
    ]


def _finding(identity: str, severity: Severity, title: str, problem: str, remedy: str) -> Finding:
    """Return a finding that failed if there is a problem."""
    if not problem:
        return Finding(id=identity, severity=severity, title=title, state="pass")
    return Finding(id=identity, severity=severity, title=title, state="fail", reason=problem, remedy=remedy)


def _not_applicable(identity: str, severity: Severity, title: str, reason: str) -> Finding:
    return Finding(id=identity, severity=severity, title=title, state="not-applicable", reason=reason)


def _kernel_settings(host: Host, config: Config) -> Iterator[Finding]:
    for key, value in config.sysctl.items():
        identity, title = f"sysctl-{key}", f"The kernel setting {key} is {value}"
        if objection := host.kernel_objection(key, value):
            yield _not_applicable(identity, "medium", title, objection)
        elif host.is_write_only(key):
            yield _not_applicable(identity, "medium", title, "it can be set and not be read")
        else:
            now = host.kernel_value(key)
            problem = "" if now == value else f"it is {now}"
            yield _finding(
                identity, "medium", title, problem, f"find what else sets it; sysctl {key}={value}"
            )


def _time(host: Host) -> Finding:
    title = "The clock follows time servers"
    if host.in_container:
        return _not_applicable("time", "medium", title, "the clock belongs to the container's host")
    # The third field is the stratum, 0 while no server has been reached.
    tracking = host.machine.run("chronyc", "-n", "-c", "tracking", check=False).stdout.split(",")
    reached = len(tracking) > 2 and tracking[2] != "0"  # noqa: PLR2004
    problem = "" if reached else "no server has been reached"
    return _finding(
        "time", "medium", title, problem, "juju config APPLICATION ntp-servers=...; chronyc sources"
    )


def _sshd(host: Host, config: Config) -> Iterator[Finding]:
    passwords, root = (
        "No one logs in over SSH with a password",
        "root does not log in over SSH with a password",
    )
    if not host.has_sshd:
        for identity, title in (("ssh-passwords", passwords), ("ssh-root", root)):
            yield _not_applicable(identity, "high", title, "openssh-server is not installed")
        return
    # -T prints what holds in the end, whichever file set it.
    printed = host.machine.run("/usr/sbin/sshd", "-T").stdout.lower()
    effective = dict(line.split(maxsplit=1) for line in printed.splitlines() if " " in line)
    if config.ssh_password_login:
        reason = "the config option ssh-password-login allows it"
        yield _not_applicable("ssh-passwords", "high", passwords, reason)
    else:
        options = ("passwordauthentication", "kbdinteractiveauthentication")
        allowed = " and ".join(option for option in options if effective.get(option) == "yes")
        problem = f"sshd has {allowed} on" if allowed else ""
        remedy = "give an account an authorized key; look into sshd_config.d"
        yield _finding("ssh-passwords", "high", passwords, problem, remedy)
    problem = "sshd has permitrootlogin on" if effective.get("permitrootlogin") == "yes" else ""
    yield _finding("ssh-root", "high", root, problem, "give root an authorized key; look into sshd_config.d")


def _accounts(host: Host) -> Iterator[Finding]:
    shadow = [line.split(":") for line in (host.machine.read("/etc/shadow") or "").splitlines()]
    empty = " ".join(row[0] for row in shadow if row[1:2] == [""])
    title = "Every account's password is set or locked"
    yield _finding("empty-passwords", "high", title, empty, f"passwd --lock {empty}")
    rows = [line.split(":") for line in (host.machine.read("/etc/passwd") or "").splitlines()]
    others = " ".join(row[0] for row in rows if row[2:3] == ["0"] and row[0] != "root")
    yield _finding(
        "superusers", "high", "root is the only account with user id 0", others, f"remove {others}"
    )


def _packages(host: Host, config: Config) -> Iterator[Finding]:
    pending = updates.pending(host.machine, host.needed_packages())
    names = ", ".join(update.package for update in pending if update.security)
    yield _finding("security-updates", "high", "No security update waits", names, _UPGRADE)
    off = "" if config.security_updates else "the config option security-updates is off"
    remedy = "juju config APPLICATION security-updates=true"
    yield _finding("automatic-updates", "medium", "Security updates install by themselves", off, remedy)
    outdated = host.machine.run("needrestart", "-b", "-r", "l").stdout
    services = ", ".join(re.findall(r"^NEEDRESTART-SVC: (\S+)", outdated, re.MULTILINE))
    yield _finding("outdated-code", "medium", "No service runs older code", services, _UPGRADE)
    yield _finding(
        "reboot", "medium", "No restart of the machine is due", _restart_due(host, outdated), _REBOOT
    )


def _restart_due(host: Host, needrestart: str) -> str:
    if host.machine.exists("/run/reboot-required"):
        return "an upgraded package asks for it (/run/reboot-required)"
    # 3: a newer kernel is installed than the one that runs (README.batch.md of needrestart).
    newer = re.search(r"^NEEDRESTART-KSTA: 3$", needrestart, re.MULTILINE)
    return "a newer kernel is installed" if newer and not host.in_container else ""


def _system(host: Host) -> Iterator[Finding]:
    shown = host.machine.run("systemctl", "list-units", "--state=failed", "--plain", "--no-legend").stdout
    failed = " ".join(line.split()[0] for line in shown.splitlines() if line.strip())
    yield _finding(
        "failed-units", "medium", "No systemd unit has failed", failed, f"systemctl status {failed}"
    )
    free = host.machine.free_space("/") // 1024**2
    problem = f"{free} MiB are" if free < _LEAST_SPACE else ""
    remedy = "du --one-file-system --max-depth=2 /"
    yield _finding("disk-space", "high", f"At least {_LEAST_SPACE} MiB are free on /", problem, remedy)
