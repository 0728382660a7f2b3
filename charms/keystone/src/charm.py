#!/usr/bin/env python3
"""The keystone charm: an OpenStack API as all are, and what only Keystone has: keys, accounts, and users for other applications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ops

import clients
from accounts import Accounts
from admin import RefusedError
from clients import Clients, Place
from directory import DirectoryDomain
from keys import LABEL, Keys
from keyset import EXPIRED_WINDOW
from keystone import MANAGE, Keystone
from openinfra_charm.model import hook
from openinfra_charm.model.status import NeedsOperatorError, NotYetError
from openinfra_charm.openstack.needs import CACHE, DATABASE
from openinfra_charm.openstack.service import Hooks, Service
from openinfra_charm.openstack.spec import Ports, Schema, Spec
from state import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SPEC = Spec(
    name="keystone",
    ports=Ports(public=5000, backend=15000, proxied=25000),
    wsgi="keystone.wsgi.api:application",
    environment={"OS_KEYSTONE_CONFIG_FILES": "{config}"},
    templates=("keystone.conf.j2",),
    needs=(DATABASE, CACHE),
    schema=Schema(
        sync=((*MANAGE, "db_sync"),),
        expand=((*MANAGE, "db_sync", "--expand"),),
        contract=((*MANAGE, "db_sync", "--contract"),),
    ),
    settings=Settings.parse,
    bindings=("python3-ldap",),
)


class KeystoneCharm(ops.CharmBase):
    """The service, and the hooks that Keystone adds to it."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        hooks = Hooks(
            gather=self._gather, render=self._write_keys, found=self._found, restored=self._restored, serve=self._serve,
            health=self._why_no_token, obsolete=self._on_obsolete, problems=self._problems, notes=self._notes,
            endpoints=tuple(clients.ENDPOINTS),
        )  # fmt: skip
        self.service = Service(self, SPEC, hooks)
        machine, cluster, workload = self.service.machine, self.service.cluster, self.service.workload
        keystone = Keystone(machine, workload)
        self.keys = Keys(
            model=self.model, cluster=cluster, machine=machine, keystone=keystone, settings=self._settings
        )
        self.accounts = Accounts(
            model=self.model, cluster=cluster, machine=machine, keystone=keystone, entrance=self.service.entrance,
            region=self._region,
        )  # fmt: skip
        self.clients = Clients(
            model=self.model, cluster=cluster, settings=self._settings,
            place=self._place, admin=self.accounts.admin)  # fmt: skip
        self.directory = DirectoryDomain(
            model=self.model, cluster=cluster, machine=machine, workload=workload, settings=self._settings
        )
        framework.observe(self.on.secret_rotate, self._on_secret_rotate)

    def _settings(self) -> Settings:
        return self.service.settings

    def _region(self) -> str:
        return self.service.options.region

    def _place(self) -> Place:
        return Place(
            url=self.accounts.url, internal_url=self.accounts.internal_url, region=self._region(),
            names=self.accounts.named(),
        )  # fmt: skip

    # What Keystone adds to the reconcile

    def _gather(self) -> Mapping[str, Any]:
        """Have the keys; as the leader make them and the first passwords where there are none."""
        if self.unit.is_leader() and not self.keys.are_made:
            chosen = self.keys.choose()
            self.accounts.make_secrets()
            self.keys.make(chosen)
            raise NotYetError("for Juju to record the keys; the next hook sets Keystone up")
        if self.keys.read() is None:
            raise NotYetError("for the leader to make the keys")
        return {"expired_window": EXPIRED_WINDOW, **self.directory.gather()}

    def _write_keys(self) -> None:
        self.keys.write()
        self.directory.write()

    def _found(self) -> None:
        self.accounts.bootstrap()

    def _restored(self) -> None:
        """Make all accounts again: passwords may have been replaced since, and a backup of an earlier model knows other users."""
        try:
            self.accounts.restore()
            self.clients.make_anew()
        except RefusedError as error:
            raise _refused(error) from error
        self.keys.expect_older()
        self.directory.forget()

    def _serve(self) -> None:
        if not self.unit.is_leader():
            return
        try:
            self.accounts.ensure()
            self.keys.advance()
            self.clients.serve()
            self.directory.ensure(self.accounts.admin)
        except RefusedError as error:
            raise _refused(error) from error

    def _why_no_token(self) -> str:
        return self.accounts.why_no_token()

    def _problems(self) -> Iterator[str]:
        if self.directory.problem:
            yield self.directory.problem
        if self.unit.is_leader() and self.accounts.are_made:
            yield from self.keys.problems
            yield from self.clients.problems()

    def _notes(self) -> Iterator[str]:
        yield from self.keys.notes()

    # The other events

    def _on_secret_rotate(self, event: ops.SecretRotateEvent) -> None:
        """Rotate the keys, now or as soon as every unit has acknowledged the present ones."""
        if event.secret.label == LABEL and self.unit.is_leader():
            self.keys.ask_for_rotation()
        self.service.reconcile(event)

    def _on_obsolete(self, label: str) -> None:
        self.clients.retire(label)


def _refused(error: RefusedError) -> NeedsOperatorError:
    return NeedsOperatorError(f"Keystone refuses what the charm needs: {error}")


if __name__ == "__main__":
    hook.main(KeystoneCharm)
