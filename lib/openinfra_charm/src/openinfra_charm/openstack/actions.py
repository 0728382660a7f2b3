"""The actions that every OpenStack API has; its charmcraft.yaml declares them, its `actions/` has only its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from openinfra_charm.daemon import show_job
from openinfra_charm.model.actions import Action, ActionError, InModel, NoParams, Outcome, require_leader

if TYPE_CHECKING:
    from openinfra_charm.openstack.service import Service
    from openinfra_charm.openstack.upgrade import Upgrade

DRAIN_SECONDS = 10
"""How long the gateway may take to see that a unit's health has failed."""
START_SECONDS = 40


class WithUpgrade(InModel, Protocol):
    """What has releases that are kept by `openinfra_charm.openstack.upgrade`."""

    upgrade: Upgrade


@dataclass(frozen=True, kw_only=True, slots=True)
class UpgradeRelease:
    """The release to come, which Juju takes for a number, and how the operator calls the backup of the database."""

    release: float
    backup: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishUpgrade:
    """Whether only to say if it could be done."""

    dry_run: bool = False


def upgrade_release(service: WithUpgrade, params: UpgradeRelease) -> Outcome:
    """Begin an upgrade, or try again what has failed, and do what is due at once.

    Raises:
        ActionError: This is not the leader, or the upgrade cannot begin.
    """
    require_leader(service, f"upgrade-release release={params.release} backup={params.backup}")
    release = str(params.release)
    service.upgrade.begin(release, params.backup)
    service.upgrade.go_on()
    words = service.upgrade.progress() or f"{release} is tried again where it failed"
    return Outcome(summary=words, result=service.upgrade.report())


def rollback_release(service: WithUpgrade, _: NoParams) -> Outcome:
    """Begin to take all units back to the release before, and do what is due at once.

    Raises:
        ActionError: This is not the leader, or there is no way back.
    """
    require_leader(service, "rollback-release")
    service.upgrade.roll_back()
    service.upgrade.go_on()
    return Outcome(
        summary=service.upgrade.progress() or "all units are back", result=service.upgrade.report()
    )


def finish_upgrade(service: WithUpgrade, params: FinishUpgrade) -> Outcome:
    """Remove from the schema what only the old release needs: from then on a backup is the only way back.

    Raises:
        ActionError: This is not the leader, or not all units run the new release.
    """
    require_leader(service, "finish-upgrade")
    service.upgrade.finish(dry_run=params.dry_run)
    if params.dry_run:
        words = "all units run the new release: it can be finished, and then only a backup leads back"
        return Outcome(summary=words, result=service.upgrade.report())
    service.upgrade.go_on()
    words = service.upgrade.progress() or "the upgrade is finished"
    return Outcome(summary=words, result=service.upgrade.report())


def pause(service: Service, _: NoParams) -> Outcome:
    """Fail this unit's health so that the gateway sends it nothing more, then stop it until `resume`."""
    api = service.workload.api
    if not api.paused:
        api.drain()
        if service.entrance.served:
            service.machine.sleep(DRAIN_SECONDS)
    service.workload.stop()
    return Outcome(summary=f"paused; start it again with: juju run {service.unit.name} resume")


def resume(service: Service, _: NoParams) -> Outcome:
    """Start this unit, and have it take requests again.

    Raises:
        ActionError: It was not paused, or it does not get healthy.
    """
    if not service.workload.api.paused:
        raise ActionError(f"{service.unit.name} is not paused")
    service.workload.api.undrain()
    service.workload.apply()
    if why := service.workload.problem(START_SECONDS):
        raise ActionError(f"it is started, but {why}; see its status")
    return Outcome(summary=f"{service.unit.name} serves again")


STANDARD = {
    "finish-upgrade": Action(params=FinishUpgrade, run=finish_upgrade),
    "pause": Action(params=NoParams, run=pause),
    "resume": Action(params=NoParams, run=resume),
    "rollback-release": Action(params=NoParams, run=rollback_release),
    "show-job": Action(params=show_job.Params, run=show_job.run),
    "upgrade-release": Action(params=UpgradeRelease, run=upgrade_release),
}
