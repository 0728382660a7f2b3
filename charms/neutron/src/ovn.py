"""OVN's databases: what the charm itself writes there, and what of Neutron's is compared with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import CommandError
from openinfra_charm.model.status import NotYetError
from openinfra_charm.openstack.programs import last_line

if TYPE_CHECKING:
    from openinfra_charm.daemon.tls import Certificate
    from openinfra_charm.interfaces.ovsdb_cms import Connections
    from openinfra_charm.machine import Machine
    from openinfra_charm.model.cluster import Cluster
    from state import Settings

_SECONDS = 20
DATABASE = "OVN_Northbound"


class Northbound:
    """The northbound database, as the unit may write it."""

    def __init__(self, machine: Machine, tls: Certificate) -> None:
        self._machine = machine
        self._tls = tls

    def set_options(self, remotes: str, options: dict[str, str]) -> None:
        """Set options of the whole database; others stay.

        Raises:
            CommandError: It cannot be reached, or refuses that.
            TimeoutError: It does not answer.
        """
        changes = [
            ["options", "delete", ["set", sorted(options)]],
            ["options", "insert", ["map", sorted(map(list, options.items()))]],
        ]
        operation = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": changes}
        command = (
            "ovsdb-client", f"--timeout={_SECONDS}", f"--private-key={self._tls.key_path}",
            f"--certificate={self._tls.chain_path}", f"--ca-cert={self._tls.ca_path}",
            "transact", remotes, json.dumps([DATABASE, operation]),
        )  # fmt: skip
        answers: list[dict[str, Any]] = json.loads(self._machine.run(*command, timeout=_SECONDS + 5).stdout)
        if wrong := [one["error"] for one in answers if "error" in one]:
            raise CommandError(command, 1, f"{DATABASE}: {wrong[0]}")


class Gateways:
    """How soon another chassis takes the gateways of one that is away.

    The leader's record, in the peer relation: `probes`, what was written of it.
    """

    def __init__(self, cluster: Cluster, northbound: Northbound) -> None:
        self._cluster = cluster
        self._northbound = northbound

    def set_probes(self, found: Connections | None, settings: Settings) -> None:
        """As the leader, have chassis hear of each other as often as the options say.

        From 2026.1 on Neutron writes the same numbers whenever it starts; before it knows nothing of them.

        Raises:
            NotYetError: The database cannot be written now.
        """
        wanted = {
            "bfd-min-rx": str(settings.probe_interval), "bfd-min-tx": str(settings.probe_interval // 10),
            "bfd-mult": str(settings.probes),
        }  # fmt: skip
        if found is None or self._cluster.shared.get("probes") == wanted:
            return
        try:
            self._northbound.set_options(found.northbound, wanted)
        except (CommandError, TimeoutError) as error:
            raise NotYetError(f"for OVN's databases: {last_line(error)}") from error
        self._cluster.publish_shared(probes=wanted)
