"""Two charms of the tests' own: an agent, and a daemon that has an agent beside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import api_model
import ops
from ops import testing

from openinfra_charm import machine as machines
from openinfra_charm.daemon import leftovers, registry
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.services import Service as Daemon
from openinfra_charm.daemon.services import Services
from openinfra_charm.daemon.tls import Certificate, Subject
from openinfra_charm.model import actions
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.openstack.service import Hooks, Part, Service
from openinfra_charm.openstack.spec import Process, Spec
from openinfra_charm.openstack.workload import Whole
from openinfra_charm.testing import openstack

HERE = Path(__file__).parent
RELEASES = HERE.parents[3] / "tests/probes/notes/src/releases"
WIDE = {"PrivateDevices": "no", "CapabilityBoundingSet": "CAP_NET_ADMIN", "ReadWritePaths": "{lib} /run/ovn"}
SPEC = Spec(
    name="agent",
    templates=("agent.conf.j2",),
    processes=(
        Process(name="agent", command=("neutron-ovn-agent", "--config-file={config}"), in_turn=False),
        Process(name="worker", command=("work",), after=("libvirtd.service",), sandbox=WIDE),
    ),
    source=HERE / "source",
)
META = {
    "name": "agent",
    "peers": {"cluster": {"interface": "agent-peers"}},
    "requires": {"certificates": {"interface": "tls-certificates"}},
    "extra-bindings": {"internal": None},
}
OPTIONS = {
    "release": {"type": "string", "default": "2026.1"},
    "debug": {"type": "boolean", "default": False},
    "extra-config": {"type": "string", "default": ""},
}
ACTIONS = {
    "pause": {},
    "resume": {},
    "show-job": {},
    "upgrade-release": {"params": {"release": {"type": "number"}}},
    "rollback-release": {},
    "finish-upgrade": {"params": {"dry-run": {"type": "boolean", "default": False}}},
}


class AgentCharm(ops.CharmBase):
    """The agent alone; `refusal` is why it may not stop."""

    refusal = ""

    def __init__(self, framework):
        super().__init__(framework)
        hooks = Hooks(gather=lambda: {"name": self.service.machine.hostname()}, leave=self._leave)
        self.service = Service(self, SPEC, hooks)

    def _leave(self):
        if self.refusal:
            raise RuntimeError(self.refusal)


class RootCharm(ops.CharmBase):
    """The agent as root."""

    def __init__(self, framework):
        super().__init__(framework)
        hooks = Hooks(gather=lambda: {"name": "root"})
        self.service = Service(self, dataclasses.replace(SPEC, user="root"), hooks)


class PartCharm(ops.CharmBase):
    """A daemon of the distribution, which has the agent beside it."""

    def __init__(self, framework):
        super().__init__(framework)
        self.machine = machines.this()
        self.services = Services(self.machine, self.app.name)
        self.tls = Certificate(self.machine, self.app.name)
        cluster = Cluster(self, "cluster")
        whole = Whole(services=self.services, tls=self.tls)
        spec = dataclasses.replace(SPEC, user="root")
        hooks = Hooks(gather=lambda: {"name": "part"})
        self.service = Service(self, spec, hooks, Part(cluster=cluster, whole=whole))
        for event in (self.on.config_changed, self.on.update_status, *(
            getattr(self.on["certificates"], f"relation_{kind}") for kind in ("created", "changed")
        )):  # fmt: skip
            framework.observe(event, self._on_change)
        framework.observe(self.on.stop, self._on_stop)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_status)
        self.actions = actions.Actions(self, self.service.actions)

    def _on_change(self, event):
        leftovers.occupy(self.machine, self.unit.name, self.footprint)
        registry.install(self.machine, self.app.name, ("daemon", *self.service.workload.packages))
        relation = self.model.get_relation("certificates")
        self.tls.update(relation, self.unit, Subject.of(self.machine.hostname(), ()))
        self.services.ensure_running([Daemon(unit="daemon.service")])
        self.service.reconcile(event)

    @property
    def footprint(self):
        own = self.service.workload.footprint
        return Footprint(paths=("/etc/daemon", *own.paths), user=own.user)

    def _on_stop(self, _):
        self.service.stop()
        self.services.stop("daemon.service")

    def _on_remove(self, _):
        self.service.remove()
        registry.uninstall(self.machine, self.app.name)
        self.machine.remove(f"/var/lib/openinfra/{self.app.name}")

    def _on_status(self, event):
        for one in (*self.service.statuses(), ops.ActiveStatus()):
            event.add_status(one)


class Model(api_model.ApiModel):
    """Units of the agent that is a whole charm."""

    charm, application = AgentCharm, "agent"

    @staticmethod
    def software(machine, done):
        return openstack.Api(machine, "agent", port=0, done=done)

    def _make_context(self):
        return testing.Context(
            self.charm, meta=META, actions=ACTIONS, config={"options": OPTIONS}, app_name=self.application
        )


class Rooted(Model):
    """Those that run as root."""

    charm = RootCharm


class Partial(Model):
    """Those that are a part."""

    charm = PartCharm
