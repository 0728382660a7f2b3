"""Object gateways die while clients write, take new certificates while clients transfer, and have many users."""

import http.client
import ssl
import threading
import time
import uuid
from urllib.parse import urlsplit

import pytest

from .test_certificates import serial

TRANSFER_SECONDS = 150
"""Longer than any answer of an API may take."""
SIZE = 150 << 20


def test_a_killed_gateway_comes_back_by_itself(kill):
    kill("ceph-rgw", "'ceph-radosgw@*.service'")


def test_a_killed_front_comes_back_by_itself(kill):
    kill("ceph-rgw", "ceph-rgw-front.service")


class Transfer(threading.Thread):
    """A download or an upload as slow as a client with a thin line makes it; `problem` is why it ended early."""

    def __init__(self, url: str, ca: str, *, upload: bool) -> None:
        super().__init__(daemon=True)
        self._place, self._ca, self._upload = urlsplit(url), ca, upload
        self.problem = ""
        self.status = self.moved = 0

    def run(self) -> None:
        try:
            self._move()
        except (OSError, http.client.HTTPException) as error:
            self.problem = repr(error)

    def _move(self) -> None:
        assert self._place.hostname
        connection = http.client.HTTPSConnection(
            self._place.hostname,
            self._place.port,
            timeout=60,
            context=ssl.create_default_context(cafile=self._ca),
        )
        path = f"{self._place.path}?{self._place.query}"
        if self._upload:
            connection.request("PUT", path, self._pieces(), {"Content-Length": str(SIZE)})
            answer = connection.getresponse()
            answer.read()
        else:
            connection.request("GET", path)
            answer = connection.getresponse()
            while piece := answer.read(1 << 20):
                self.moved += len(piece)
                time.sleep(TRANSFER_SECONDS / SIZE * len(piece))
        self.status = answer.status

    def _pieces(self):
        while self.moved < SIZE:
            yield b"x" * (1 << 20)
            self.moved += 1 << 20
            time.sleep(TRANSFER_SECONDS / SIZE * (1 << 20))


@pytest.fixture
def s3(cloud, clients):
    keys = clients.object_keys
    return clients.s3(cloud.objects_url, keys["access-key"], keys["secret-key"], seconds=60)


@pytest.fixture
def bucket(s3):
    """A bucket that goes with what is in it."""
    name = f"long-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    yield name
    for one in s3.list_objects_v2(Bucket=name).get("Contents", ()):
        s3.delete_object(Bucket=name, Key=one["Key"])
    s3.delete_bucket(Bucket=name)


def test_long_transfers_outlast_a_renewed_certificate(cloud, clients, s3, bucket):
    """What is open stays open; whoever comes then is shown the new one. No daemon is restarted for it."""
    s3.put_object(Bucket=bucket, Key="down", Body=b"x" * SIZE)
    urls = {
        method: s3.generate_presigned_url(method, Params={"Bucket": bucket, "Key": key}, ExpiresIn=600)
        for method, key in (("get_object", "down"), ("put_object", "up"))
    }
    units = cloud.units("ceph-rgw")
    before = {unit: (serial(cloud, unit, 17480, ""), daemons(cloud, unit)) for unit in units}
    transfers = [
        Transfer(urls[method], clients.ca, upload=method == "put_object")
        for method in ("get_object", "put_object") * 2
    ]
    for transfer in transfers:
        transfer.start()
    for _ in range(2):
        time.sleep(TRANSFER_SECONDS / 4)
        cloud.juju.run(cloud.leader("certificates"), "reissue", {"requirer": "ceph-rgw"}, wait=120)
        cloud.settle()
    assert all(transfer.is_alive() for transfer in transfers), [transfer.problem for transfer in transfers]
    for unit in units:
        assert serial(cloud, unit, 17480, "") not in {"", before[unit][0]}
        assert daemons(cloud, unit) == before[unit][1]
    for transfer in transfers:
        transfer.join(2 * TRANSFER_SECONDS)
        assert (transfer.problem, transfer.status, transfer.moved) == ("", 200, SIZE)
    assert s3.head_object(Bucket=bucket, Key="up")["ContentLength"] == SIZE


def daemons(cloud, unit: str) -> dict[str, str]:
    """The starts of a unit's radosgw and of its front."""
    return cloud.invocations(unit, "ceph-radosgw@*.service", "ceph-rgw-front.service")
