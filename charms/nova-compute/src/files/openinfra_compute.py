"""This host and its servers in Nova's API, as the service's own user: `python openinfra_compute.py CONFIG COMMAND [ARGUMENT ...]`.

The user is that of the section `service_user` of nova.conf. What is found is printed as JSON. The exit code is 1, with the reason as the last
line, where the API does not do it.
"""

import configparser
import json
import sys

from keystoneauth1 import adapter, exceptions, session
from keystoneauth1.identity import v3

SECONDS = 15
OPTIONS = ("auth_url", "username", "password", "user_domain_name", "project_name", "project_domain_name")
VERSION = "2.94"
"""Of the API: with it an evacuated server that ran is started."""
STAYS_OFF = "2.95"
"""With it an evacuated server is left shut off."""
PLACEMENT = "1.28"


class Api:
    """Nova and Placement, asked about one host."""

    def __init__(self, config_path):
        config = configparser.RawConfigParser(strict=False, default_section="")
        config.read(config_path)
        # oslo.config would read a single dollar as a reference.
        options = {key: value.replace("$$", "$") for key, value in config["service_user"].items()}
        self.host = config["DEFAULT"]["host"]
        user = v3.Password(**{name: options[name] for name in OPTIONS})
        known = session.Session(auth=user, verify=options["cafile"], timeout=SECONDS)
        place = {"interface": "internal", "region_name": options["region_name"]}
        self.nova = adapter.Adapter(known, service_type="compute", default_microversion=VERSION, **place)
        self.placement = adapter.Adapter(
            known, service_type="placement", default_microversion=PLACEMENT, **place
        )

    def service(self):
        """Return the host's service, None where Nova has none."""
        found = self.nova.get("/os-services", params={"host": self.host, "binary": "nova-compute"}).json()
        return next(iter(found["services"]), None)

    def _set(self, **values):
        service = self.service()
        if service is None:
            raise LookupError(f"Nova knows no nova-compute on {self.host}")
        return self.nova.put(f"/os-services/{service['id']}", json=values).json()["service"]

    def disable(self, reason):
        """Have the scheduler pass the host over."""
        return self._set(status="disabled", disabled_reason=reason[:255])

    def enable(self):
        """Have the scheduler use the host."""
        return self._set(status="enabled", forced_down=False)

    def give_up(self):
        """Tell Nova that the host is down for good, so that servers may be given to others."""
        return self._set(forced_down=True)

    def servers(self):
        """Return the host's servers."""
        found, marker = [], {}
        while True:
            asked = {"all_tenants": "1", "host": self.host, "limit": "500", **marker}
            page = self.nova.get("/servers/detail", params=asked).json()["servers"]
            found += [
                {
                    "id": one["id"],
                    "name": one["name"],
                    "status": one["status"],
                    "task": one.get("OS-EXT-STS:task_state"),
                    "power": one.get("OS-EXT-STS:power_state"),
                    "instance": one.get("OS-EXT-SRV-ATTR:instance_name"),
                }
                for one in page
            ]
            if not page:
                return found
            marker = {"marker": page[-1]["id"]}

    def live_migrate(self, server):
        """Begin to move a server that runs to another host."""
        body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
        self.nova.post(f"/servers/{server}/action", json=body)

    def evacuate(self, server):
        """Give a server of a host that is down to another one; it stays shut off."""
        self.nova.post(f"/servers/{server}/action", json={"evacuate": {}}, microversion=STAYS_OFF)

    def why_not_moved(self, server):
        """Return what Nova says of a server's last action, empty where it says nothing."""
        actions = self.nova.get(f"/servers/{server}/os-instance-actions").json()["instanceActions"]
        for one in actions[:1]:
            path = f"/servers/{server}/os-instance-actions/{one['request_id']}"
            events = self.nova.get(path).json()["instanceAction"].get("events", [])
            details = [event.get("details") or event.get("traceback") for event in events]
            said = [line for line in details if line]
            return " ".join((said[0] if said else one.get("message") or "").split())[-200:]
        return ""

    def start_again(self, server):
        """Start a server that could not be started with its machine."""
        self.nova.post(f"/servers/{server}/action", json={"os-resetState": {"state": "active"}})
        self.nova.post(f"/servers/{server}/action", json={"reboot": {"type": "HARD"}})

    def delete(self, provider):
        """Take the host out of Nova and Placement; return what is left of it."""
        service = self.service()
        if service is not None:
            self.nova.delete(f"/os-services/{service['id']}")
        left = []
        found = self.placement.get("/resource_providers", params={"uuid": provider}) if provider else None
        for one in found.json()["resource_providers"] if found else ():
            held = self.placement.get(f"/resource_providers/{one['uuid']}/allocations").json()["allocations"]
            if held:
                left += sorted(held)
            else:
                self.placement.delete(f"/resource_providers/{one['uuid']}")
        return left


def main(config_path, command, *arguments):
    """Carry a command out; return why it could not be, empty if it was."""
    try:
        found = getattr(Api(config_path), command.replace("-", "_"))(*arguments)
    except (exceptions.ClientException, LookupError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    sys.stdout.write(f"{json.dumps(found)}\n")
    return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
