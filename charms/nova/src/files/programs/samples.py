"""A first network, router, external network, flavors and image: `python samples.py /etc/nova/nova.conf VERB WANTED`; WANTED is JSON.

`missing` prints what would be made, `make` makes it and prints what it was. What is there under the same name is left as it is.
"""

import contextlib
import json
import sys
import time
import urllib.parse
from pathlib import Path

from cloud import Cloud

FLAVORS = {
    "nano": (1, 128, 1),
    "tiny": (1, 512, 5),
    "small": (1, 2048, 20),
    "medium": (2, 4096, 40),
    "large": (4, 8192, 80),
}
"""Virtual processors, MiB of memory, GiB of disk."""
EXTERNAL, NETWORK, ROUTER = "external", "private", "router"
MAGIC = b"QFI\xfb"
"""How an image of the format qcow2 begins."""
CHUNK = 1 << 20
PAUSE, MOST_SECONDS = 3, 3600


class Samples:
    """What is to be there, by what it is called: each is looked up, and made where it is not there."""

    def __init__(self, cloud, wanted):
        self._cloud = cloud
        self._wanted = wanted

    def steps(self):
        """Yield for each thing what it is, how it is looked up, and how it is made, in an order in which they can be."""
        for name, sizes in FLAVORS.items():
            yield (
                f"flavor {name}",
                lambda name=name: self._flavor(name),
                lambda name=name, sizes=sizes: self._make_flavor(name, *sizes),
            )
        if external := self._wanted.get("external"):
            yield (
                f"network {EXTERNAL}",
                lambda: self._network(EXTERNAL),
                lambda: self._make_external(external),
            )
        yield f"network {NETWORK}", lambda: self._network(NETWORK), self._make_network
        yield f"router {ROUTER}", self._router, self._make_router
        if self._wanted["image"]:
            name = self._wanted["image-name"]
            yield f"image {name}", lambda: self._image(name), lambda: self._make_image(name)

    def missing(self):
        """Return what is not there."""
        return [what for what, find, _ in self.steps() if not find()]

    def make(self):
        """Make what is not there; return what it was."""
        made = []
        for what, find, make in self.steps():
            if not find():
                make()
                made.append(what)
        return made

    # Flavors

    def _flavor(self, name):
        found = self._cloud.ask("compute", "GET", "/flavors?is_public=None")["flavors"]
        return next((one for one in found if one["name"] == name), None)

    def _make_flavor(self, name, cores, memory, disk):
        body = {"flavor": {"name": name, "vcpus": cores, "ram": memory, "disk": disk}}
        self._cloud.ask("compute", "POST", "/flavors", body)

    # Networks

    def _project(self):
        name = self._wanted["project"]
        found = self._cloud.ask("identity", "GET", f"/projects?name={urllib.parse.quote(name)}")["projects"]
        if not found:
            raise SystemExit(f"project={name}: Keystone has no such project")
        return found[0]["id"]

    def _one(self, kind, name):
        # Of any project: a name that is taken is there.
        found = self._cloud.ask("network", "GET", f"/v2.0/{kind}?name={name}")[kind]
        return found[0] if found else None

    def _network(self, name):
        """Return a network; one without a subnet, at which this was interrupted, is not there."""
        found = self._one("networks", name)
        return found if found and found["subnets"] else None

    def _make_external(self, external):
        network = self._one("networks", EXTERNAL) or self._cloud.ask(
            "network", "POST", "/v2.0/networks",
            {"network": {
                "name": EXTERNAL, "router:external": True, "provider:network_type": "flat",
                "provider:physical_network": self._wanted["physical-network"],
            }},
        )["network"]  # fmt: skip
        subnet = {
            "name": EXTERNAL, "network_id": network["id"], "ip_version": _version(external["cidr"]), "cidr": external["cidr"],
            "gateway_ip": external["gateway"], "enable_dhcp": False,
            "allocation_pools": [{"start": external["first"], "end": external["last"]}],
        }  # fmt: skip
        self._cloud.ask("network", "POST", "/v2.0/subnets", {"subnet": subnet})

    def _make_network(self):
        project = self._project()
        network = self._one("networks", NETWORK) or self._cloud.ask(
            "network", "POST", "/v2.0/networks", {"network": {"name": NETWORK, "project_id": project}}
        )["network"]  # fmt: skip
        cidr, names = self._wanted["cidr"], self._wanted["dns"]
        subnet = {
            "name": NETWORK, "network_id": network["id"], "project_id": project, "ip_version": _version(cidr), "cidr": cidr,
            **({"dns_nameservers": names} if names else {}),
        }  # fmt: skip
        self._cloud.ask("network", "POST", "/v2.0/subnets", {"subnet": subnet})

    def _router(self):
        """Return the router; one that is not in the network is not there."""
        router = self._one("routers", ROUTER)
        path = f"/v2.0/ports?device_id={router['id']}&device_owner=network:router_interface" if router else ""
        return router if router and self._cloud.ask("network", "GET", path)["ports"] else None

    def _make_router(self):
        external = self._network(EXTERNAL)
        gateway = {"external_gateway_info": {"network_id": external["id"]}} if external else {}
        body = {"router": {"name": ROUTER, "project_id": self._project(), **gateway}}
        router = (
            self._one("routers", ROUTER)
            or self._cloud.ask("network", "POST", "/v2.0/routers", body)["router"]
        )
        subnet = self._network(NETWORK)["subnets"][0]
        path = f"/v2.0/routers/{router['id']}/add_router_interface"
        self._cloud.ask("network", "PUT", path, {"subnet_id": subnet})

    # Image

    def _image(self, name):
        found = self._cloud.ask("image", "GET", f"/v2/images?name={urllib.parse.quote(name)}&status=active")[
            "images"
        ]
        return found[0] if found else None

    def _make_image(self, name):
        with _opened(self._wanted["image"]) as source:
            first = source.read(CHUNK)
            kind = "qcow2" if first.startswith(MAGIC) else "raw"
            body = {"name": name, "disk_format": kind, "container_format": "bare", "visibility": "public"}
            image = self._cloud.ask("image", "POST", "/v2/images", body)
            path = f"/v2/images/{image['id']}"
            self._cloud.ask(
                "image", "PUT", f"{path}/stage", data=_chunks(first, source),
                headers={"Content-Type": "application/octet-stream"},
            )  # fmt: skip
        # An import makes it raw where the store is one that copies on write.
        self._cloud.ask("image", "POST", f"{path}/import", {"method": {"name": "glance-direct"}})
        limit = time.time() + MOST_SECONDS
        while (state := self._cloud.ask("image", "GET", path)["status"]) != "active":
            if state in {"killed", "deleted", "queued"} or time.time() > limit:
                raise SystemExit(f"the image {name} is {state}: see the journal of glance-api")
            time.sleep(PAUSE)


def _version(cidr):
    return 6 if ":" in cidr else 4


def _opened(place):
    """Return a file, or what a URL leads to, to be read."""
    if place.startswith("/"):
        return Path(place).open("rb")
    import requests  # noqa: PLC0415  tests read files

    answer = requests.get(place, stream=True, timeout=30)
    answer.raise_for_status()
    answer.raw.decode_content = True
    return contextlib.closing(answer.raw)


def _chunks(first, source):
    while first:
        yield first
        first = source.read(CHUNK)


def main(config_path, verb, wanted):
    """Print what was made, or would be."""
    samples = Samples(Cloud(config_path), json.loads(wanted))
    print(json.dumps({"missing": samples.missing, "make": samples.make}[verb]()))  # noqa: T201  it is a program


if __name__ == "__main__":
    main(*sys.argv[1:])
