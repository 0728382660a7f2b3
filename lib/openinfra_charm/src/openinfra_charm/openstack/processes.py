"""The processes of an OpenStack service beside its API: schedulers, workers, agents, each a unit of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.openstack import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openinfra_charm.machine import Machine
    from openinfra_charm.openstack.spec import Command, Process


class Processes:
    """The processes of one application on this machine, with the programs of its release tree.

    Args:
        machine: The machine.
        application: The application.
        processes: What there is.
        places: What stands for the braces in their commands and environments.
        services: The services of the application.
        user: Whom they run as.
    """

    def __init__(
        self,
        machine: Machine,
        application: str,
        processes: Iterable[Process],
        places: Mapping[str, str],
        services: Services,
        *,
        user: str,
    ) -> None:
        self._machine = machine
        self._application = application
        self._processes = {f"{application}-{process.name}.service": process for process in processes}
        self._places = places
        self._services = services
        self._user = user

    def render(self) -> None:
        """Write their units."""
        files = [
            File(path=_path(unit), content=self._unit(process)) for unit, process in self._processes.items()
        ]
        if render.write(self._machine, *files):
            self._machine.reload_systemd()

    def apply(self, *inputs: str) -> None:
        """Have them run, and those restart that need no lock and run with something else than `inputs`."""
        self._services.ensure_running([self._service(unit, inputs) for unit in self._processes], fresh=False)
        for service in self._outdated(inputs, in_turn=False):
            self._services.restart(service)

    def outdated(self, *inputs: str) -> bool:
        """Return whether one of those that need the lock runs with something else than this."""
        return bool(self._outdated(inputs, in_turn=True))

    def restart(self, *inputs: str) -> None:
        """Restart those that run with something else than this."""
        for service in self._outdated(inputs, in_turn=True):
            self._services.restart(service)

    def problem(self) -> str:
        """Return why one of them does not do its work; empty if all run, and have not been started again and again."""
        if not self._processes:
            return ""
        if down := self._services.stopped(*self._processes, fresh=True):
            return f"{', '.join(down)} does not run; see journalctl -u {down[0]}"
        if again := self._services.restarting(*self._processes):
            words = ", ".join(f"{unit} ({number} times)" for unit, number in again.items())
            return f"{words} ends and is started again and again; see journalctl -u {min(again)}"
        return ""

    def stop(self) -> None:
        """Stop them, and keep them stopped."""
        self._services.stop(*self._processes)

    def remove(self) -> None:
        """Take them off the machine."""
        self.stop()
        for path in self.paths:
            self._machine.remove(path)

    @property
    def paths(self) -> tuple[str, ...]:
        """What was written for them."""
        return tuple(map(_path, self._processes))

    def _outdated(self, inputs: tuple[str, ...], *, in_turn: bool) -> list[Service]:
        services = [
            self._service(unit, inputs)
            for unit, process in self._processes.items()
            if process.in_turn == in_turn
        ]
        return self._services.outdated(services)

    def _service(self, unit: str, inputs: tuple[str, ...]) -> Service:
        return Service(unit=unit, inputs=(self._machine.read(_path(unit)) or "", *inputs))

    def _unit(self, process: Process) -> str:
        variables = {key: value.format_map(self._places) for key, value in process.environment.items()}
        return (_UNIT + sandbox.ending(process.sandbox)).format(
            **self._places,
            user=self._user,
            name=process.name,
            after="".join(f" {unit.format_map(self._places)}" for unit in process.after),
            environment="".join(f"Environment={key}={value}\n" for key, value in variables.items()),
            first=f"ExecStartPre={self._line(process.first)}\n" if process.first else "",
            command=self._line(process.command),
            stop_seconds=process.stop_seconds,
        )

    def _line(self, command: Command) -> str:
        """Return a command's line; its program is the release tree's."""
        program, *arguments = (word.format_map(self._places) for word in command)
        return " ".join([f"/opt/{self._application}/current/bin/{program}", *arguments])


def _path(unit: str) -> str:
    return f"/etc/systemd/system/{unit}"


_UNIT = """\
# Written by openinfra for the application {application}; will be lost.
[Unit]
Description={name} of {application}
Wants=network-online.target
After=network-online.target{after}
StartLimitIntervalSec=0

[Service]
User={user}
Group={user}
{environment}{first}ExecStart={command}
TimeoutStopSec={stop_seconds}
"""
