#!/usr/bin/env python3
"""The glance charm: images in a pool of Ceph, from which guests' disks and volumes are clones."""

from __future__ import annotations

import dataclasses
from typing import Any

import ops

import settings
from openinfra_charm.daemon.front import TRANSFERS
from openinfra_charm.model import hook
from openinfra_charm.openstack.needs import DATABASE, Ceph, Identity
from openinfra_charm.openstack.service import Hooks, Service
from openinfra_charm.openstack.spec import Catalogued, Ports, Schema, Spec
from openinfra_charm.values import bracketed
from trust import Trust

MANAGE = ("glance-manage", "--config-file={config}", "db")
SYNC, EXPAND, MIGRATE, CONTRACT = ((*MANAGE, verb) for verb in ("sync", "expand", "migrate", "contract"))
DEFINITIONS = (
    *MANAGE, "load_metadefs", "--path", "/opt/{application}/current/etc/glance/metadefs", "--merge", "--prefer_new",
)  # fmt: skip
"""What properties of images and flavors there are, for the portal: of the release in use, so they come last in an upgrade."""
PORTS = Ports(public=9292, backend=19292, proxied=29292)
SILENCE = 3600
"""For how many seconds a transfer may stand still: as long as the front and the gateway let it."""
LARGEST_CHUNK = 64 << 20
"""Bytes; whoever sends in chunks says how large each is. Nova's are larger than what uWSGI takes of its own accord."""
SPEC = Spec(
    name="glance",
    ports=PORTS,
    wsgi="glance.wsgi.api:application",
    environment={
        "OS_GLANCE_CONFIG_DIR": "{etc}",
        # Units ask each other, and download what they import: neither is told of a CA elsewhere.
        "REQUESTS_CA_BUNDLE": "{etc}/trust.pem",
        "SSL_CERT_FILE": "{etc}/trust.pem",
    },
    uwsgi={
        # A transfer has a thread for as long as it takes.
        "threads": 16,
        "socket-timeout": SILENCE,
        "chunked-input-timeout": SILENCE,
        "chunked-input-limit": LARGEST_CHUNK,
    },
    limits=dataclasses.replace(TRANSFERS, reuses=False),
    templates=("glance-api.conf.j2",),
    needs=(DATABASE, Identity(), Ceph()),
    schema=Schema(sync=(SYNC, DEFINITIONS), expand=(EXPAND, MIGRATE), contract=(CONTRACT, DEFINITIONS)),
    settings=settings.parse,
    catalogue=(Catalogued(name="glance", type="image", description="Images"),),
    check="/v2/images?limit=1",
    packages=("ca-certificates", "qemu-utils"),
    # WSME's, which has no wheel, is one of them.
    bindings=("python3-rados", "python3-rbd", "python3-simplegeneric"),
)


class GlanceCharm(ops.CharmBase):
    """The service, and what its units need of each other."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        hooks = Hooks(gather=self._gather, render=self._render)
        self.service = Service(self, SPEC, hooks)
        workload = self.service.workload
        self._trust = Trust(self.service.machine, f"{workload.etc}/trust.pem", site=workload.tls.ca_path)

    def _gather(self) -> dict[str, Any]:
        """Return where the other units reach this one: what was staged here is imported from here."""
        place = self.service.entrance.place
        return {"own_url": f"https://{bracketed(place.address)}:{PORTS.backend}" if place else ""}

    def _render(self) -> None:
        self._trust.write()


if __name__ == "__main__":
    hook.main(GlanceCharm)
