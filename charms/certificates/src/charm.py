#!/usr/bin/env python3
"""The certificates charm: a certificate authority for the applications of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

from certificates import Signer, UnusableError
from keys import Keys, NoKeyError
from openinfra_charm import machine as machines
from openinfra_charm.daemon import leftovers
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.tls import date
from openinfra_charm.model import actions, hook, secrets, status
from openinfra_charm.model.cluster import Cluster
from openinfra_charm.model.retry import Retry
from requirers import Requirers
from state import Authority, Settings, Succession

if TYPE_CHECKING:
    from collections.abc import Iterator


_SERVED: tuple[str, ...] = ("certificates", "send-ca-cert")


class CertificatesCharm(ops.CharmBase):
    """Events, relations and status of one unit. The leader signs; the others can lead at any time."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        self.machine = machines.this()
        self.signer = Signer(self.machine, self.app.name)
        self.cluster = Cluster(self, "cluster")
        self.keys = Keys(self.model)
        self.requirers = Requirers(self.model, self.cluster, self.signer, self.keys)
        self._missing: list[ops.StatusBase] = []
        self._has_no_news = False
        """Whether what the unit has said last is so still."""
        relations = dict.fromkeys(("cluster", *_SERVED), hook.PEERS)
        for event in hook.changes(self.on, relations, self.on.secret_changed):
            framework.observe(event, self._on_change)
        framework.observe(self.on.start, self._set_version)
        framework.observe(self.on.remove, self._on_remove)
        framework.observe(self.on.collect_unit_status, self._on_collect_unit_status)
        self.actions = actions.Actions(self)

    # The recipe

    def _on_change(self, event: ops.EventBase) -> None:
        try:
            self._reconcile(event)
        except status.NeedsOperatorError as error:
            self._missing.append(ops.BlockedStatus(str(error)))
        except NoKeyError as error:
            self._missing.append(ops.WaitingStatus(str(error)))

    def _reconcile(self, event: ops.EventBase) -> None:
        """As the leader, have a CA and answer all requests; with nothing new it changes nothing."""
        settings = self.settings
        leftovers.occupy(self.machine, self.unit.name, Footprint())
        self.signer.install()
        if not self.cluster.formed or not self.unit.is_leader():
            return
        if isinstance(event, ops.RelationEvent) and event.relation.name in _SERVED and self.succession:
            self._serve_one(settings, self.succession, event)
            return
        succession = self.succession or Succession(signing=self._make_first(settings))
        if succession.may_be_replaced(self.machine.now()):
            try:
                succession = self._replace_if_due(settings, succession)
            except status.NeedsOperatorError as error:
                # The CA that is there goes on meanwhile.
                self._missing.append(ops.BlockedStatus(str(error)))
        self.carry_on(settings, succession)

    def _serve_one(self, settings: Settings, succession: Succession, event: ops.RelationEvent) -> None:
        """Answer in the relation that a hook is about; of the others, which may be many, nothing is read.

        The first hook of many units that ask at once answers all of them in their relation, and the rest find it done.
        """
        relation, unit = event.relation, event.unit
        asks = isinstance(event, ops.RelationChangedEvent) and relation.name == "certificates" and unit
        if asks and not succession.is_changing and self.requirers.is_served(succession, relation, asks):
            self._has_no_news = True
            return
        self.requirers.serve(succession, settings.validity, only=relation)
        if succession.is_changing and not succession.waits_for(self.requirers.holders(relation)):
            self.carry_on(settings, succession)

    def carry_on(self, settings: Settings, succession: Succession) -> None:
        """Answer all requests, and go as far with a new CA as all have acknowledged."""
        while True:
            self.cluster.publish_shared(**succession.plain())
            self.requirers.serve(succession, settings.validity)
            following = succession.advance(self.requirers.holders(), self.machine.now(), settings.grace)
            if following == succession:
                return
            if succession.signing != following.signing:
                self.keys.remove(succession.signing)
            succession = following

    # CAs

    def _make_first(self, settings: Settings) -> Authority:
        return self._supplied(settings) if settings.secret else self.make_authority(settings)

    def make_authority(self, settings: Settings) -> Authority:
        """Make a CA of our own, and a secret with its key."""
        return self.keys.keep(*self.signer.make_root(settings))

    def _supplied(self, settings: Settings) -> Authority:
        """Return the operator's CA, and keep its key: the operator's secret may change before the CA is replaced.

        Raises:
            NeedsOperatorError: It cannot be used.
        """
        content = self._operators_secret(settings)
        try:
            return self.keys.keep(*self.signer.read_intermediate(content, settings.secret))
        except UnusableError as error:
            raise status.NeedsOperatorError(f"config ca-secret={settings.secret}: {error}") from error

    def _operators_secret(self, settings: Settings) -> dict[str, str]:
        content = secrets.find(self.model, settings.secret)
        if content is None:
            raise status.NeedsOperatorError(
                f"config ca-secret={settings.secret}: cannot be read; juju grant-secret {settings.secret} {self.app.name}"
            )
        return content

    def _replace_if_due(self, settings: Settings, succession: Succession) -> Succession:
        """Announce the next CA when two thirds of this one's life are over, or when the operator wants another."""
        current, now = succession.signing, self.machine.now()
        if settings.secret:
            # The text is compared first: it costs nothing, and it is all that a hook with nothing new does.
            given = self._operators_secret(settings).get("certificate", "").strip()
            if current.origin == settings.secret and given == current.certificate:
                return succession
            return succession.announce(self._supplied(settings), now)
        # One that is not valid yet was made while a clock was ahead; if it is this clock that is late, another does no harm.
        if current.origin or not current.begins <= now < current.renew_at:
            return succession.announce(self.make_authority(settings), now)
        return succession

    # The other events

    def _set_version(self, _event: ops.EventBase) -> None:
        self.unit.set_workload_version(self.signer.version())

    def _on_remove(self, _event: ops.RemoveEvent) -> None:
        if leftovers.has_place(self.machine, self.unit.name):
            self.signer.remove()

    # Status

    def _on_collect_unit_status(self, event: ops.CollectStatusEvent) -> None:
        if self._has_no_news and not self._missing:
            return
        if not self._missing and not self.succession:
            missing = (
                "the leader to make the CA" if self.cluster.formed else "the peer relation, which Juju makes"
            )
            self._missing.append(ops.WaitingStatus(f"for {missing}"))
        Retry(self.machine, self.unit.name).add_all(event, self._missing or self._notes())

    def _notes(self) -> Iterator[ops.StatusBase]:
        """Yield what an operator of a CA that works may want to know; the leader says it."""
        succession = self.succession
        if not self.unit.is_leader() or succession is None:
            return
        notes: list[str] = []
        if succession.is_changing and (waiting := succession.waits_for(self.requirers.holders())):
            what = "trust the new CA" if succession.new else "serve certificates of the new CA"
            until = date(succession.since + self.settings.grace)
            notes.append(f"waiting until {', '.join(waiting)} acknowledge to {what}, or until {until}")
        if succession.signing.origin and self.machine.now() >= succession.signing.renew_at:
            ends = date(succession.signing.ends)
            notes.append(f"the CA of ca-secret ends {ends}: update the secret with the next one")
        notes += [f"not signed for {name}: {why}" for name, why in self.requirers.refusals().items()]
        if notes:
            yield ops.ActiveStatus("; ".join(notes))

    # What the model says

    @property
    def settings(self) -> Settings:
        """The options, checked.

        Raises:
            ConfigError: One of them cannot be used.
        """
        return Settings.parse(self.config)

    @property
    def succession(self) -> Succession | None:
        """The CAs, once the leader has made the first."""
        shared = self.cluster.shared
        return Succession.parse(shared) if "signing" in shared else None


if __name__ == "__main__":
    hook.main(CertificatesCharm)
