"""The charm's programs, which ask the cloud's APIs, against one that is played."""

import json
import re

import ask_hosts as hosts
import cells
import pytest
import samples
from cloud import CONFLICT, RefusedError


class Played:
    """APIs that keep what they are told; `refused` are requests that are refused, by a pattern."""

    def __init__(self):
        self.asked = []
        self.refused = {}
        self.services = [
            {
                "id": "s1",
                "host": "node-1",
                "binary": "nova-compute",
                "state": "down",
                "status": "enabled",
                "zone": "nova",
                "updated_at": "",
            }
        ]
        self.aggregates = []
        self.servers = []
        self.agents = [{"host": "node-1", "binary": "ovn-controller", "alive": False}]
        self.made = {"flavors": [], "networks": [], "subnets": [], "routers": [], "images": [], "ports": []}

    def ask(self, service, method, path, body=None, *, data=None, headers=None):
        self.asked.append(f"{method} {path}" if method != "GET" else path)
        for pattern, status in self.refused.items():
            if re.search(pattern, f"{method} {path}"):
                raise RefusedError(status, f"{method} {path}: {status}")
        return getattr(self, f"_{service}")(method, path, body, data)

    def _compute(self, method, path, body, _):  # noqa: C901, PLR0911  so many paths there are
        if path.startswith("/os-services?"):
            host = path.rpartition("=")[2]
            return {"services": [one for one in self.services if one["host"] == host]}
        if path == "/os-services":
            return {"services": self.services}
        if path == "/os-hypervisors/detail":
            return {"hypervisors": [{"id": "p1", "hypervisor_hostname": "node-1"}]}
        if path.startswith("/servers/detail"):
            return {"servers": self.servers}
        if path == "/os-aggregates" and method == "POST":
            made = {
                "id": len(self.aggregates),
                "name": body["aggregate"]["name"],
                "hosts": [],
                "metadata": {},
            }
            made["metadata"]["availability_zone"] = body["aggregate"]["availability_zone"]
            self.aggregates.append(made)
            return {"aggregate": made}
        if path == "/os-aggregates":
            return {"aggregates": self.aggregates}
        if found := re.fullmatch(r"/os-aggregates/(\d+)/action", path):
            aggregate = self.aggregates[int(found[1])]
            ((verb, values),) = body.items()
            if verb == "set_metadata":
                aggregate["metadata"] |= values["metadata"]
            elif verb == "add_host":
                aggregate["hosts"].append(values["host"])
            else:
                aggregate["hosts"].remove(values["host"])
            return None
        if path.startswith("/flavors"):
            return self._kept("flavors", "flavor", method, body)
        return None

    def _placement(self, *_):
        return {"usages": {"VCPU": 1}}

    def _identity(self, *_):
        return {"projects": [{"id": "project-1"}]}

    def _network(self, method, path, body, _):
        if path == "/v2.0/agents":
            return {"agents": self.agents}
        if "add_router_interface" in path:
            self.made["ports"].append({"device_id": path.split("/")[3]})
            return None
        kind = path.split("/")[2].partition("?")[0]
        answer = self._kept(kind, kind.removesuffix("s"), method, body, path)
        if kind == "subnets":
            network = next(one for one in self.made["networks"] if one["id"] == body["subnet"]["network_id"])
            network["subnets"].append("subnet-1")
        return answer

    def _kept(self, kind, one, method, body, path=""):
        if method == "POST":
            made = {
                **body[one],
                "id": f"{one}-{len(self.made[kind])}",
                **({"subnets": []} if kind == "networks" else {}),
            }
            self.made[kind].append(made)
            return {one: made}
        name = re.search(r"name=([^&]+)", path)
        return {kind: [it for it in self.made[kind] if not name or it["name"] == name[1]]}

    def _image(self, method, path, body, data):
        if path == "/v2/images":
            self.made["images"].append({**body, "id": "image-1", "status": "queued"})
            return self.made["images"][-1]
        if path.endswith("/stage"):
            self.made["images"][-1]["content"] = b"".join(data)
            return None
        if path.endswith("/import"):
            self.made["images"][-1]["status"] = "active"
            return None
        if path.startswith("/v2/images?"):
            return {"images": [one for one in self.made["images"] if one["status"] == "active"]}
        return self.made["images"][-1]


@pytest.fixture
def cloud():
    return Played()


def inside(cloud):
    return {one["name"]: one["hosts"] for one in cloud.aggregates}


def test_each_zone_has_an_aggregate_with_its_hosts(cloud):
    assert hosts.zones(cloud, {"node-1": "east", "node-2": "west"}) == []
    assert inside(cloud) == {"east": ["node-1"], "west": ["node-2"]}
    before = len([one for one in cloud.asked if one.startswith("POST")])
    assert hosts.zones(cloud, {"node-1": "east", "node-2": "west"}) == []
    assert len([one for one in cloud.asked if one.startswith("POST")]) == before


def test_a_host_goes_from_one_zone_to_another(cloud):
    hosts.zones(cloud, {"node-1": "east", "node-2": "west"})
    hosts.zones(cloud, {"node-1": "west", "node-2": "west"})
    assert inside(cloud) == {"east": [], "west": ["node-2", "node-1"]}


def test_an_operators_own_aggregates_are_left_alone(cloud):
    cloud.aggregates.append(
        {"id": 0, "name": "fast", "hosts": ["node-1"], "metadata": {"availability_zone": "fast"}}
    )
    hosts.zones(cloud, {"node-1": "east"})
    assert inside(cloud) == {"fast": ["node-1"], "east": ["node-1"]}


def test_a_host_that_cannot_change_its_zone_is_told(cloud):
    cloud.refused["action"] = CONFLICT
    cloud.aggregates.append(
        {"id": 0, "name": "east", "hosts": [], "metadata": {"availability_zone": "east", "openinfra": "zone"}}
    )
    (problem,) = hosts.zones(cloud, {"node-1": "east"})
    assert problem.startswith("zone east: add_host node-1")


def test_a_dead_host_is_removed_with_what_it_is_in(cloud):
    hosts.zones(cloud, {"node-1": "east"})
    assert hosts.remove(cloud, "node-1") == ""
    assert inside(cloud) == {"east": []}
    assert cloud.asked[-1] == "DELETE /os-services/s1"


def test_a_host_that_is_alive_or_has_servers_is_not_removed(cloud):
    cloud.services[0]["state"] = "up"
    assert "alive" in hosts.remove(cloud, "node-1")
    assert not [one for one in cloud.asked if one.startswith("DELETE")]
    cloud.services[0]["state"] = "down"
    cloud.refused["DELETE"] = CONFLICT
    assert "evacuate-host host=node-1" in hosts.remove(cloud, "node-1")


def test_a_host_that_is_gone_is_gone(cloud):
    assert hosts.remove(cloud, "node-7") == ""


def test_servers_are_evacuated_that_can_be_and_the_others_are_told(cloud):
    cloud.servers = [
        {"id": "a", "name": "web", "status": "ACTIVE", "OS-EXT-STS:task_state": None},
        {"id": "b", "name": "on its way", "status": "REBUILD", "OS-EXT-STS:task_state": "rebuilding"},
        {"id": "c", "name": "asleep", "status": "SUSPENDED", "OS-EXT-STS:task_state": None},
    ]
    found = {one["name"]: one for one in hosts.evacuate(cloud, "node-1")}
    assert [one for one in cloud.asked if one.startswith("POST")] == ["POST /servers/a/action"]
    assert found["web"]["task"] == "rebuilding"
    assert "SUSPENDED" in found["asleep"]["problem"]
    assert "problem" not in found["on its way"]


def test_hosts_are_shown_also_without_neutron(cloud):
    found = hosts.show(cloud)
    assert found["allocations"] == {"node-1": {"VCPU": 1}}
    assert found["agents"] == [{"host": "node-1", "agent": "ovn-controller", "alive": False}]
    cloud.refused["agents"] = 503
    found = hosts.show(cloud)
    assert found["services"][0]["host"] == "node-1"
    assert "no agents" in found["problem"]


# Samples


@pytest.fixture
def wanted(tmp_path):
    image = tmp_path / "image"
    image.write_bytes(b"QFI\xfb" + b"x" * 100)
    return {
        "image": str(image), "image-name": "debian", "project": "admin", "cidr": "192.168.100.0/24", "dns": ["9.9.9.9"],
        "physical-network": "physnet1",
        "external": {"cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "first": "10.0.0.200", "last": "10.0.0.220"},
    }  # fmt: skip


def test_samples_are_made_once(cloud, wanted):
    assert samples.Samples(cloud, wanted).missing() == samples.Samples(cloud, wanted).make()
    assert samples.Samples(cloud, wanted).missing() == []
    assert samples.Samples(cloud, wanted).make() == []
    assert {one["name"] for one in cloud.made["flavors"]} == set(samples.FLAVORS)
    external, private = cloud.made["networks"]
    assert external["router:external"] is True
    assert private["project_id"] == "project-1"
    assert cloud.made["subnets"][0]["allocation_pools"] == [{"start": "10.0.0.200", "end": "10.0.0.220"}]
    assert cloud.made["subnets"][1]["dns_nameservers"] == ["9.9.9.9"]
    assert cloud.made["routers"][0]["external_gateway_info"] == {"network_id": external["id"]}
    (image,) = cloud.made["images"]
    assert (image["disk_format"], image["status"], len(image["content"])) == ("qcow2", "active", 104)


def test_what_is_missing_makes_nothing(cloud, wanted):
    samples.Samples(cloud, wanted).missing()
    assert not [one for one in cloud.asked if one.startswith(("POST", "PUT"))]


def test_a_network_whose_making_was_interrupted_is_finished(cloud, wanted):
    cloud.refused["POST /v2.0/subnets"] = 503
    with pytest.raises(RefusedError):
        samples.Samples(cloud, wanted).make()
    cloud.refused.clear()
    samples.Samples(cloud, wanted).make()
    assert [one["name"] for one in cloud.made["networks"]] == ["external", "private"]


def test_without_an_image_or_an_external_network_there_is_none(cloud, wanted):
    del wanted["external"]
    samples.Samples(cloud, {**wanted, "image": ""}).make()
    assert cloud.made["images"] == []
    assert [one["name"] for one in cloud.made["networks"]] == ["private"]
    assert "external_gateway_info" not in cloud.made["routers"][0]


def test_an_answer_is_json(cloud):
    assert json.loads(json.dumps(hosts.show(cloud)))


# Cells


@pytest.mark.parametrize(
    ("url", "template"),
    [
        ("rabbit://r-1:p%40@10.0.0.5:5671/nova", "{scheme}://{username}:{password}@10.0.0.5:5671/{path}"),
        (
            "rabbit://r-1:p@10.0.0.5:5671,r-1:p@[fd00::6]:5671/nova",
            "{scheme}://{username1}:{password1}@10.0.0.5:5671,{username1}:{password1}@[fd00::6]:5671/{path}",
        ),
        (
            "mysql+pymysql://c:p%2F1@[fd00::5]:3306/nova?charset=utf8mb4&ssl_ca=/etc/nova/database-ca.pem",
            "{scheme}://{username}:{password}@[fd00::5]:3306/{path}?{query}",
        ),
    ],
)
def test_what_nova_has_of_its_cell_has_places_and_no_password(url, template):
    assert cells.template_of(url) == template
