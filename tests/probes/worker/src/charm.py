#!/usr/bin/env python3
"""A probe with a virtual host of its own, as a service with parts that send each other messages would have one."""

import json
from pathlib import Path

import ops

from openinfra_charm import machine as machines
from openinfra_charm.daemon import registry
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.interfaces import rabbitmq

HERE = Path(__file__).parent
UNIT = """\
[Unit]
Description=Sends messages to itself
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/python3 {program} {folder}/access.json {folder}
Restart=always
RestartSec=1
"""


class WorkerCharm(ops.CharmBase):
    """Asks for a virtual host, and has a process use it with what it is given."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.services = Services(self.machine, self.app.name)
        self.folder = f"/var/lib/{self.app.name}"
        self.program = f"/usr/lib/openinfra/{self.app.name}-work.py"
        self.path = f"/etc/systemd/system/{self.app.name}.service"
        for event in (
            self.on.install, self.on.config_changed, self.on.start, self.on.update_status, self.on.leader_elected,
            self.on.secret_changed,
            *(getattr(self.on["amqp"], f"relation_{kind}") for kind in ("created", "changed", "broken")),
        ):  # fmt: skip
            framework.observe(event, self._reconcile)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    def _reconcile(self, _: ops.EventBase) -> None:
        relation = self.model.get_relation("amqp")
        if relation is None or not relation.active:
            self._clear()
            return
        if self.unit.is_leader():
            rabbitmq.send_request(relation, self.app, username=self.app.name, vhost=self.app.name)
        access = rabbitmq.read_access(self.model, relation, username=self.app.name, vhost=self.app.name)
        if access is None:
            return
        registry.install(self.machine, self.app.name, ["python3-pika"])
        told = {
            "hosts": access.hosts, "port": access.port, "vhost": access.vhost, "username": access.username,
            "password": access.password, "ca": access.ca, "queue": self.unit.name.replace("/", "-"),
        }  # fmt: skip
        text = json.dumps(told, indent=1, sort_keys=True)
        self.machine.make_folder(self.folder, mode=0o700)
        self.machine.write(f"{self.folder}/access.json", text, mode=0o600)
        self.machine.write(self.program, (HERE / "files/work.py").read_text(encoding="utf-8"))
        if self.machine.write(self.path, UNIT.format(program=self.program, folder=self.folder)):
            self.machine.reload_systemd()
        # It reads the file anew for each connection.
        self.services.ensure_running([Service(unit=f"{self.app.name}.service")])

    def _clear(self) -> None:
        self.services.stop(*self.services.units)
        for path in (self.folder, self.program, self.path, f"/var/lib/openinfra/{self.app.name}"):
            self.machine.remove(path)

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self._clear()
        registry.uninstall(self.machine, self.app.name)

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
        known = bool(self.services.units)
        event.add_status(ops.ActiveStatus() if known else ops.WaitingStatus("for a user of RabbitMQ"))


if __name__ == "__main__":
    ops.main(WorkerCharm)
