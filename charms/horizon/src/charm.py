#!/usr/bin/env python3
"""The horizon charm: a web server as OpenStack's APIs are, with what only the portal has: its secret key, its theme, its hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ops

from openinfra_charm.model import hook
from openinfra_charm.model.secrets import Own
from openinfra_charm.openstack.needs import DATABASE, Identity
from openinfra_charm.openstack.service import Hooks, Service
from openinfra_charm.openstack.spec import Ports, Schema, Spec
from openinfra_charm.values import bracketed
from secret_key import LABEL, SecretKey
from state import SITE, THEMES, Settings
from theme import Theme

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MIGRATE = ("python", "{modules}/portal_manage.py", "{config}", "migrate", "--noinput", "--skip-checks")
SPEC = Spec(
    name="horizon",
    ports=Ports(public=443, backend=10443, proxied=20443),
    wsgi="portal_wsgi:application",
    # A page waits for other services most of its time, and asks for its parts all at once.
    uwsgi={"threads": 8},
    # Policies that fit no token of a project are told of at each page.
    environment={"PYTHONWARNINGS": "ignore::UserWarning"},
    templates=("horizon.conf.j2",),
    # The portal acts with the tokens of those who log in. Its own user shows that Keystone is reached, and may do nothing else.
    needs=(DATABASE, Identity()),
    enough=("service",),
    schema=Schema(sync=(MIGRATE,), expand=(MIGRATE,)),
    check="/openinfra/ready",
    settings=Settings.parse,
    # What compiles style sheets has no wheel for arm64.
    bindings=("python3-libsass",),
    completion=("portal_static.py", "portal_settings.py"),
)


class HorizonCharm(ops.CharmBase):
    """The service, and what the portal adds to it."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        hooks = Hooks(gather=self._gather, additions=self._additions, problems=self._problems)
        self.service = Service(self, SPEC, hooks)
        machine = self.service.machine
        self.secret_key = SecretKey(Own(self.model, self.app, LABEL), is_leader=self.unit.is_leader)
        self.theme = Theme(self.model.resources, machine, self.app.name)

    @property
    def url(self) -> str:
        """Where people reach the portal."""
        return f"{self.service.entrance.url.removesuffix(':443')}/"

    def _gather(self) -> Mapping[str, Any]:
        hosts = self.service.entrance.hosts
        settings: Settings = self.service.settings
        return {
            "secret_key": self.secret_key.get(),
            # The unit's own checks call it so.
            "hosts": [*map(bracketed, hosts), "localhost"],
            "console_origins": [
                *(f"https://{bracketed(host)}:*" for host in hosts),
                *settings.console_origins,
            ],
        }

    def _additions(self) -> Mapping[str, str]:
        return self.theme.files()

    def _problems(self) -> Iterator[str]:
        settings: Settings = self.service.settings
        if settings.theme == SITE and not self.theme.files():
            yield (
                f"theme={SITE} cannot be had: juju attach-resource {self.app.name} theme=ARCHIVE, or choose another one of {', '.join(THEMES)}"
            )


if __name__ == "__main__":
    hook.main(HorizonCharm)
