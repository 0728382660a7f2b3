"""Let OSDs take data again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster, existing, osd_numbers
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    osd_ids: str


def run(charm: CephCharm, params: Params) -> Outcome:
    """Mark the OSDs `in`.

    Raises:
        ActionError: One is not in the cluster (nothing has changed), or the cluster does not answer.
    """
    numbers = osd_numbers(params.osd_ids)
    with cluster():
        existing(charm.ceph.admin, numbers)
        charm.ceph.admin.command("osd in", ids=[str(number) for number in numbers])
    return Outcome(summary=f"in: {', '.join(f'osd.{number}' for number in numbers)}")
