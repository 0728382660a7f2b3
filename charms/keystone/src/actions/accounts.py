"""The administrator's password, and how it reaches the cloud."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from admin import RefusedError, UnreachableError
from openinfra_charm.model.actions import Outcome, failing_on, require_leader

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
    interface: {interface}
    identity_api_version: 3
    image_api_version: 2
    network_api_version: 2
    volume_api_version: 3
    cacert: {ca_file}
"""
SHELL = """\
# Save it (mode 0600) and read it in: . ./openrc. Below is the file that OS_CACERT names.
export OS_AUTH_TYPE=password
export OS_AUTH_URL={url}
export OS_USERNAME={username}
export OS_PASSWORD={password}
export OS_PROJECT_NAME=admin
export OS_USER_DOMAIN_NAME=Default
export OS_PROJECT_DOMAIN_NAME=Default
export OS_REGION_NAME={region}
export OS_INTERFACE={interface}
export OS_ENDPOINT_TYPE={interface}URL
export OS_IDENTITY_API_VERSION=3
export OS_IMAGE_API_VERSION=2
export OS_VOLUME_API_VERSION=3
export OS_CACERT=$PWD/{ca_file}
"""


def get_admin_password(charm: KeystoneCharm) -> Outcome:
    """Show the user's name and password.

    Raises:
        ActionError: There is no user yet.
    """
    content = charm.accounts.administrator()
    return Outcome(summary=f"the password of {content['username']} is {content['password']}", result=content)


def rotate_admin_password(charm: KeystoneCharm) -> Outcome:
    """Change the password in place, and have it in the secret.

    A user of Keystone has one password; a second user would be another name in what people have written down. Nothing of
    ours uses this one: the charm and the services have users of their own. Keystone ends the user's tokens.

    Raises:
        ActionError: This is not the leader, or Keystone cannot be reached.
    """
    require_leader(charm, "rotate-admin-password")
    charm.accounts.administrator()
    with failing_on(UnreachableError, RefusedError, words=f"{{}}; see the status of {charm.unit.name}"):
        charm.accounts.rotate_administrator()
    return Outcome(summary="admin has a new password: get-admin-password, openrc")


def openrc(charm: KeystoneCharm, *, cloud: str = "openinfra", interface: str = "public") -> Outcome:
    """Show how the administrator reaches the cloud: the file, and the CA certificates that it names.

    Raises:
        ActionError: There is no user yet.
    """
    url = charm.accounts.url if interface == "public" else charm.accounts.internal_url
    region = charm.service.options.region
    content = charm.accounts.administrator()
    clouds = CLOUDS.format(
        cloud=cloud,
        url=url,
        username=content["username"],
        # JSON's strings are YAML's too, whatever is in them.
        password=json.dumps(content["password"]),
        region=region,
        interface=interface,
        ca_file="openinfra-ca.pem",
    )
    shell = SHELL.format(
        url=url,
        username=content["username"],
        password=shlex.quote(content["password"]),
        region=region,
        interface=interface,
        ca_file="openinfra-ca.pem",
    )
    ca = charm.service.machine.read(charm.service.workload.tls.ca_path) or ""
    return Outcome(
        summary=f"Keystone at {url}, region {region}",
        texts={"clouds-yaml": clouds, "openrc": shell, "ca": ca},
    )
