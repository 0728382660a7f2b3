"""The cloud as its users have it: openstacksdk, boto3 and SQL from this host, over TLS, with the CA that the model gives."""

from __future__ import annotations

import itertools
import socket
import threading
import time
import uuid
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import keystoneauth1.exceptions
import openstack.exceptions
import pymysql
import requests
import yaml
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from openstack.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .site import Site

SECONDS = 10
"""How long a client waits for an answer."""
BUCKET_SECONDS = 60
"""How long one waits for a new bucket."""
LOGIN_SECONDS = 3
"""How long one who logs in, or writes a row, waits before the next try: such an answer takes a fraction of it."""
OBJECT_SECONDS = 5
"""How long one who writes an object waits before the next try."""
VISIT_SECONDS = 0.5
"""How long one waits for a connection before the next try."""
CUT_SECONDS = 60
"""How long a machine is cut off."""
LIMITS = {"the address": 3, "tokens": 10, "rows": 15, "objects": 40}
"""How many seconds users may be without each service when the machine with the stable address is cut off."""
ERRORS = (
    OSError,
    pymysql.Error,
    keystoneauth1.exceptions.ClientException,
    openstack.exceptions.SDKException,
    requests.RequestException,
)
"""What a client sees while a service is away."""


class Clients:
    """What a user of the cloud has on this host: its CA, a `clouds.yaml`, and programs that use them."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder

    @cached_property
    def ca(self) -> str:
        """The path of the CA certificates to trust."""
        path = self._folder / "ca.pem"
        path.write_text(self._site.run(self._site.leader("certificates"), "get-ca")["ca"])
        return str(path)

    @cached_property
    def cloud(self) -> dict[str, Any]:
        """The cloud of the `clouds.yaml` that Keystone gives its administrator."""
        given = self._site.run(self._site.leader("keystone"), "openrc")
        (cloud,) = yaml.safe_load(given["clouds-yaml"])["clouds"].values()
        return cloud

    @property
    def token_request(self) -> dict[str, Any]:
        """What the administrator sends to /v3/auth/tokens."""
        auth = self.cloud["auth"]
        user = {
            "name": auth["username"],
            "password": auth["password"],
            "domain": {"name": auth["user_domain_name"]},
        }
        project = {"name": auth["project_name"], "domain": {"name": auth["project_domain_name"]}}
        identity = {"methods": ["password"], "password": {"user": user}}
        return {"auth": {"identity": identity, "scope": {"project": project}}}

    def connect(self, *, seconds: int = SECONDS, **auth: str) -> Connection:
        """Log in, as the administrator where nothing else is said."""
        cloud = {**self.cloud, "auth": self.cloud["auth"] | auth, "cacert": self.ca}
        return Connection(**cloud, api_timeout=seconds)

    def validates(self, token: str, url: str = "") -> bool:
        """Ask Keystone, or one unit of it by its own address, whether a token is valid."""
        answer = requests.get(
            f"{url or self.cloud['auth']['auth_url']}/auth/tokens",
            headers={"X-Auth-Token": token, "X-Subject-Token": token},
            verify=self.ca,
            timeout=SECONDS,
        )
        return answer.status_code == requests.codes.ok

    @cached_property
    def object_keys(self) -> dict[str, str]:
        """The keys of a user of the object gateways' own."""
        gateway = self._site.leader("ceph-rgw")
        return self._site.run(gateway, "create-user", name=f"writer-{uuid.uuid4().hex[:8]}")

    def s3(self, url: str, access: str, secret: str, *, seconds: int = SECONDS) -> Any:
        """Return boto3's client of an S3 endpoint."""
        config = Config(
            s3={"addressing_style": "path"},
            # Presigned URLs too; boto3 signs them by version 2 otherwise, with which a Keystone user's preflight is refused.
            signature_version="s3v4",
            connect_timeout=seconds,
            read_timeout=seconds,
            retries={"max_attempts": 0},
        )
        return boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            verify=self.ca,
            config=config,
        )

    def sql(self, endpoint: str, user: str, password: str, database: str) -> pymysql.Connection:
        """Log in to the database at `address:port`."""
        host, _, port = endpoint.rpartition(":")
        return pymysql.connect(
            host=host,
            port=int(port),
            user=user,
            password=password,
            database=database,
            ssl={"ca": self.ca},
            connect_timeout=LOGIN_SECONDS,
            read_timeout=LOGIN_SECONDS,
            write_timeout=LOGIN_SECONDS,
            autocommit=True,
        )


class Writer:
    """Writes numbered things one after the other from this host; remembers those that were acknowledged, and when."""

    def __init__(
        self,
        write: Callable[[int], object],
        *,
        errors: tuple[type[Exception], ...] = ERRORS,
        pause: float = 0.1,
    ) -> None:
        self._write, self._errors, self._pause = write, errors, pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self.acknowledged: list[int] = []
        self.times: list[float] = []
        self.refused = 0

    def _go_on(self) -> None:
        for number in itertools.count():
            if self._stop.wait(self._pause):
                return
            try:
                self._write(number)
            except self._errors:
                self.refused += 1
                continue
            self.acknowledged.append(number)
            self.times.append(time.monotonic())

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def longest_gap(self) -> float:
        """The longest time in seconds in which nothing was acknowledged."""
        return max((later - earlier for earlier, later in itertools.pairwise(self.times)), default=0.0)

    def wait_for(self, more: int, seconds: float) -> None:
        """Wait until so many more are acknowledged."""
        wanted, limit = len(self.acknowledged) + more, time.monotonic() + seconds
        while len(self.acknowledged) < wanted:
            assert self._thread.is_alive(), "the writer has come upon what it does not know; see the warnings"
            assert time.monotonic() < limit, f"nothing was acknowledged within {seconds} s"
            time.sleep(0.2)


@contextmanager
def writing(*writers: Writer) -> Iterator[None]:
    """Have writers write for as long as the block runs."""
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        for writer in writers:
            writer.stop()


class Rows(Writer):
    """Rows in a database that only tests use, written and read as a client of the stable endpoint."""

    def __init__(self, clients: Clients, site: Site) -> None:
        super().__init__(self._insert)
        self._run = str(uuid.uuid4())
        self._connect = lambda: clients.sql(f"{site.vip}:13306", "probe", self._run, "probe")
        self._connection: pymysql.Connection | None = None
        for statement in (
            "CREATE DATABASE IF NOT EXISTS probe",
            "CREATE TABLE IF NOT EXISTS probe.line (number INT, run CHAR(36), PRIMARY KEY (number, run))",
            f"CREATE OR REPLACE USER probe@'%' IDENTIFIED BY '{self._run}'",
            "GRANT ALL ON probe.* TO probe@'%'",
        ):
            site.sql(site.leader("mysql"), statement)

    def _insert(self, number: int) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            with self._connection.cursor() as cursor:
                cursor.execute("INSERT INTO line VALUES (%s, %s)", (number, self._run))
        except ERRORS:
            self._connection = None
            raise

    def kept(self) -> set[int]:
        """Return the numbers that the database has."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT number FROM line WHERE run = %s", (self._run,))
            return {number for (number,) in cursor.fetchall()}


class Bucket(Writer):
    """Objects in a bucket of its own, written and read at the stable address."""

    def __init__(self, clients: Clients, site: Site) -> None:
        super().__init__(self._put, errors=(*ERRORS, BotoCoreError, ClientError))
        keys = clients.object_keys
        self._s3 = clients.s3(
            site.objects_url, keys["access-key"], keys["secret-key"], seconds=OBJECT_SECONDS
        )
        self._name = f"bucket-{uuid.uuid4()}"
        # Gateways tell each other of a new bucket, and wait up to 30 s for one that was killed.
        clients.s3(
            site.objects_url, keys["access-key"], keys["secret-key"], seconds=BUCKET_SECONDS
        ).create_bucket(Bucket=self._name)

    def _put(self, number: int) -> None:
        self._s3.put_object(Bucket=self._name, Key=str(number), Body=str(number).encode())

    def kept(self) -> set[int]:
        """Return the numbers of the objects that are there and whole."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        whole = (
            key
            for key in keys
            if self._s3.get_object(Bucket=self._name, Key=key)["Body"].read() == key.encode()
        )
        return {int(key) for key in whole}


class Users:
    """People at work: one knocks at the stable address all the time, one logs in, one writes rows, one writes objects."""

    def __init__(self, clients: Clients, site: Site) -> None:
        self.visits = Writer(
            lambda _: socket.create_connection((site.vip, 5000), timeout=VISIT_SECONDS).close()
        )
        # Each costs both ends a good part of a processor's second.
        self.tokens = Writer(lambda _: clients.connect(seconds=LOGIN_SECONDS).authorize(), pause=0.5)
        self.rows = Rows(clients, site)
        self.objects = Bucket(clients, site)

    def all(self) -> tuple[Writer, ...]:
        return (self.visits, self.tokens, self.rows, self.objects)

    def wait(self) -> None:
        """Wait until each of them has been served a few times more."""
        for writer in self.all():
            writer.wait_for(3, 60)

    def endure(self, disturb: Callable[[], object]) -> dict[str, float]:
        """Have them work before, while and after something goes on; return the longest time in seconds that each was not served."""
        with writing(*self.all()):
            self.wait()
            disturb()
            self.wait()
        return {name: writer.longest_gap for name, writer in zip(LIMITS, self.all(), strict=True)}

    def endure_loss(self, site: Site) -> dict[str, float]:
        """Endure that the machine with the stable address is cut off, the one whose loss costs the most."""
        victim = site.first_gateway
        return self.endure(lambda: site.cut_off(victim, CUT_SECONDS))

    def verify(self) -> None:
        """Hold the cloud to what it has acknowledged."""
        for writer in (self.rows, self.objects):
            missing = set(writer.acknowledged) - writer.kept()
            assert not missing, f"acknowledged and lost: {sorted(missing)[:10]}"
