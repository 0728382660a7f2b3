"""The checks that applications leave on their machine: may it stop, and is all well after it has started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

Kind = Literal["safe-to-stop", "before-stop", "after-start"]
"""What is asked: may the machine stop? it stops now; does all of it serve again?"""
_SECONDS = 30
"""All checks of one kind together; a hook or action has a minute."""


def failures(machine: Machine, kind: Kind) -> dict[str, str]:
    """Run all checks of a kind; return the reasons of those that fail, by application."""
    folder = f"/usr/lib/openinfra/{kind}.d"
    deadline = machine.now() + _SECONDS
    outcomes = {
        application: _reason(machine, f"{folder}/{application}", deadline)
        for application in machine.list_folder(folder)
    }
    return {application: reason for application, reason in outcomes.items() if reason}


def sentence(reasons: dict[str, str]) -> str:
    """Return the reasons in one line for people: `ceph: one OSD is down; mysql: not in sync`."""
    return "; ".join(f"{application}: {reason}" for application, reason in sorted(reasons.items()))


def _reason(machine: Machine, path: str, deadline: float) -> str:
    try:
        outcome = machine.run(path, timeout=max(1, deadline - machine.now()), check=False)
    except OSError as error:  # it took too long, or is no program
        return str(error)
    if outcome.code == 0:
        return ""
    reason = outcome.stdout.strip() or outcome.stderr.strip()
    return " ".join(reason.split()) or f"{path} ended with exit code {outcome.code} and gave no reason"
