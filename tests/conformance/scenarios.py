"""How the recorded scenarios were played, in verbs that any driver can have: the pure core's or a live engine's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a shell command does."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""


class Driver(Protocol):
    """An operator of a model, and of the machines under it."""

    def deploy(self, *, interval: str = "5m") -> None:
        """Deploy the bundle; update-status comes at an interval."""

    def settle(self) -> None:
        """Wait until no unit has anything to run but what waits for a time."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""

    def config(self, application: str, **values: str) -> None:
        """Set options."""

    def run(self, unit: str, action: str, **parameters: object) -> Mapping[str, object]:
        """Run an action to its end and return what `juju run --format json` shows of the unit."""
        ...

    def execute(self, unit: str, command: str, outcome: Outcome) -> Mapping[str, object]:
        """Run a command in a unit's hook context; `outcome` is what the shell makes of it."""
        ...

    def refused(self, verb: Callable[[], object], message: str) -> None:
        """Check that a verb is refused with a message."""

    def add_unit(self, application: str, machine: str) -> None:
        """Add a unit on a machine."""

    def fail_hooks(self, machine: str, kind: str) -> None:
        """Let hooks of a kind fail on a machine, until `mend_hooks`."""

    def mend_hooks(self, machine: str, kind: str) -> None:
        """Let them succeed again."""

    def resolved(self, unit: str) -> None:
        """Retry the failed hook of a unit."""

    def integrate(self, first: str, second: str) -> None:
        """Relate two applications."""

    def remove_relation(self, first: str, second: str) -> None:
        """Remove their relation."""

    def refresh(self, application: str) -> None:
        """Give an application its charm once more."""

    def remove_unit(self, unit: str, *, destroy_storage: bool = False) -> None:
        """Remove a unit."""

    def restart_machine(self, machine: str) -> None:
        """Restart a machine."""

    def stop_machine(self, machine: str) -> None:
        """Stop a machine by force."""

    def start_machine(self, machine: str) -> None:
        """Start a machine that was stopped."""

    def detach_storage(self, storage: str) -> None:
        """Detach storage."""

    def remove_machine(self, machine: str) -> None:
        """Remove a machine by force."""

    def compare_status(self, recorded: str) -> None:
        """Compare the status with a recorded one."""

    def compare_unit(self, unit: str, recorded: str) -> None:
        """Compare what show-unit says of a unit with a recording."""


def lifecycle(driver: Driver) -> None:
    """Configuration, actions, a hook in error, a relation and units that go."""
    driver.deploy()
    driver.settle()
    driver.config("alpha", greeting="bonjour", count="7")
    driver.settle()
    task = driver.run("alpha/0", "echo", text="yo", num=4)
    assert task["status"] == "completed"
    assert task["results"] == {"a": {"b": "1"}, "c": "2", "return-code": 0}
    assert driver.run("alpha/leader", "boom")["message"] == "no good"
    driver.add_unit("beta", "1")
    driver.settle()
    driver.compare_status("status1.json")
    driver.fail_hooks("0", "config-changed")
    driver.config("beta", greeting="oops")
    driver.settle()
    driver.wait(6)
    driver.compare_status("status-err.json")
    driver.mend_hooks("0", "config-changed")
    driver.resolved("beta/0")
    driver.settle()
    driver.remove_relation("alpha", "beta")
    driver.refused(lambda: driver.integrate("alpha:server", "beta:client"), "is dying, but not yet removed")
    driver.settle()
    driver.refresh("beta")
    driver.settle()
    driver.remove_unit("beta/1")
    driver.settle()
    driver.remove_unit("alpha/0", destroy_storage=True)
    driver.settle()
    driver.wait(61)
    driver.compare_unit("alpha/1", "show-unit.txt")


def secrets(driver: Driver) -> None:
    """Secrets that change; a consumer that writes to one it does not own."""
    driver.deploy()
    driver.settle()
    driver.run("alpha/leader", "echo", text="x")
    driver.settle()
    driver.wait(36)
    driver.compare_status("status.json")


def faults(driver: Driver) -> None:
    """Commands, machines that restart, are down and are lost; storage that goes."""
    driver.deploy(interval="1m")
    driver.settle()
    driver.wait(75)
    driver.run("alpha/leader", "echo", text="x")
    driver.settle()
    task = driver.execute(
        "beta/0", "env JUJU_DISPATCH_PATH=hooks/update-status ./dispatch", Outcome(exit_code=0)
    )
    assert task["status"] == "completed"
    task = driver.execute(
        "beta/0", "echo out; echo err >&2; exit 4", Outcome(exit_code=4, stdout="out\n", stderr="err\n")
    )
    assert task["results"] == {"return-code": 4, "stdout": "out\n", "stderr": "err\n"}
    driver.restart_machine("0")
    driver.settle()
    driver.stop_machine("1")
    driver.wait(20)
    driver.start_machine("1")
    driver.settle()
    driver.detach_storage("data/0")
    driver.settle()
    driver.remove_machine("1")
    driver.settle()


QUIET, READ = "o9hkjuuuk8d8n3vsphn0", "ftg2ibbtqke13ck9m3s0"
"""The secrets of the recording `owner`: one that its owner never reads, and one that it does."""


def owner(driver: Driver) -> None:
    """An owner of secrets that reads them is one more reader of them."""

    def tools(unit: str, *lines: str) -> None:
        assert driver.run(unit, "tools", lines=";".join(lines))["status"] == "completed"
        driver.settle()

    def share(secret: str, key: str, *more: str) -> None:
        grant = f"secret-grant {secret} -r db:2"
        tools("own/leader", grant, f"relation-set -r db:2 --app {key}=secret:{secret}", *more)

    show, newest = "secret-get --label read --format=json", "secret-get --label read --refresh --format=json"
    peek, by_id = "secret-get --label read --peek --format=json", f"secret-get {READ} --format=json"
    info = f"secret-info-get {READ} --format=json"
    driver.deploy()
    driver.settle()
    tools("own/leader", "secret-add --label quiet --description d word=one")
    share(QUIET, "sid1")
    tools("own/leader", f"secret-set {QUIET} word=two")
    tools("own/leader", "secret-add --label read --description d word=one")
    share(READ, "sid2", show)
    tools("own/leader", show, by_id, f"secret-set {READ} word=two", show, peek)
    tools("own/leader", show, peek, info)
    tools("own/leader", newest)
    tools("own/1", by_id, info, show)
    tools("own/leader", f"secret-set {READ} word=three")
    tools("own/1", by_id, f"secret-get {READ} --refresh --format=json")
    tools("own/leader", newest)


SCENARIOS: dict[str, Callable[[Driver], None]] = {
    "lifecycle": lifecycle,
    "secrets": secrets,
    "faults": faults,
}
ON_THE_CORE: dict[str, Callable[[Driver], None]] = {**SCENARIOS, "owner": owner}
"""Those that name secrets by ids of the recording too, which a live engine does not have."""
