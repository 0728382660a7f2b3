"""S3 as people use it, by a user of Keystone and by one of the object gateways' own; README of ceph-rgw has what works."""

from __future__ import annotations

import http.client
import io
import json
import shlex
import socket
import ssl
import subprocess
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from botocore.exceptions import ClientError

PART = b"x" * (5 << 20)
"""The least that a part of a multipart upload may be, but for the last one."""
ORIGIN = "https://app.example.org"


OWN, KEYSTONE = "of its own", "of Keystone"


@pytest.fixture(scope="module", params=[OWN, KEYSTONE])
def kind(request) -> str:
    """Whose user asks: the object gateways' own, or Keystone's."""
    return request.param


@pytest.fixture(scope="module")
def s3(kind, cloud, clients):
    """The user's client."""
    if kind == OWN:
        keys = clients.object_keys
        return clients.s3(cloud.objects_url, keys["access-key"], keys["secret-key"])
    connection = clients.connect()
    credential = connection.identity.post(
        f"/users/{connection.current_user_id}/credentials/OS-EC2",
        json={"tenant_id": connection.current_project_id},
    ).json()["credential"]
    return clients.s3(cloud.objects_url, credential["access"], credential["secret"])


@pytest.fixture
def bucket(s3):
    """A bucket of that user, which goes with all versions of what is in it."""
    name = f"case-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
    s3.delete_bucket(Bucket=name)


def test_multipart(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="large")["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(Bucket=bucket, Key="large", UploadId=upload, PartNumber=number, Body=body)[
                "ETag"
            ],
        }
        for number, body in enumerate((PART, b"end"), 1)
    ]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="large", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == len(PART) + 3
    aborted = s3.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=aborted)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_versioning(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="a", Body=b"one")["VersionId"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"two")
    s3.delete_object(Bucket=bucket, Key="a")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="a")
    assert s3.get_object(Bucket=bucket, Key="a", VersionId=first)["Body"].read() == b"one"


def test_lifecycle(s3, bucket):
    rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    (kept,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert kept["Expiration"] == {"Days": 1}


def test_presigned_get_and_put(s3, bucket, clients):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a"})
    assert requests.put(url, data=b"mine", verify=clients.ca, timeout=30).status_code == requests.codes.ok
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    assert requests.get(url, verify=clients.ca, timeout=30).content == b"mine"


def test_presigned_post(s3, bucket, clients, kind):
    """A form in a browser, whose policy the user has signed.

    Of a Keystone user's radosgw looks the bucket up before it knows whose project it is in, and finds none.
    """
    form = s3.generate_presigned_post(Bucket=bucket, Key="form")
    answer = requests.post(
        form["url"], data=form["fields"], files={"file": b"by a browser"}, verify=clients.ca, timeout=30
    )
    if kind == KEYSTONE:
        assert (answer.status_code, "NoSuchBucket" in answer.text) == (requests.codes.not_found, True)
        return
    assert answer.status_code == requests.codes.no_content, answer.text
    assert s3.get_object(Bucket=bucket, Key="form")["Body"].read() == b"by a browser"


def preflight(s3: Any, bucket: str, ca: str) -> requests.Response:
    """Ask as a browser does before it sends what a page of another origin has prepared."""
    rule = {"AllowedOrigins": [ORIGIN], "AllowedMethods": ["PUT", "GET"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a"})
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    return requests.options(url, headers=asked, verify=ca, timeout=30)


def test_cors(s3, bucket, clients):
    answer = preflight(s3, bucket, clients.ca)
    assert answer.status_code == requests.codes.ok, answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


# By whom a request was sent


GET_ONE = """
import sys, urllib.error, urllib.request, ssl
try:
    asked = urllib.request.Request(sys.argv[1], headers=dict(word.split("=", 1) for word in sys.argv[2:]))
    print(urllib.request.urlopen(asked, timeout=30, context=ssl._create_unverified_context()).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


class Other:
    """A client with another address than this host: a machine of the model."""

    def __init__(self, cloud, unit: str) -> None:
        self._cloud, self._unit = cloud, unit
        self.address = cloud.address(unit)

    def get(self, url: str, **headers: str) -> int:
        """Ask for a URL; return the status of the answer."""
        words = [f"{name}={value}" for name, value in headers.items()]
        return int(self._cloud.shell(self._unit, shlex.join(["python3", "-c", GET_ONE, url, *words])))


@pytest.fixture
def other(cloud) -> Other:
    """The machine of another unit than has the stable address, which would be its own for itself."""
    unit = next(
        unit
        for unit in cloud.units("ceph-rgw")
        if cloud.machine_of(unit) != cloud.machine_of(cloud.first_gateway)
    )
    return Other(cloud, unit)


@pytest.fixture
def own_address(cloud) -> str:
    """This host's address, as the stable address sees it."""
    with socket.create_connection((cloud.vip, 7480), timeout=10) as connection:
        return connection.getsockname()[0]


def only_from(s3, bucket: str, address: str) -> None:
    """Refuse whoever has another address, its owner too."""
    everything = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = {
        "Version": "2012-10-17",
        "Statement": [everything | {"Condition": {"NotIpAddress": {"aws:SourceIp": address}}}],
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy


def test_a_policy_by_the_clients_address(s3, bucket, clients, other, own_address):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})

    def ours(**headers: str) -> int:
        return requests.get(url, headers=headers, verify=clients.ca, timeout=30).status_code

    assert (ours(), other.get(url)) == (requests.codes.ok, requests.codes.ok)
    only_from(s3, bucket, own_address)
    assert (ours(), other.get(url)) == (requests.codes.ok, requests.codes.forbidden)
    only_from(s3, bucket, other.address)
    assert (ours(), other.get(url)) == (requests.codes.forbidden, requests.codes.ok)


def test_nobody_has_the_address_that_he_says(s3, bucket, other, own_address):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    only_from(s3, bucket, own_address)
    for header in (
        "X-Forwarded-For", "x_forwarded_for", "X-Forwarded_For", "Forwarded", "X-Real-IP", "Remote-Addr",
    ):  # fmt: skip
        said = f"for={own_address}" if header == "Forwarded" else own_address
        assert other.get(url, **{header: said}) == requests.codes.forbidden, header


def test_requests_are_logged_with_who_and_from_where_and_no_secret(s3, bucket, cloud, clients, own_address):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    assert requests.get(url, verify=clients.ca, timeout=30).status_code == requests.codes.ok
    query = parse_qs(urlsplit(url).query)
    (signature,), (credential,) = query["X-Amz-Signature"], query["X-Amz-Credential"]
    units = cloud.units("ceph-rgw")
    logs = [cloud.shell(unit, "journalctl --since -2min --no-pager -u ceph-rgw-front") for unit in units]
    files = [cloud.shell(unit, "cat /var/log/ceph/ceph-client.rgw.*") for unit in units]
    path = urlsplit(url).path
    (line,) = [line for log in logs for line in log.splitlines() if f" GET {path} 200," in line]
    assert f" {own_address}:" in line
    assert f" {credential.split('/')[0]} " in line
    assert not any(signature in text for text in (*logs, *files))


# What signatures are about is not changed on the way


KEYS = (
    "a/b", "a//b", "/a", "a%2Fb", "a b+c", "a/../b", "a/./b", "\u00fc/\u4e2d", "a?b#c", "end/", "~*'()!",
)  # fmt: skip


def test_names_of_objects_are_as_they_are(s3, bucket, clients):
    """In signed and in presigned requests, whatever a program on the way might think of them."""
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert {one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]} == {*KEYS}
    for key in KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
        assert exchange(url, "GET", clients.ca) == (requests.codes.ok, key.encode()), key


def exchange(url: str, method: str, ca: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    """Send a request whose path is taken as it is, which no library of higher level does."""
    place = urlsplit(url)
    assert place.hostname
    connection = http.client.HTTPSConnection(
        place.hostname, place.port, timeout=60, context=ssl.create_default_context(cafile=ca)
    )
    connection.request(
        method, f"{place.path}?{place.query}", body, {k.replace("_", "-"): v for k, v in headers.items()}
    )
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_a_slash_that_is_a_part_of_a_name(s3, bucket, clients):
    """`%2F` in a path is passed on, for radosgw to make a slash of it."""
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/b"})
    assert exchange(url.replace("/a/b?", "/a%2Fb?"), "GET", clients.ca) == (requests.codes.ok, b"x")


def test_bodies_of_any_kind(s3, bucket, clients):
    """One that waits for 100-continue, one without a length that is refused by S3's own words, one in signed pieces."""
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a"})
    done = subprocess.run(
        [
            "curl", "-sS", "-v", "--cacert", clients.ca, "--expect100-timeout", "20", "-H", "Expect: 100-continue",
            "-T", "-", "-H", "Transfer-Encoding:", "-H", "Content-Length: 4", url,
        ],
        input="body", capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "< HTTP/1.1 100 " in done.stderr
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"body"
    status, _ = exchange(url, "PUT", clients.ca, iter([b"by ", b"chunks"]))
    if status == requests.codes.ok:
        assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"by chunks"
    else:
        assert status == requests.codes.length_required
    s3.put_object(Bucket=bucket, Key="a", Body=io.BytesIO(PART), ChecksumAlgorithm="SHA256")
    assert s3.head_object(Bucket=bucket, Key="a")["ContentLength"] == len(PART)


def test_conditions_and_heads(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
    assert s3.head_object(Bucket=bucket, Key="a")["ETag"] == etag
    with pytest.raises(ClientError, match="304"):
        s3.get_object(Bucket=bucket, Key="a", IfNoneMatch=etag)
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=bucket, Key="b")
    s3.put_object(Bucket=bucket, Key="a", Body=b"0123456789")
    part = s3.get_object(Bucket=bucket, Key="a", Range="bytes=2-4")
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")


def test_much_metadata(s3, bucket):
    kept = {f"name-{number}": "x" * 100 for number in range(80)}
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata=kept)
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == kept


def test_keys_of_the_clients_own_need_tls_and_have_it(s3, bucket):
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", **key)
    assert s3.get_object(Bucket=bucket, Key="a", **key)["Body"].read() == b"x"
    with pytest.raises(ClientError, match="400"):
        s3.head_object(Bucket=bucket, Key="a")
