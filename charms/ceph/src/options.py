"""Options that Ceph's daemons take while they run, in the cluster's central configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ops

    from admin import Admin
    from openinfra_charm.model.cluster import Cluster


class Options:
    """The options of the cluster. What was set last is in the peers' shared facts (`options`)."""

    def __init__(self, unit: ops.Unit, *, cluster: Cluster, admin: Admin) -> None:
        self._unit = unit
        self._cluster = cluster
        self._admin = admin

    def apply(self, wanted: Mapping[str, str], *, founds: bool = False) -> None:
        """As the leader, or as who founds the cluster, set what has changed.

        Args:
            wanted: The options by `who/name`.
            founds: Whether this unit founds the cluster now.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        before = self._cluster.shared.get("options", {})
        if wanted != before and (founds or self._unit.is_leader()):
            change(self._admin, wanted, before)
        if self._unit.is_leader():
            self._cluster.publish_shared(options=wanted)


def change(admin: Admin, wanted: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Set options, by `who/name`, and those to Ceph's defaults that are not wanted any more.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    for option, value in wanted.items():
        if before.get(option) != value:
            who, _, name = option.partition("/")
            admin.command("config set", who=who, name=name, value=value)
    for option in before.keys() - wanted.keys():
        who, _, name = option.partition("/")
        admin.command("config rm", who=who, name=name)
