"""A model is lost with all its machines; another one goes on with the database's backup, Keystone's keys and what is in S3."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from openinfra_model.devtools import pack
from tests.integration.clients import ERRORS, Clients
from tests.integration.site import Site
from tests.models import model
from tests.probes import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHARMS = ("certificates", "keystone", "memcached", "mysql", "s3")
OPTIONS = {
    "keystone": {"workers": 1},
    "mysql": {"buffer-pool-size": "128M"},
    "memcached": {"memory-limit": 64},
}
RELATIONS = [
    ["keystone:database", "mysql:database"],
    ["keystone:cache", "memcached:cache"],
    ["keystone:certificates", "certificates:certificates"],
    ["memcached:certificates", "certificates:certificates"],
    ["mysql:certificates", "certificates:certificates"],
    ["mysql:s3-parameters", "s3:s3-credentials"],
]
PASSWORD = "somebody's own password"
RESTORE_SECONDS = 600


@pytest.fixture
def archives(tmp_path) -> dict[str, Path]:
    """The charms, and the probe that tells of a bucket."""
    folder = lay_out(tmp_path / "site", *(name for name in CHARMS if name != "s3"))
    return {one.path.stem.removeprefix("openinfra-"): one.path for one in pack.pack(folder)}


@pytest.fixture
def bucket(cloud, clients) -> dict[str, dict[str, str]]:
    """A bucket in the deployed cloud, which outlives the models: the probe's options, and its keys."""
    keys, name = clients.object_keys, f"backups-{uuid.uuid4()}"
    clients.s3(cloud.objects_url, keys["access-key"], keys["secret-key"]).create_bucket(Bucket=name)
    ca = Path(clients.ca).read_text()
    return {"options": {"endpoint": cloud.objects_url, "bucket": name, "ca": ca}, "keys": keys}


@pytest.fixture
def deployed(request, archives, bucket, tmp_path) -> Callable[..., contextlib.AbstractContextManager[Site]]:
    """Return a function that deploys Keystone with all that it needs on one machine, gone with all data after the block."""
    option = request.config.getoption

    @contextlib.contextmanager
    def deployed(name: str, keys: dict[str, str] | None = None) -> Iterator[Site]:
        with model(name, option("--juju")) as juju:
            given = {key: bucket["keys"][key] for key in ("access-key", "secret-key")}
            secrets = {"s3": ("keys", juju.add_secret("bucket", given))}
            if keys:
                secrets["keystone"] = ("keys-secret", juju.add_secret("earlier-keys", keys))
            options = OPTIONS | {"s3": bucket["options"]}
            for application, (option_name, uri) in secrets.items():
                options[application] = {**options[application], option_name: str(uri)}
            file = tmp_path / f"{name}.yaml"
            file.write_text(yaml.safe_dump(bundle(archives, options)))
            juju.cli("deploy", str(file))
            for application, (_, uri) in secrets.items():
                juju.grant_secret(uri, application)
            site = Site(juju, Path(option("--lxd-dir")))
            site.settle(900)
            yield site

    return deployed


def bundle(archives: dict[str, Path], options: dict[str, dict]) -> dict:
    applications = {
        name: {"charm": str(archives[name]), "base": "ubuntu@24.04", "num_units": 1, "to": ["0"]}
        | {"options": options.get(name, {})}
        for name in CHARMS
    }
    return {"applications": applications, "machines": {"0": {"base": "ubuntu@24.04"}}, "relations": RELATIONS}


def keys_of(site: Site) -> dict[str, str]:
    """Return Keystone's keys as an operator saves them."""
    listed = json.loads(site.juju.cli("secrets", "--format", "json"))
    (uri,) = (uri for uri, one in listed.items() if (one["owner"], one.get("label")) == ("keystone", "keys"))
    shown = json.loads(site.juju.cli("show-secret", uri, "--reveal", "--format", "json"))
    return shown[uri]["content"]["Data"]


def wait_for(attempt: Callable[[], object]) -> None:
    """Try until it works."""
    limit = time.monotonic() + RESTORE_SECONDS
    while True:
        try:
            attempt()
        except ERRORS:
            assert time.monotonic() < limit, "it does not work"
            time.sleep(3)
        else:
            return


def test_a_new_model_goes_on_where_the_lost_one_was(deployed, tmp_path):
    somebody: dict[str, Any] = {"username": "somebody", "password": PASSWORD, "project_name": "of-then"}
    for name in ("then", "now"):
        (tmp_path / name).mkdir()
    with deployed("then") as site:
        people = Clients(site, tmp_path / "then")
        identity: Any = people.connect().identity
        project = identity.create_project(name="of-then", domain_id="default")
        user = identity.create_user(name="somebody", password=PASSWORD, domain_id="default")
        identity.assign_project_role_to_user(project, user, identity.find_role("member"))
        place = f"/users/{user.id}/credentials/OS-EC2"
        credential = identity.post(place, json={"tenant_id": project.id}).json()["credential"]
        token = people.connect(**somebody).authorize()
        site.wait_for_job("mysql/0", site.run("mysql/0", "create-backup")["job-id"])
        keys = keys_of(site)

    with deployed("now", keys) as site:
        backup = site.run("mysql/0", "list-backups")[-1]["backup"]
        site.run("mysql/0", "restore", backup=backup, confirm="mysql")
        people = Clients(site, tmp_path / "now")
        wait_for(lambda: people.connect(**somebody).authorize())
        site.settle()
        wait_for(lambda: people.connect().authorize())
        assert people.validates(token)
        (listed,) = people.connect().identity.get(place).json()["credentials"]
        assert (listed["access"], listed["secret"]) == (credential["access"], credential["secret"])
        identity = people.connect().identity
        assert {one.name for one in identity.projects()} >= {"admin", "services", "of-then"}
