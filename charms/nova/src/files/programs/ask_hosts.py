"""What is done with hosts by the cloud's APIs: `python ask_hosts.py /etc/nova/nova.conf VERB VALUES`; values and answer are JSON."""

import json
import sys

from cloud import CONFLICT, NOT_FOUND, Cloud, RefusedError

OURS = "openinfra"
"""In the metadata of the aggregates that are made here."""
EVACUATED = ("ACTIVE", "SHUTOFF", "ERROR")
"""The states of servers that Nova can build anew elsewhere."""


def service_of(cloud, host):
    """Return the service nova-compute on a host; None where there is none."""
    found = cloud.ask("compute", "GET", f"/os-services?binary=nova-compute&host={host}")["services"]
    return found[0] if found else None


def zones(cloud, hosts):
    """Have each host in the aggregate of its zone, and in none of another one; return what cannot be done."""
    problems = []
    aggregates = [
        one
        for one in cloud.ask("compute", "GET", "/os-aggregates")["aggregates"]
        if one["metadata"].get(OURS) == "zone"
    ]
    by_zone = {one["metadata"]["availability_zone"]: one for one in aggregates}
    for zone in sorted(set(hosts.values()) - by_zone.keys()):
        body = {"aggregate": {"name": zone, "availability_zone": zone}}
        made = cloud.ask("compute", "POST", "/os-aggregates", body)["aggregate"]
        mark = {"set_metadata": {"metadata": {OURS: "zone"}}}
        cloud.ask("compute", "POST", f"/os-aggregates/{made['id']}/action", mark)
        by_zone[zone] = {**made, "hosts": []}
    for zone, aggregate in by_zone.items():
        wanted = {host for host, its in hosts.items() if its == zone}
        steps = [("remove_host", host) for host in aggregate["hosts"] if host in hosts and host not in wanted]
        steps += [("add_host", host) for host in sorted(wanted - set(aggregate["hosts"]))]
        # A host is in one zone at a time: first what goes.
        problems += _change(cloud, aggregate, [step for step in steps if step[0] == "remove_host"])
    for zone, aggregate in by_zone.items():
        wanted = {host for host, its in hosts.items() if its == zone}
        steps = [("add_host", host) for host in sorted(wanted - set(aggregate["hosts"]))]
        problems += _change(cloud, aggregate, steps)
    return problems


def _change(cloud, aggregate, steps):
    problems = []
    for verb, host in steps:
        try:
            cloud.ask("compute", "POST", f"/os-aggregates/{aggregate['id']}/action", {verb: {"host": host}})
        except RefusedError as error:
            # One that has servers stays in the zone that they were asked for in.
            problems.append(f"zone {aggregate['name']}: {verb} {host}: {error}")
    return problems


def remove(cloud, host):
    """Remove a dead host: its service, resource provider and mapping; return why not, empty if it is gone."""
    service = service_of(cloud, host)
    if service is None:
        return ""
    if service["state"] == "up":
        return "nova-compute is alive there"
    for aggregate in cloud.ask("compute", "GET", "/os-aggregates")["aggregates"]:
        if host in aggregate["hosts"]:
            path = f"/os-aggregates/{aggregate['id']}/action"
            cloud.ask("compute", "POST", path, {"remove_host": {"host": host}})
    try:
        cloud.ask("compute", "DELETE", f"/os-services/{service['id']}")
    except RefusedError as error:
        if error.status == CONFLICT:
            return f"it has servers: evacuate-host host={host}"
        if error.status != NOT_FOUND:
            raise
    return ""


def show(cloud):
    """Return all hosts: their services, what of each is allocated, and their agents."""
    services = cloud.ask("compute", "GET", "/os-services")["services"]
    nodes = cloud.ask("compute", "GET", "/os-hypervisors/detail")["hypervisors"]
    found = [
        {
            "host": one["host"], "service": one["binary"], "state": one["state"], "status": one["status"],
            "zone": one["zone"], "updated": one["updated_at"], "disabled-reason": one.get("disabled_reason") or "",
            "forced-down": one.get("forced_down", False),
        }
        for one in services
    ]  # fmt: skip
    allocations = {
        node["hypervisor_hostname"]: cloud.ask(
            "placement", "GET", f"/resource_providers/{node['id']}/usages"
        )["usages"]
        for node in nodes
    }
    try:
        agents = cloud.ask("network", "GET", "/v2.0/agents")["agents"]
    except (
        RefusedError
    ) as error:  # there may be no Neutron, or it may be down: the hosts are told all the same
        return {"services": found, "allocations": allocations, "agents": [], "problem": f"no agents: {error}"}
    told = [{"host": one["host"], "agent": one["binary"], "alive": one["alive"]} for one in agents]
    return {"services": found, "allocations": allocations, "agents": told, "problem": ""}


def servers(cloud, host):
    """Return the servers on a host, and how its service stands."""
    service = service_of(cloud, host)
    if service is None:
        return {"service": "", "state": "", "servers": []}
    found = cloud.ask("compute", "GET", f"/servers/detail?all_tenants=1&host={host}")["servers"]
    told = [
        {
            "id": one["id"],
            "name": one["name"],
            "status": one["status"],
            "task": one.get("OS-EXT-STS:task_state") or "",
        }
        for one in found
    ]
    state = "down" if service.get("forced_down") else service["state"]
    return {"service": service["id"], "state": state, "servers": told}


def force_down(cloud, service, reason):
    """Have Nova take a service for dead, and send no server there."""
    body = {"forced_down": True, "status": "disabled", "disabled_reason": reason}
    cloud.ask("compute", "PUT", f"/os-services/{service}", body)
    return ""


def evacuate(cloud, host):
    """Begin to build the servers of a host anew elsewhere, as far as that has not begun; return how each stands."""
    found = servers(cloud, host)["servers"]
    for server in found:
        if server["task"]:
            continue
        if server["status"] not in EVACUATED:
            server["problem"] = f"it is {server['status']}: reset its state, then try again"
            continue
        try:
            cloud.ask("compute", "POST", f"/servers/{server['id']}/action", {"evacuate": {}})
            server["task"] = "rebuilding"
        except RefusedError as error:
            server["problem"] = str(error)
    return found


VERBS = {
    "evacuate": evacuate,
    "force-down": force_down,
    "remove": remove,
    "servers": servers,
    "show": show,
    "zones": zones,
}


def main(config_path, verb, values):
    """Print the answer."""
    print(json.dumps(VERBS[verb](Cloud(config_path), **json.loads(values))))  # noqa: T201  it is a program


if __name__ == "__main__":
    main(*sys.argv[1:])
