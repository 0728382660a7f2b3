"""OVN's databases, as Neutron's own code reads and writes them from the release tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.machine import CommandError
from openinfra_charm.model.status import NotYetError
from openinfra_charm.openstack.programs import last_line

if TYPE_CHECKING:
    from openinfra_charm.model.cluster import Cluster
    from openinfra_charm.openstack.workload import Workload
    from state import Settings

PROGRAM = "{modules}/openinfra_ovn.py"
"""Beside the modules that the API imports."""


class Ovn:
    """What the charm itself has to do with OVN's databases.

    The leader's record, in the peer relation: `probes`, what was written there of how chassis with gateways hear of each other.
    """

    def __init__(self, cluster: Cluster, workload: Workload) -> None:
        self._cluster = cluster
        self._workload = workload

    def set_probes(self, settings: Settings) -> None:
        """As the leader, have chassis take gateways of one that is away as soon as the options say.

        From 2026.1 on Neutron does so too, with the same numbers, whenever it starts.

        Raises:
            NotYetError: The databases cannot be written now.
        """
        wanted = {
            "bfd-min-rx": str(settings.probe_interval), "bfd-min-tx": str(settings.probe_interval // 10),
            "bfd-mult": str(settings.probes),
        }  # fmt: skip
        if self._cluster.shared.get("probes") == wanted:
            return
        words = [f"{key}={value}" for key, value in wanted.items()]
        try:
            self._workload.run("python", PROGRAM, "{config}", "options", *words)
        except (CommandError, TimeoutError) as error:
            raise NotYetError(f"for OVN's databases: {last_line(error)}") from error
        self._cluster.publish_shared(probes=wanted)
