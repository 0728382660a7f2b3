#!/usr/bin/env python3
"""A probe that hands out a bucket, as an integrator of object stores does."""

import json

import ops

from openinfra_charm.model import secrets

LABEL = "keys"


class S3Charm(ops.CharmBase):
    """Tells others what its options say."""

    def __init__(self, framework: ops.Framework) -> None:
        super().__init__(framework)
        for event in (
            self.on.config_changed, self.on.update_status, self.on.leader_elected, self.on.secret_changed,
            self.on["s3-credentials"].relation_created,
        ):  # fmt: skip
            framework.observe(event, self._reconcile)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    @property
    def _keys(self) -> dict[str, str] | None:
        return secrets.find(self.model, str(self.config.get("keys", "")) or None)

    def _reconcile(self, _: ops.EventBase) -> None:
        keys = self._keys
        if keys is None or not self.unit.is_leader():
            return
        for relation in self.model.relations["s3-credentials"]:
            data = relation.data[self.app]
            if "secret-extra" not in data:
                secret = self.app.add_secret(keys, label=f"{LABEL}-{relation.id}")
                secret.grant(relation)
                data["secret-extra"] = secret.id or ""
            data["endpoint"], data["bucket"] = str(self.config["endpoint"]), str(self.config["bucket"])
            data["tls-ca-chain"] = json.dumps([str(self.config["ca"])])

    def _on_collect_status(self, event: ops.CollectStatusEvent) -> None:
        event.add_status(
            ops.ActiveStatus() if self._keys else ops.WaitingStatus("for the option keys, and its grant")
        )


if __name__ == "__main__":
    ops.main(S3Charm)
