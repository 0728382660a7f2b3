"""The actions that every OpenStack API has; its charmcraft.yaml declares them, its `actions/` has only its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from openinfra_charm.daemon.show_job import show
from openinfra_charm.model.actions import ActionError, InModel, Outcome, require_leader

if TYPE_CHECKING:
    from openinfra_charm.openstack.service import Service
    from openinfra_charm.openstack.upgrade import Upgrade

DRAIN_SECONDS = 10
"""How long the gateway may take to see that a unit's health has failed."""
START_SECONDS = 40


class WithUpgrade(InModel, Protocol):
    """What has releases that are kept by `openinfra_charm.openstack.upgrade`."""

    upgrade: Upgrade


def upgrade_release(service: WithUpgrade, *, release: float, backup: str = "") -> Outcome:
    """Begin an upgrade, or try again what has failed, and do what is due at once.

    Args:
        service: The service.
        release: The release to come, which Juju takes for a number.
        backup: How the operator calls the backup of the database.

    Raises:
        ActionError: This is not the leader, or the upgrade cannot begin.
    """
    require_leader(service, f"upgrade-release release={release} backup={backup}")
    service.upgrade.begin(str(release), backup)
    service.upgrade.go_on()
    return _outcome(service.upgrade, f"{release} is tried again where it failed")


def rollback_release(service: WithUpgrade) -> Outcome:
    """Begin to take all units back to the release before, and do what is due at once.

    Raises:
        ActionError: This is not the leader, or there is no way back.
    """
    require_leader(service, "rollback-release")
    service.upgrade.roll_back()
    service.upgrade.go_on()
    return _outcome(service.upgrade, "all units are back")


def finish_upgrade(service: WithUpgrade, *, dry_run: bool = False) -> Outcome:
    """Remove from the schema what only the old release needs: from then on a backup is the only way back.

    Raises:
        ActionError: This is not the leader, or not all units run the new release.
    """
    require_leader(service, "finish-upgrade")
    service.upgrade.finish(dry_run=dry_run)
    if dry_run:
        words = "all units run the new release: it can be finished, and then only a backup leads back"
        return Outcome(summary=words, result=service.upgrade.report())
    service.upgrade.go_on()
    return _outcome(service.upgrade, "the upgrade is finished")


def pause(service: Service) -> Outcome:
    """Fail this unit's health so that the gateway sends it nothing more, then stop it until `resume`."""
    api = service.workload.api
    if not api.paused:
        api.drain()
        if service.entrance.served:
            service.machine.sleep(DRAIN_SECONDS)
    service.workload.stop()
    return Outcome(summary=f"paused; start it again with: juju run {service.unit.name} resume")


def resume(service: Service) -> Outcome:
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


def show_job(service: Service, *, job_id: str = "") -> Outcome:
    """Show how one job of this unit stands, or all."""
    return show(service.jobs, job_id)


def _outcome(upgrade: Upgrade, words: str) -> Outcome:
    """Return how far it is, or with these words that it is through."""
    return Outcome(summary=upgrade.progress() or words, result=upgrade.report())


STANDARD = {
    "finish-upgrade": finish_upgrade,
    "pause": pause,
    "resume": resume,
    "rollback-release": rollback_release,
    "show-job": show_job,
    "upgrade-release": upgrade_release,
}
