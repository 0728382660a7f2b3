#!/usr/bin/env python3
"""A probe behind a gateway: each unit tells its name over TLS, on the path /health as on any other."""

from pathlib import Path

import ops

from openinfra_charm import machine as machines
from openinfra_charm.daemon import registry, tls
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.interfaces import haproxy_route_tcp
from openinfra_charm.interfaces.haproxy_route_tcp import Health, Route

UNIT = """\
[Service]
ExecStart=/usr/bin/python3 {program} {address} {port} {name} {tls.chain_path} {tls.key_path}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=500ms

[Install]
WantedBy=multi-user.target
"""


class BackendCharm(ops.CharmBase):
    """Serves, and asks for a route."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.tls = tls.Certificate(self.machine, self.app.name)
        self.services = Services(self.machine, self.app.name)
        for event in (
            self.on.install, self.on.config_changed, self.on.start, self.on.update_status, self.on.leader_elected,
            *(
                getattr(self.on[endpoint], f"relation_{kind}")
                for endpoint in ("certificates", "gateway")
                for kind in ("created", "changed")
            ),
        ):  # fmt: skip
            framework.observe(event, self._reconcile)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    def _active(self, endpoint: str) -> ops.Relation | None:
        return next((one for one in self.model.relations[endpoint] if one.active), None)

    @property
    def _route(self) -> Route:
        return Route(
            port=int(self.config["port"]),
            backend_port=int(self.config["backend-port"]),
            health=Health(path="/health"),
            single=bool(self.config["single"]),
            order=tuple(part for part in str(self.config["order"]).split(",") if part),
        )

    def _reconcile(self, _: ops.EventBase) -> None:
        registry.install(self.machine, self.app.name, tls.PACKAGES)
        gateway = self._active("gateway")
        binding = self.model.get_binding("gateway")
        if not binding:
            return
        address = str(binding.network.bind_address)
        if gateway:
            haproxy_route_tcp.publish_address(gateway, self.unit, address)
            if self.unit.is_leader():
                haproxy_route_tcp.request(gateway, self.app, self._route)
        hosts = haproxy_route_tcp.hosts(haproxy_route_tcp.read_endpoints(gateway))
        names = tuple(host for host in hosts if not host.replace(".", "").isdecimal())
        addresses = tuple(host for host in hosts if host not in names)
        subject = tls.Subject(common_name=self.app.name, dns=names, addresses=(address, *addresses))
        self.tls.update(self._active("certificates"), self.unit, subject)
        if not self.tls.ready:
            return
        program = f"/usr/lib/openinfra/{self.app.name}-serve"
        source = (Path(__file__).parent / "serve.py").read_text()
        unit = UNIT.format(
            program=program, address=address, port=self._route.backend_port, name=self.unit.name, tls=self.tls
        )
        self.machine.write(program, source)
        if self.machine.write(f"/etc/systemd/system/{self.app.name}.service", unit):
            self.machine.reload_systemd()
        service = Service(unit=f"{self.app.name}.service", inputs=(source, unit, *self.tls.inputs))
        self.services.ensure_running([service])
        for outdated in self.services.outdated([service]):
            self.services.reload(outdated)
        self.tls.acknowledge(self._active("certificates"), self.unit)

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self.services.stop(f"{self.app.name}.service")
        self.tls.remove()
        for path in (
            f"/etc/{self.app.name}",
            f"/etc/systemd/system/{self.app.name}.service",
            f"/usr/lib/openinfra/{self.app.name}-serve",
            f"/var/lib/openinfra/{self.app.name}",
        ):
            self.machine.remove(path)
        self.machine.reload_systemd()
        registry.uninstall(self.machine, self.app.name)

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
        problem = self.tls.problem(self._active("certificates"))
        event.add_status(ops.WaitingStatus(problem) if problem else ops.ActiveStatus())


if __name__ == "__main__":
    ops.main(BackendCharm)
