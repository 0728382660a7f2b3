"""Compare the machine with its baseline."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import audit
from openinfra_charm.machine import CommandError
from openinfra_charm.model.actions import ActionError, NoParams, Outcome
from openinfra_charm.model.status import ConfigError
from state import Config

if TYPE_CHECKING:
    from charm import HostCharm

Params = NoParams


def run(charm: HostCharm, _: Params) -> Outcome:
    """Look at everything and report each finding."""
    try:
        found = audit.findings(charm.host, Config.parse(charm.config))
    except ConfigError as error:
        raise ActionError(str(error)) from error
    except (CommandError, TimeoutError) as error:
        raise ActionError(f"the machine could not be looked at: {error}") from error
    failed = [finding.id for finding in found if finding.state == "fail"]
    summary = (
        f"{len(failed)} of {len(found)} failed: {', '.join(failed)}"
        if failed
        else f"none of {len(found)} failed"
    )
    return Outcome(summary=summary, result=[dataclasses.asdict(finding) for finding in found])
