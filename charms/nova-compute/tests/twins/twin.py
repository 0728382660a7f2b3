"""A software twin of nova-compute: its processes, and Nova's API as far as it is about this host.

Played: the processes start only where libvirt, Ceph's key and Open vSwitch are there, and the identity is not lost; the program that asks the API.
Left out: servers' disks and networks, and how long a server moves.
"""

from __future__ import annotations

import configparser
import json
import uuid
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import Result
from openinfra_charm.testing.openstack import Api

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine
    from openinfra_charm.testing.libvirt import LibvirtSoftware

RUNS, OFF = "ACTIVE", "SHUTOFF"


class NovaCompute(Api):
    """nova-compute on one machine.

    `registry` is what Nova knows of all hosts, which the twins of one application share: of each its service's status, its identity and its
    servers. `immovable` are servers that stay, by name, and why; `silent` is why the API does not answer.
    """

    def __init__(
        self,
        machine: MemoryMachine,
        done: list[str],
        registry: dict[str, dict[str, Any]],
        application: str = "nova-compute",
    ) -> None:
        super().__init__(machine, application, port=0, done=done)
        self.registry = registry
        self.agent = f"{application}-agent.service"
        self.immovable: dict[str, str] = {}
        self.silent = ""
        self.switch_runs = True
        self._starts = 0

    @property
    def libvirt(self) -> LibvirtSoftware | None:
        """The machine's libvirt, which is another application's."""
        return next((one for one in self.machine.software if hasattr(one, "run_guest")), None)  # pyright: ignore[reportReturnType]

    @property
    def config(self) -> configparser.RawConfigParser:
        """The configuration that is on the machine."""
        parser = configparser.RawConfigParser(strict=False, default_section="")
        parser.read_string(self.machine.read(f"/etc/{self.application}/nova.conf") or "")
        return parser

    @property
    def me(self) -> dict[str, Any]:
        """What Nova knows of this host; nothing where it does not know it."""
        return self.registry.get(self.machine.name, {})

    def can_run(self, unit: str) -> bool:
        """Return whether nova-compute finds what it needs to start."""
        if unit != self.agent:
            return True
        identity = self.machine.read(f"/var/lib/{self.application}/compute_id") or ""
        has_key = bool(self.machine.read(f"/etc/{self.application}/ceph.keyring"))
        answers = self.libvirt is None or self.libvirt.serves
        is_known = not self.me or identity == self.me["identity"]
        return (
            answers
            and has_key
            and self.switch_runs
            and is_known
            and self.config.has_option("DEFAULT", "host")
        )

    def services_changed(self) -> None:
        """Register with Nova when the process has started."""
        if self.machine.starts.get(self.agent, 0) == self._starts:
            return
        self._starts = self.machine.starts[self.agent]
        path = f"/var/lib/{self.application}/compute_id"
        identity = self.machine.read(path) or str(
            uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.machine.name} {self._starts}")
        )
        if self.machine.read(path) is None:
            self.machine.have(path, identity)
        self.registry.setdefault(
            self.machine.name, {"identity": identity, "status": "enabled", "servers": {}, "down": False}
        )

    def have_server(self, name: str, status: str = RUNS) -> None:
        """Have a server on this host."""
        self.me["servers"][name] = status
        if status == RUNS and self.libvirt:
            uuid_of_secret = self.config.get("libvirt", "rbd_secret_uuid")
            self.libvirt.run_guest(name, uuid_of_secret)

    # The program

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Play `openinfra_compute.py CONFIG COMMAND [ARGUMENT]`."""
        if program != "openinfra_compute.py":
            raise AssertionError(program)
        config, command, *words = arguments
        if not self.machine.read(config):
            return Result(code=1, stdout="", stderr="KeyError: 'service_user'")
        if self.silent:
            return Result(code=1, stdout="", stderr=f"ConnectFailure: {self.silent}")
        found = getattr(self, f"_{command.replace('-', '_')}")(*words)
        if isinstance(found, Result):
            return found
        return Result(code=0, stdout=f"{json.dumps(found)}\n", stderr="")

    def _service(self) -> dict[str, Any] | None:
        if not self.me:
            return None
        up = self.machine.serves(self.agent)
        return {"status": self.me["status"], "state": "up" if up else "down"}

    def _disable(self, _reason: str) -> Result | dict[str, Any]:
        return self._set("disabled")

    def _enable(self) -> Result | dict[str, Any]:
        return self._set("enabled")

    def _set(self, status: str) -> Result | dict[str, Any]:
        if not self.me:
            return Result(code=1, stdout="", stderr="LookupError: Nova knows no nova-compute")
        self.me["status"] = status
        return {}

    def _give_up(self) -> dict[str, Any]:
        self.me["down"] = True
        return {}

    def _servers(self) -> list[dict[str, Any]]:
        return [
            {"id": f"id-{name}", "name": name, "status": status, "task": None, "power": 1, "instance": name}
            for name, status in self.me.get("servers", {}).items()
        ]

    def _live_migrate(self, server: str) -> None:
        self._leave(server, RUNS)

    def _evacuate(self, server: str) -> Result | None:
        if not self.me["down"]:
            return Result(code=1, stdout="", stderr="BadRequest: the host is up")
        self._leave(server, OFF)
        return None

    def _leave(self, server: str, status: str) -> None:
        name = server.removeprefix("id-")
        others = [host for host in self.registry if host != self.machine.name]
        if name in self.immovable or not others:
            return
        del self.me["servers"][name]
        if self.libvirt:
            self.libvirt.end_guest(name)
        self.registry[others[0]]["servers"][name] = status

    def _why_not_moved(self, server: str) -> str:
        return self.immovable.get(server.removeprefix("id-"), "No valid host was found")

    def _delete(self, _provider: str) -> list[str]:
        self.registry.pop(self.machine.name, None)
        return []
