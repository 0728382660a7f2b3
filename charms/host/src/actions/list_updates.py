"""List what an upgrade would bring."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import updates
from openinfra_charm.machine import CommandError
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import HostCharm

_FETCH_SECONDS = 45


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Whether to fetch the package lists first."""

    refresh: bool


def run(charm: HostCharm, params: Params) -> Outcome:
    """List packages that have a newer version, and who needs them."""
    try:
        if params.refresh:
            charm.machine.run("apt-get", "--quiet", "update", timeout=_FETCH_SECONDS)
        found = updates.pending(charm.machine, charm.host.needed_packages())
    except (CommandError, TimeoutError) as error:
        words = " ".join(str(error).split())
        raise ActionError(f"{words} (on the machine, try apt-get update)") from error
    security = sum(update.security for update in found)
    return Outcome(
        summary=f"{len(found)} packages have a newer version, {security} of them for security",
        result=[dataclasses.asdict(update) for update in found],
    )
