#!/usr/bin/env python3
"""The nova-compute charm: beside a hypervisor, OpenStack's service that runs servers there."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

import ops

from control import Control, RefusedError
from openinfra_charm.daemon.libvirt import Libvirt
from openinfra_charm.interfaces import nova
from openinfra_charm.model import databag, hook
from openinfra_charm.model.options import check, whole
from openinfra_charm.model.status import NotYetError
from openinfra_charm.openstack.needs import Credentials, Messaging
from openinfra_charm.openstack.service import Hooks, Service
from openinfra_charm.openstack.spec import Process, Spec
from place import Place
from sources import ControlPlane, Disks, ItsHypervisor, secret_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_log = logging.getLogger(__name__)
CLIENTS = ("placement", "neutron", "cinder", "service_user")
WIDE = {
    "PrivateDevices": "no",
    "ProtectKernelTunables": "no",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "CapabilityBoundingSet": "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_NET_ADMIN CAP_SYS_ADMIN CAP_KILL CAP_SETUID CAP_SETGID",
    "OOMScoreAdjust": "-500",
}
ONCE = {
    "Restart": "on-failure",
    "RestartSec": "30",
    "RemainAfterExit": "yes",
    "RuntimeDirectory": "{application}",
    "RuntimeDirectoryPreserve": "yes",
}
DISKS = ("ceph", "local")
_LEAST_CACHE, _MOST_CACHE = 16, 4096


class GuestsRunError(Exception):
    """The unit must not stop: guests run on its machine."""


def settings(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the charm's own options.

    Raises:
        ConfigError: One cannot be used.
    """
    check(options, "disks", options["disks"] in DISKS, " or ".join(DISKS))
    whole(options, "pool-replicas", 0)
    cache = whole(options, "emulation-cache", _LEAST_CACHE, _MOST_CACHE)
    return {"disks": options["disks"], "emulation_cache": cache}


def spec(is_needed: Callable[[str], bool], base: Callable[[], str]) -> Spec:
    """Return the service; `is_needed` and `base` are those of `Disks`."""
    return Spec(
        name="nova",
        title="nova-compute",
        user="root",
        templates=("nova.conf.j2",),
        needs=(
            ItsHypervisor(),
            Credentials(clients=CLIENTS),
            Messaging(vhost="nova"),
            Disks(reads=("glance",), shares=("cinder-volumes",), is_needed=is_needed, base=base),
            ControlPlane(),
        ),
        processes=(
            Process(
                name="agent",
                command=("nova-compute", "--config-file={config}"),
                first=("python", "{modules}/openinfra_host.py", "{config}", "{etc}/ceph.keyring"),
                # At an orderly end of the machine it stops before the guests: else they would count as shut off by somebody.
                after=("libvirtd.service", "libvirt-guests.service", "openvswitch-switch.service"),
                stop_seconds=40,
                sandbox=WIDE,
            ),
            Process(
                name="resume",
                command=(
                    "python",
                    "{modules}/openinfra_resume.py",
                    "{config}",
                    "{modules}",
                    "/run/{application}/resumed",
                    "{lib}/resume.json",
                ),
                after=("{application}-agent.service",),
                in_turn=False,
                stop_seconds=5,
                sandbox=ONCE,
            ),
        ),
        settings=settings,
        packages=("ceph-common", "genisoimage", "qemu-utils"),
        bindings=("python3-libvirt", "python3-openvswitch", "python3-rados", "python3-rbd"),
    )


class NovaComputeCharm(ops.CharmBase):
    """The service, and what is special about it: guests outlast it, and their keys."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        hooks = Hooks(
            gather=self._gather, render=self._render, serve=self._serve, health=self._health, leave=self._leave,
            problems=self._problems, notes=self._notes,
        )  # fmt: skip
        self._waits_on: list[str] = []
        self.service = Service(self, spec(self._is_needed, self._secret_base), hooks)
        machine = self.service.machine
        self.libvirt = Libvirt(machine)
        self.place = Place(machine, self.app.name)
        self.control = Control(machine, self.app.name)

    @property
    def _facts(self) -> dict[str, Any]:
        return self.service.cluster.facts(self.unit.name)

    def _gather(self) -> dict[str, Any]:
        """Return more values for the configuration."""
        service = self.service
        if self.place.departed:
            service.missing.append(
                ops.MaintenanceStatus(
                    "taken out of Nova: remove the unit of kvm-host, or take it back with prepare-removal cancel=true"
                )
            )
        self._secret_base()
        etc = service.workload.etc
        return {
            "address": service.entrance.place.address if service.entrance.place else "",
            "ca": service.workload.tls.ca_path,
            "helper": f"/opt/{self.app.name}/current/bin/privsep-helper --config-file {etc}/nova.conf",
        }

    def _secret_base(self) -> str:
        """Return of what the uuids are made under which libvirt keeps keys; they move along with guests, so they are the same on all hosts.

        Raises:
            NotYetError: The leader has not made it yet.
        """
        cluster = self.service.cluster
        if not cluster.shared.get("secret-uuid"):
            if not self.unit.is_leader():
                raise NotYetError("for the leader to say under which uuids keys of disks are kept")
            cluster.publish_shared(**{"secret-uuid": str(uuid.uuid4())})
        return cluster.shared["secret-uuid"]

    def _render(self) -> None:
        """Have this host's identity, which the model keeps too."""
        self._tell_secrets()
        self.place.restore(self._facts.get("compute-id", ""))

    def _serve(self) -> None:
        """Tell Nova of the host, and the model of its identity."""
        service = self.service
        if identity := self.place.identity:
            service.cluster.publish(**{"compute-id": identity})
        relation = databag.active_relation(self.model, "nova-service")
        if relation:
            zone = ops.JujuContext.from_environ().availability_zone or ""
            host = nova.Host(hostname=service.machine.hostname(), zone=zone, ready=True)
            nova.publish_host(relation, self.unit, host)

    # Guests and their keys

    def _tell_secrets(self) -> None:
        """Tell the other units which secrets guests here use: one that leaves for another host may be the last."""
        self.service.cluster.publish(secrets=sorted(self.libvirt.secrets_in_use()) or None)

    def _is_needed(self, user: str) -> bool:
        """Return whether a guest on any host reaches Ceph as another user than this one."""
        wanted = secret_of(self._secret_base(), user)
        self._tell_secrets()
        cluster = self.service.cluster
        self._waits_on = [
            unit for unit in cluster.units if set(cluster.facts(unit).get("secrets", ())) - {wanted}
        ]
        return bool(self._waits_on)

    def _problems(self) -> Iterator[str]:
        """Yield which servers never came back when the machine had started."""
        if lost := self.place.lost_servers(self.libvirt.running()):
            yield f"not started again after the machine was: {', '.join(lost)}; see why, then: openstack server reboot --hard ID"

    def _notes(self) -> Iterator[str]:
        """Yield where guests keep an earlier user of Ceph's."""
        if self._waits_on:
            yield f"guests on {', '.join(self._waits_on)} use an earlier key of Ceph, which ends when they have been stopped or rebooted hard"

    # Nova's API

    def _health(self) -> str:
        """Return why Nova does not count on this host."""
        try:
            service = self.control.service()
        except RefusedError as error:
            return str(error)
        if service is None:
            return "Nova does not know this host yet"
        return "" if service["state"] == "up" else "Nova says that it is down"

    def _leave(self) -> None:
        """See that no guest runs here, and take the host out of Nova unless that was done.

        Raises:
            GuestsRunError: Guests run.
        """
        if running := self.libvirt.running():
            raise GuestsRunError(
                f"{len(running)} guests run here: juju run {self.unit.name} prepare-removal, or shut them down"
            )
        if self.place.identity and not self.place.departed:
            self.service.workload.stop()
            try:
                self.control.delete(self.place.identity)
            except RefusedError as error:
                # Without an API, or with servers that do not run: whoever looks after Nova can.
                _log.warning("the host is still in Nova: %s", error)


if __name__ == "__main__":
    hook.main(NovaComputeCharm)
