"""Where the object gateways are reached, and this unit: stopped and started, and its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.daemon.show_job import show
from openinfra_charm.model.actions import ActionError, Outcome
from state import Settings

if TYPE_CHECKING:
    from charm import CephRgwCharm


def get_endpoints(charm: CephRgwCharm) -> Outcome:
    """Return the URLs, the region's name for S3, and what makes keys for it.

    Raises:
        ActionError: It is not known yet.
        NeedsOperatorError: An option cannot be used, or this unit has no address.
    """
    settings = Settings.parse(charm.config)
    url = charm.endpoints(settings).public_url
    if not url or not charm.cluster.shared.get("checked"):
        raise ActionError("nothing is served yet; wait until the units are active")
    result = {
        "s3": url,
        "region": settings.site.zonegroup,
        "keys": f"juju run {charm.unit.name} create-user name=NAME",
    }
    if charm.model.get_relation("identity-service"):
        result |= {"keys": "openstack ec2 credentials create", "swift": f"{url}/swift/v1"}
    return Outcome(summary=f"S3 at {url}, region {settings.site.zonegroup}", result=result)


def pause(charm: CephRgwCharm) -> Outcome:
    """Stop this machine's object gateway, also over its restarts, until `resume`; other units serve on.

    Raises:
        ActionError: Another unit owns the machine's gateway.
    """
    charm.owned.require("pause")
    return charm.paused.begin()


def resume(charm: CephRgwCharm) -> Outcome:
    """Start this machine's object gateway after `pause`."""
    return charm.paused.end()


def show_job(charm: CephRgwCharm, *, job_id: str = "") -> Outcome:
    """Show how one job of this unit stands, or all."""
    return show(charm.jobs, job_id)
