"""Metadata servers die while files are written."""

import time

FOLDER = "/mnt/faults"
WRITE = (
    "i=0; while sleep 0.1; do i=$((i+1)); "
    f"echo $i > {FOLDER}/$i && sync {FOLDER}/$i && echo $i >> /root/acknowledged; done"
)
BACK_SECONDS = 90


def acknowledged(cloud, unit: str) -> list[str]:
    """The files that were written and synced."""
    return cloud.shell(unit, "cat /root/acknowledged 2>/dev/null", check=False).split()


def test_killed_metadata_servers_come_back_and_keep_every_file(cloud):
    writer, reader = cloud.units("ceph-fs")[:2]
    cloud.run("ceph-fs/0", "create-volume", name="faults")
    access = cloud.run("ceph-fs/0", "authorize", volume="faults", client="faults")
    for unit in (writer, reader):
        cloud.mount(unit, access, FOLDER)
    try:
        cloud.shell(writer, f"rm -f /root/acknowledged; systemd-run --quiet --unit=files sh -c '{WRITE}'")
        for unit in cloud.units("ceph-fs"):
            cloud.shell(unit, "systemctl kill --signal=KILL 'ceph-mds@*.service'")
            before, limit = len(acknowledged(cloud, writer)), time.monotonic() + BACK_SECONDS
            while len(acknowledged(cloud, writer)) < before + 5:
                assert time.monotonic() < limit, (
                    f"no file is written any more after {unit}'s server was killed"
                )
                time.sleep(1)
        cloud.shell(writer, "systemctl stop files")
        kept = cloud.shell(reader, f'cd {FOLDER} && for f in *; do test "$(cat $f)" = $f && echo $f; done')
        assert set(acknowledged(cloud, writer)) <= set(kept.split())
    finally:
        cloud.shell(writer, "systemctl stop files", check=False)
        for unit in (writer, reader):
            cloud.unmount(unit, FOLDER)
    cloud.settle()
    cloud.wait_for_health()
