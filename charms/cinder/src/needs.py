"""What Cinder has of other applications besides what all APIs have: a database that keeps its locks too, and a place for backups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from openinfra_charm.interfaces import s3
from openinfra_charm.openstack.needs import Database, Need

if TYPE_CHECKING:
    import ops

    from openinfra_charm.interfaces.mysql_client import Access
    from openinfra_charm.interfaces.s3 import Bucket
    from openinfra_charm.openstack.needs import Requirer, Sections, Trust

SYSTEM_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True, kw_only=True)
class LockingDatabase(Database):
    """The database, on whose server (GET_LOCK) units lock what only one of them may change at a time."""

    def sections(self, found: Any, trust: Trust) -> Sections:
        """Return the sections of oslo.db and of Cinder's coordination."""
        ca_path = trust.keep(self.name, [found.ca])
        locks = {"coordination": {"backend_url": lock_url(found, ca_path=ca_path)}}
        return {**super().sections(found, trust), **locks}


def lock_url(access: Access, *, ca_path: str) -> str:
    """Return tooz's URL of a database's server; with a CA it verifies certificate and name."""
    user = f"{quote(access.username, safe='')}:{quote(access.password, safe='')}"
    tls = f"?ssl_ca={quote(ca_path)}" if ca_path else ""
    return f"mysql://{user}@{access.endpoints[0]}/{access.database}{tls}"


@dataclass(frozen=True, kw_only=True)
class BackupStore(Need):
    """A bucket for backups of volumes; without it there are none."""

    name: str = "backup"
    endpoint: str = "s3-parameters"
    provider: str = "ceph-rgw"
    lacks: str = "no backups of volumes"
    awaits: str = "to make a bucket"
    required: bool = False

    def ask(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Ask for a bucket."""
        s3.send_request(relation, requirer.application)

    def read(self, relation: ops.Relation, requirer: Requirer) -> Bucket | None:
        """Return the bucket, and how to reach it."""
        return s3.read(requirer.model, relation, refresh=False)

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Use the newest keys from now on."""
        s3.read(requirer.model, relation)

    def sections(self, found: Any, trust: Trust) -> Sections:
        """Return what Cinder's backup process wants to know of the bucket."""
        bucket: Bucket | None = found
        ca_path = trust.keep("backup", [bucket.ca] if bucket else [])
        if bucket is None:
            return {}
        return {
            "DEFAULT": {
                # Not Ceph's: with it a whole restore of a volume that has holes is another volume (LP2155612).
                "backup_driver": "cinder.backup.drivers.s3.S3BackupDriver",
                "backup_s3_endpoint_url": bucket.endpoint,
                "backup_s3_store_bucket": bucket.name,
                "backup_s3_store_access_key": bucket.access_key,
                "backup_s3_store_secret_key": bucket.secret_key,
                "backup_s3_ca_cert_file": ca_path or SYSTEM_TRUSTED,
                "backup_compression_algorithm": "zstd",
                # Each holds up to 150 MiB.
                "backup_max_operations": 4,
            }
        }
