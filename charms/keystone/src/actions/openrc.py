"""Show a clouds.yaml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import accounts
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import KeystoneCharm

CLOUDS = """\
# Save it as ~/.config/openstack/clouds.yaml (mode 0600), and below as the file that `cacert` names: {ca_file}
# Then, for one: openstack --os-cloud {cloud} token issue
clouds:
  {cloud}:
    auth:
      auth_url: {url}
      username: {username}
      password: {password}
      project_name: admin
      user_domain_name: Default
      project_domain_name: Default
    region_name: {region}
    identity_api_version: 3
    cacert: {ca_file}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The name of the cloud in the file."""

    cloud: str = "openinfra"


def run(charm: KeystoneCharm, params: Params) -> Outcome:
    """Tell how the administrator reaches the cloud: the file, and the CA certificates that it names.

    Raises:
        ActionError: There is no user yet.
    """
    content = accounts.administrator(charm)
    clouds = CLOUDS.format(
        cloud=params.cloud,
        url=charm.url,
        username=content["username"],
        # JSON's strings are YAML's too, whatever is in them.
        password=json.dumps(content["password"]),
        region=charm.settings.region,
        ca_file="openinfra-ca.pem",
    )
    ca = charm.machine.read(charm.keystone.tls.ca_path) or ""
    return Outcome(
        summary=f"Keystone at {charm.url}, region {charm.settings.region}",
        texts={"clouds-yaml": clouds, "ca": ca},
    )
