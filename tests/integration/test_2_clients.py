"""The cloud used from outside, over TLS with the CA that it names: identity, objects by two protocols, files."""

import uuid

import botocore.exceptions
import pytest
import requests

FORBIDDEN = {401, 403}


@pytest.fixture(scope="module")
def connection(clients):
    return clients.connect()


@pytest.fixture
def credential(connection):
    """EC2 credentials of the administrator's, as S3 clients have them; Keystone keeps them."""
    user, project = connection.current_user_id, connection.current_project_id
    made = connection.identity.post(f"/users/{user}/credentials/OS-EC2", json={"tenant_id": project})
    credential = made.json()["credential"]
    yield credential
    connection.identity.delete(f"/users/{user}/credentials/OS-EC2/{credential['access']}")


@pytest.fixture
def bucket(clients, cloud, credential):
    """A bucket of its own for each test."""
    s3 = clients.s3(cloud.objects_url, credential["access"], credential["secret"])
    name = f"test-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name)
    yield s3, name
    for entry in s3.list_objects_v2(Bucket=name).get("Contents", ()):
        s3.delete_object(Bucket=name, Key=entry["Key"])
    s3.delete_bucket(Bucket=name)


def test_a_token_is_issued_and_valid_on_every_unit(clients, cloud, connection):
    assert clients.cloud["auth"]["auth_url"] == f"https://{cloud.vip}:5000/v3"
    token = connection.authorize()
    for unit in cloud.units("keystone"):
        assert clients.validates(token, f"https://{cloud.address(unit)}:15000/v3"), unit
    assert not clients.validates(token[:-6] + "forged")


def test_nobody_gets_a_token_with_a_wrong_password(clients):
    with pytest.raises(Exception, match="401"):
        clients.connect(password="wrong").authorize()


def test_strangers_lock_the_administrator_out_of_nothing_and_are_told_of(clients, cloud):
    """The option lockout-failures is 10; other users are locked out after as many."""
    for _ in range(11):
        with pytest.raises(Exception, match="401"):
            clients.connect(password="wrong").authorize()
    assert clients.connect().authorize()
    failures = 'journalctl --unit keystone-api --since -5min | grep -c \'identity.authenticate.*"outcome": "failure"\' || true'
    assert sum(int(cloud.shell(unit, failures)) for unit in cloud.units("keystone")) > 10


def test_names_have_any_characters(connection):
    name = f"Café 😀 {uuid.uuid4()}"
    project = connection.identity.create_project(name=name, domain_id="default")
    assert connection.identity.get_project(project.id).name == name
    connection.identity.delete_project(project)


def test_the_catalogue_names_the_gateway(cloud, connection):
    urls = {endpoint.url for endpoint in connection.identity.endpoints()}
    assert f"https://{cloud.vip}:5000/v3" in urls
    assert {f"https://{cloud.vip}:7480/swift/v1/AUTH_%(project_id)s"} <= urls


def test_who_does_not_know_the_ca_is_warned(clients):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(clients.cloud["auth"]["auth_url"], timeout=10)


def test_an_object_is_the_same_by_s3_and_by_swift(bucket, connection):
    s3, name = bucket
    content = bytes(range(256)) * 4096
    s3.put_object(Bucket=name, Key="thing", Body=content)
    by_swift = connection.object_store.download_object("thing", container=name)
    assert by_swift == content

    connection.object_store.upload_object(container=name, name="other", data=content[::-1])
    assert s3.get_object(Bucket=name, Key="other")["Body"].read() == content[::-1]


def test_a_large_object_comes_in_parts(bucket):
    s3, name = bucket
    part = b"openinfra" * 700_000
    upload = s3.create_multipart_upload(Bucket=name, Key="large")["UploadId"]
    etags = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(Bucket=name, Key="large", UploadId=upload, PartNumber=number, Body=part)[
                "ETag"
            ],
        }
        for number in (1, 2)
    ]
    s3.complete_multipart_upload(Bucket=name, Key="large", UploadId=upload, MultipartUpload={"Parts": etags})
    assert s3.get_object(Bucket=name, Key="large")["Body"].read() == part * 2


def test_without_a_key_nothing_is_read(clients, cloud, bucket, connection):
    s3, name = bucket
    s3.put_object(Bucket=name, Key="thing", Body=b"mine")
    # Who is nobody's has to say whose bucket he means.
    url = f"{cloud.objects_url}/{connection.current_project_id}:{name}/thing"
    answer = requests.get(url, verify=clients.ca, timeout=10)
    assert answer.status_code in FORBIDDEN


def test_a_deleted_key_is_of_no_use(connection, clients, cloud):
    user, project = connection.current_user_id, connection.current_project_id
    made = connection.identity.post(f"/users/{user}/credentials/OS-EC2", json={"tenant_id": project})
    credential = made.json()["credential"]
    s3 = clients.s3(cloud.objects_url, credential["access"], credential["secret"])
    assert isinstance(s3.list_buckets()["Buckets"], list)

    connection.identity.delete(f"/users/{user}/credentials/OS-EC2/{credential['access']}")

    with pytest.raises(botocore.exceptions.ClientError) as refused:
        s3.list_buckets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in FORBIDDEN


def test_a_user_of_the_gateways_own_needs_no_keystone(clients, cloud):
    name = f"user-{uuid.uuid4().hex[:8]}"
    keys = cloud.run(cloud.leader("ceph-rgw"), "create-user", name=name)
    s3 = clients.s3(cloud.objects_url, keys["access-key"], keys["secret-key"])
    assert s3.list_buckets()["Buckets"] == []
    cloud.run(cloud.leader("ceph-rgw"), "delete-user", name=name, dry_run=False)
    with pytest.raises(botocore.exceptions.ClientError):
        s3.list_buckets()


def test_a_file_is_seen_on_two_machines(cloud):
    name = f"volume-{uuid.uuid4().hex[:8]}"
    cloud.run("ceph-fs/0", "create-volume", name=name)
    access = cloud.run("ceph-fs/0", "authorize", volume=name, client=name)
    first, second = cloud.units("ceph-fs")[:2]
    for unit in (first, second):
        cloud.mount(unit, access, "/mnt/volume")
    try:
        cloud.shell(first, "echo hello > /mnt/volume/greeting && sync /mnt/volume/greeting")
        assert cloud.shell(second, "cat /mnt/volume/greeting") == "hello\n"
    finally:
        for unit in (first, second):
            cloud.unmount(unit, "/mnt/volume")


def test_the_database_is_spoken_to_over_tls_only(clients, cloud):
    (owner,) = cloud.sql(
        cloud.leader("mysql"), "SELECT COUNT(*) FROM mysql.user WHERE user LIKE 'relation-%'"
    )[0]
    assert int(owner) >= 1
    refused = cloud.shell(
        cloud.leader("mysql"),
        f"mariadb --no-defaults --skip-ssl --host={cloud.vip} --port=13306 --user=nobody 2>&1",
        check=False,
    )
    assert "ERROR 3159" in refused, refused
