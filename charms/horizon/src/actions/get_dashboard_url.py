"""Where the portal is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import HorizonCharm


def get_dashboard_url(charm: HorizonCharm) -> Outcome:
    """Say where people log in, as whom, and how the password is had.

    Raises:
        ActionError: Nobody can log in yet.
    """
    if why := charm.service.workload.problem():
        raise ActionError(f"nobody can log in yet: {why}; see the status of {charm.unit.name}")
    identity = charm.model.get_relation("identity-service")
    keystone = identity.app.name if identity else "keystone"
    login = {
        "url": charm.url,
        "domain": charm.service.settings.default_domain,
        "user": "admin",
        "password": f"juju run {keystone}/leader get-admin-password",
    }
    return Outcome(summary=f"The portal is at {charm.url}", result=login)
