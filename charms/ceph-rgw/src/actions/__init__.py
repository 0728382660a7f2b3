"""What actions have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from admin import RefusedError, UnreachableError
from ceph_rgw import KEEPER
from openinfra_charm.model.actions import ActionError, failing_on

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from charm import CephRgwCharm


def cluster(charm: CephRgwCharm) -> AbstractContextManager[None]:
    """Turn what Ceph says into the action's failure.

    Raises:
        ActionError: This unit has nothing to ask with yet, or Ceph does not answer or refuses.
    """
    if not charm.cluster.shared.get("founded") or not charm.rgw.admin.configured:
        raise ActionError("there is no zone yet; wait until the unit is active")
    return failing_on(UnreachableError, RefusedError)


def existing(charm: CephRgwCharm, name: str) -> dict[str, Any]:
    """Return what is known of a user.

    Raises:
        ActionError: There is no such user, or it is the charm's own.
    """
    user = charm.rgw.admin.user(name)
    if user is None or name == KEEPER:
        raise ActionError(f"there is no user {name}; see list-users")
    return user
