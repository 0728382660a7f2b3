#!/usr/bin/env python3
"""A probe with a Keystone user, as a charm of an OpenStack service would have one."""

import ops

from openinfra_charm import machine as machines
from openinfra_charm.interfaces import keystone
from openinfra_charm.interfaces.keystone import Endpoint


class ServiceCharm(ops.CharmBase):
    """Asks for a user and a place in the catalogue, and notes what it is given."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.folder = f"/etc/{self.app.name}"
        for event in (
            self.on.install, self.on.config_changed, self.on.start, self.on.update_status, self.on.leader_elected,
            self.on.secret_changed,
            *(getattr(self.on["identity-service"], f"relation_{kind}") for kind in ("created", "changed", "broken")),
        ):  # fmt: skip
            framework.observe(event, self._reconcile)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    def _reconcile(self, _: ops.EventBase) -> None:
        relation = self.model.get_relation("identity-service")
        if relation is None or not relation.active:
            self.machine.remove(self.folder)
            return
        if self.unit.is_leader():
            url = str(self.config["url"])
            endpoint = Endpoint(
                service_name=self.app.name,
                type=self.app.name,
                description="A probe",
                public_url=url,
                internal_url=url,
                admin_url=url,
            )
            keystone.send_request(relation, self.app, [endpoint], region="RegionOne")
        access = keystone.read_access(self.model, relation)
        if access:
            self.machine.make_folder(self.folder, mode=0o750)
            self.machine.write(f"{self.folder}/user", f"{access.username}\n{access.password}\n", mode=0o600)

    def _on_remove(self, _: ops.RemoveEvent) -> None:
        self.machine.remove(self.folder)

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
        known = self.machine.exists(f"{self.folder}/user")
        event.add_status(ops.ActiveStatus() if known else ops.WaitingStatus("for a user of Keystone"))


if __name__ == "__main__":
    ops.main(ServiceCharm)
