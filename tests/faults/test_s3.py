"""S3 as people use it, by a user of Keystone and by one of the object gateways' own; README of ceph-rgw has what works."""

from __future__ import annotations

import json
import uuid
from typing import Any

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


def test_a_policy_by_the_clients_address(s3, bucket):
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*",
                "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
            }
        ],
    }  # fmt: skip
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"
