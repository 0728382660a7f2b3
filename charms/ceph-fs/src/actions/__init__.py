"""What actions have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admin import RefusedError, UnreachableError
from openinfra_charm.model.actions import ActionError, failing_on

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from admin import Volume
    from charm import CephFsCharm


def cluster(charm: CephFsCharm) -> AbstractContextManager[None]:
    """Turn what Ceph says into the action's failure.

    Raises:
        ActionError: This unit has nothing to ask with yet, or Ceph does not answer or refuses.
    """
    if not charm.mds.admin.configured:
        raise ActionError("there is no file system yet; wait until the unit is active")
    return failing_on(UnreachableError, RefusedError)


def existing(charm: CephFsCharm, name: str) -> Volume:
    """Return what is known of a volume.

    Raises:
        ActionError: There is no such volume.
    """
    volume = charm.mds.admin.volume(name)
    if volume is None:
        raise ActionError(f"there is no volume {name}; see list-volumes")
    return volume
