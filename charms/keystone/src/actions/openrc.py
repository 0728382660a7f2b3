"""Show a clouds.yaml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    url, region = charm.accounts.url, charm.service.options.region
    content = charm.accounts.administrator()
    clouds = CLOUDS.format(
        cloud=params.cloud,
        url=url,
        username=content["username"],
        # JSON's strings are YAML's too, whatever is in them.
        password=json.dumps(content["password"]),
        region=region,
        ca_file="openinfra-ca.pem",
    )
    ca = charm.service.machine.read(charm.service.workload.tls.ca_path) or ""
    return Outcome(
        summary=f"Keystone at {url}, region {region}",
        texts={"clouds-yaml": clouds, "ca": ca},
    )
