"""Ask Cinder's API of this machine as its own user: `python openinfra_cinder.py CONFIG SOCKET VERB [JSON]`, with a release tree's Python.

`services` prints all services, JSON; `clean` has others finish the work of the host that it is given; `make-type` makes a volume type, and what
limits it. The exit code is 1, with the reason as the last line, where that is refused.
"""

import configparser
import http.client
import json
import socket
import sys

from keystoneauth1 import exceptions
from openinfra_ask import token_of

SECONDS = 15
CLEANUP = "volume 3.24"
"""The first version of the API that has the work of others cleaned up."""


class RefusedError(Exception):
    """The API refuses a request; the message is its own."""


class Api:
    """Cinder's API on a socket of this machine, asked with one token."""

    def __init__(self, place, token):
        self._place = place
        self._token = token

    def ask(self, method, path, body=None, version="volume 3.0"):
        """Return the answer to a request, decoded."""
        connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(SECONDS)
        connection.sock.connect(self._place)
        headers = {
            "X-Auth-Token": self._token,
            "Content-Type": "application/json",
            "OpenStack-API-Version": version,
        }
        connection.request(method, f"/v3{path}", None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise RefusedError(f"{method} {path} is answered {answer.status}: {' '.join(text.split())[:200]}")
        return json.loads(text) if text.strip() else {}


def services(api, _given):
    """Return all services that have ever reported."""
    found = api.ask("GET", "/os-services")["services"]
    return [
        {key: one.get(key) for key in ("binary", "host", "zone", "status", "state", "updated_at")}
        for one in found
    ]


def clean(api, given):
    """Have others finish, or give up, what the services of a host have begun."""
    for one in services(api, {}):
        if one["host"].split("@")[0] == given["host"] and one["binary"] in {
            "cinder-volume",
            "cinder-scheduler",
        }:
            body = {"host": one["host"], "binary": one["binary"]}
            api.ask("POST", "/workers/cleanup", body, CLEANUP)


def make_type(api, given):
    """Make a volume type, with what limits its volumes in guests."""
    name = given["name"]
    if any(one["name"] == name for one in api.ask("GET", "/types?is_public=none")["volume_types"]):
        raise RefusedError(f"there is a volume type {name} already")
    limits = given["limits"]
    if limits and any(one["name"] == name for one in api.ask("GET", "/qos-specs")["qos_specs"]):
        raise RefusedError(f"there are QoS specifications {name} already")
    body = {
        "name": name,
        "description": given["description"],
        "os-volume-type-access:is_public": given["public"],
    }
    made = api.ask("POST", "/types", {"volume_type": {**body, "extra_specs": given["properties"]}})[
        "volume_type"
    ]
    if limits:
        specs = api.ask(
            "POST", "/qos-specs", {"qos_specs": {"name": name, "consumer": "front-end", **limits}}
        )["qos_specs"]
        api.ask("GET", f"/qos-specs/{specs['id']}/associate?vol_type_id={made['id']}")
    return {"id": made["id"]}


VERBS = {"services": services, "clean": clean, "make-type": make_type}


def main(config_path, place, verb, given="{}"):
    """Do what is asked, print the result, and return the reason where that cannot be done."""
    config = configparser.RawConfigParser(strict=False)
    config.read(config_path)
    try:
        api = Api(place, token_of(config["keystone_authtoken"]))
        sys.stdout.write(f"{json.dumps(VERBS[verb](api, json.loads(given)))}\n")
    except exceptions.ClientException as error:
        return f"Keystone gives its user no token: {error}"
    except (RefusedError, OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
