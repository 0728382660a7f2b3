"""The `ceph-radosgw` interface: keys and pools for object gateways, in the wire format of `ceph_daemons`.

A daemon's `key_name` is `rgw.<host>`; in plain text its key is under `rgw.<host>_key`.
"""

from __future__ import annotations

from openinfra_charm.interfaces.ceph_daemons import Format

FORMAT = Format(name="key_name", key_suffix="_key")
