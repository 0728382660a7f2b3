#!/usr/bin/env python3
"""A probe with a certificate, as a charm with a daemon that serves it would have one."""

import ops

from openinfra_charm import machine as machines
from openinfra_charm.daemon import registry, tls
from openinfra_charm.interfaces import certificate_transfer


class RequirerCharm(ops.CharmBase):
    """Asks for a certificate, notes which its daemon runs with, and says so."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.tls = tls.Certificate(self.machine, self.app.name, combined=True)
        for event in (
            self.on.install, self.on.config_changed, self.on.start, self.on.update_status, self.on.leader_elected,
            *(
                getattr(self.on[endpoint], f"relation_{kind}")
                for endpoint in ("certificates", "receive-ca-cert")
                for kind in ("created", "changed")
            ),
        ):  # fmt: skip
            framework.observe(event, self._reconcile)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    @property
    def _relation(self) -> ops.Relation | None:
        relation = self.model.get_relation("certificates")
        return relation if relation and relation.active else None

    def _reconcile(self, _: ops.EventBase) -> None:
        registry.install(self.machine, self.app.name, tls.PACKAGES)
        name = str(self.config["name"])
        self.tls.update(
            self._relation, self.unit, tls.Subject(common_name=name, dns=(name,), addresses=("10.1.2.3",))
        )
        if self.tls.ready:
            self.machine.write(f"/etc/{self.app.name}/started-with", "\n".join(self.tls.inputs))
            self.tls.acknowledge(self._relation, self.unit)
        if relation := self.model.get_relation("receive-ca-cert"):
            if self.unit.is_leader():
                certificate_transfer.announce(relation, self.app)
            bundle = certificate_transfer.read(relation)
            self.machine.write(f"/etc/{self.app.name}/trusted.pem", "".join(f"{one}\n" for one in bundle))
            certificate_transfer.acknowledge(relation, self.unit, bundle)

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self.tls.remove()
        self.machine.remove(f"/etc/{self.app.name}")
        self.machine.remove(f"/var/lib/openinfra/{self.app.name}")
        registry.uninstall(self.machine, self.app.name)

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
        problem = self.tls.problem(self._relation)
        event.add_status(ops.WaitingStatus(problem) if problem else ops.ActiveStatus())


if __name__ == "__main__":
    ops.main(RequirerCharm)
