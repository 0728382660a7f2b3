"""The `ceph-mds` interface: keys and a file system for metadata servers, in the wire format of `ceph_daemons`.

A daemon's `mds-name` is its host; in plain text its key is under `<host>_mds_key`. The file system is asked for by the
published operation `create-cephfs` (`mds_name`, which is the file system's, `metadata_pool`, `data_pool`). Ours adds
`max_mds` and `standby_replay`, which the published provider passes over.
"""

from __future__ import annotations

from openinfra_charm.interfaces.ceph_daemons import Format

FORMAT = Format(name="mds-name", key_suffix="_mds_key")
