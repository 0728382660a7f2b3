"""The processes of an OpenStack service beside its API: schedulers, workers, agents, each a unit of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.openstack import sandbox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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

    def render(self, given: Collection[str] = ()) -> None:
        """Write their units.

        Args:
            given: The needs that have been given something; what is there only with another one is stopped and taken away.
        """
        there = {unit for unit, one in self._processes.items() if not one.only_with or one.only_with in given}
        for unit in self._wanted - there:
            self._services.stop(unit)
            self._machine.remove(_path(unit))
            self._machine.reload_systemd()
        files = [
            File(path=_path(unit), content=self._unit(process))
            for unit, process in self._processes.items()
            if unit in there
        ]
        if render.write(self._machine, *files):
            self._machine.reload_systemd()

    @property
    def _wanted(self) -> set[str]:
        """The units of those that are to run."""
        return {
            unit
            for unit, process in self._processes.items()
            if not process.only_with or self._machine.exists(_path(unit))
        }

    def apply(self, *inputs: str) -> None:
        """Have them run, and those restart that need no lock and run with something else than `inputs`."""
        wanted = self._wanted
        services = [self._service(unit, inputs) for unit in self._processes if unit in wanted]
        self._services.ensure_running(services, fresh=False)
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
        wanted = self._wanted
        if not (units := [unit for unit in self._processes if unit in wanted]):
            return ""
        if down := self._services.stopped(*units, fresh=True):
            return f"{', '.join(down)} does not run; see journalctl -u {down[0]}"
        return self._services.why_restarting(*units)

    def stop(self) -> None:
        """Stop them, and keep them stopped."""
        self._services.stop(*self._processes)

    def remove(self) -> None:
        """Take them off the machine."""
        self.stop()
        for unit, process in self._processes.items():
            # What a process has left behind when it stopped, such as sessions that were not to be cut, goes now.
            if process.sandbox.get("KillMode") == "process":
                self._machine.end_leftovers(unit)
        for path in self.paths:
            self._machine.remove(path)

    @property
    def paths(self) -> tuple[str, ...]:
        """What was written for them."""
        return tuple(map(_path, self._processes))

    def _outdated(self, inputs: tuple[str, ...], *, in_turn: bool) -> list[Service]:
        wanted = self._wanted
        services = [
            self._service(unit, inputs)
            for unit, process in self._processes.items()
            if unit in wanted and process.in_turn == in_turn
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
