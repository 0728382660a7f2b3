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
_LEAST_SPACE = 2 * 1024**3
_UPGRADE = "juju run UNIT upgrade-packages"
_REBOOT = "juju run UNIT reboot"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at; a `remedy` is there for what failed, and a reason for what does not apply."""

    id: str
    severity: Severity
    title: str
    state: Literal["pass", "fail", "not-applicable"]
    remedy: str = ""
    reason: str = ""


def findings(host: Host, config: Config) -> list[Finding]:
    """Look at everything; change nothing.

    Raises:
        CommandError: A program that tells about the machine failed.
    """
    return [
        *_kernel_settings(host, config),
        _time(host),
        *_sshd(host, config),
        *_accounts(host),
        *_packages(host, config),
        *_system(host),
    ]


def _finding(identity: str, severity: Severity, title: str, problem: object, remedy: str) -> Finding:
    """Return a finding that failed where `problem` is anything but empty."""
    if not problem:
        return Finding(id=identity, severity=severity, title=title, state="pass")
    return Finding(id=identity, severity=severity, title=title, state="fail", remedy=remedy)


def _not_applicable(identity: str, severity: Severity, title: str, reason: str) -> Finding:
    return Finding(id=identity, severity=severity, title=title, state="not-applicable", reason=reason)


def _kernel_settings(host: Host, config: Config) -> Iterator[Finding]:
    for key, value in config.sysctl.items():
        identity, title = f"sysctl-{key}", f"The kernel setting {key} is {value}"
        if objection := host.kernel_objection(key, value):
            yield _not_applicable(identity, "medium", title, objection)
        else:
            differs = host.kernel_value(key) != value
            yield _finding(
                identity, "medium", title, differs, f"find what else sets it: sysctl {key}={value}"
            )


def _time(host: Host) -> Finding:
    title = "The clock follows time servers"
    if host.in_container:
        return _not_applicable("time", "medium", title, "the clock belongs to the container's host")
    # 503: the fourth field of chronyc's CSV is the stratum, 0 while no server has been reached.
    tracking = host.machine.run("chronyc", "-n", "-c", "tracking", check=False).stdout.split(",")
    synchronised = len(tracking) > 2 and tracking[2] != "0"  # noqa: PLR2004
    return _finding(
        "time", "medium", title, not synchronised, "juju config APPLICATION ntp-servers=...; chronyc sources"
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
    told = host.machine.run("/usr/sbin/sshd", "-T").stdout.lower()
    effective = dict(line.split(maxsplit=1) for line in told.splitlines() if " " in line)
    if config.ssh_password_login:
        reason = "the config option ssh-password-login allows it"
        yield _not_applicable("ssh-passwords", "high", passwords, reason)
    else:
        allowed = "yes" in {
            effective.get("passwordauthentication"),
            effective.get("kbdinteractiveauthentication"),
        }
        yield _finding(
            "ssh-passwords",
            "high",
            passwords,
            allowed,
            "give an account an authorized key; see sshd_config.d",
        )
    yield _finding("ssh-root", "high", root, effective.get("permitrootlogin") == "yes", "see sshd_config.d")


def _accounts(host: Host) -> Iterator[Finding]:
    shadow = [line.split(":") for line in (host.machine.read("/etc/shadow") or "").splitlines()]
    empty = [row[0] for row in shadow if len(row) > 1 and not row[1]]
    yield _finding(
        "empty-passwords", "high", "Every account's password is set or locked", empty,
        f"passwd --lock {' '.join(empty)}",
    )  # fmt: skip
    rows = [line.split(":") for line in (host.machine.read("/etc/passwd") or "").splitlines()]
    others = [row[0] for row in rows if row[2:3] == ["0"] and row[0] != "root"]
    yield _finding(
        "superusers", "high", "root is the only account with user id 0", others, f"remove {' '.join(others)}"
    )


def _packages(host: Host, config: Config) -> Iterator[Finding]:
    pending = updates.pending(host.machine, host.needed_packages())
    names = ", ".join(update.package for update in pending if update.security)
    yield _finding(
        "security-updates", "high", f"No security update waits: {names or 'none'}", names, _UPGRADE
    )
    yield _finding(
        "automatic-updates", "medium", "Security updates install by themselves", not config.security_updates,
        "juju config APPLICATION security-updates=true",
    )  # fmt: skip
    outdated = host.machine.run("needrestart", "-b", "-r", "l").stdout
    services = ", ".join(re.findall(r"^NEEDRESTART-SVC: (\S+)", outdated, re.MULTILINE))
    yield _finding(
        "outdated-code", "medium", f"No service runs older code: {services or 'none'}", services, _UPGRADE
    )
    # 3: a newer kernel is installed than the one that runs (README.batch.md of needrestart).
    newer_kernel = re.search(r"^NEEDRESTART-KSTA: 3$", outdated, re.MULTILINE)
    reboot = host.machine.exists("/run/reboot-required") or (newer_kernel and not host.in_container)
    yield _finding("reboot", "medium", "No restart of the machine is due", reboot, _REBOOT)


def _system(host: Host) -> Iterator[Finding]:
    shown = host.machine.run("systemctl", "list-units", "--state=failed", "--plain", "--no-legend").stdout
    failed = ", ".join(line.split()[0] for line in shown.splitlines() if line.strip())
    yield _finding(
        "failed-units",
        "medium",
        f"No systemd unit has failed: {failed or 'none'}",
        failed,
        "systemctl status UNIT",
    )
    full = host.machine.free_space("/") < _LEAST_SPACE
    yield _finding(
        "disk-space", "high", "At least 2 GiB are free on /", full, "du --one-file-system --max-depth=2 /"
    )
