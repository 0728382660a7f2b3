"""The agents of all chassis, as Neutron has them: `python openinfra_agents.py /etc/neutron/neutron.conf /run/neutron/api.sock list`.

A release tree's Python runs it, as Neutron's own user. `list` prints them as JSON; `delete HOST` removes those of a host, and prints which.
"""

import configparser
import http.client
import json
import socket
import sys

import openinfra_ask

PATH = "/v2.0/agents"
FINE = (200, 204)
SECONDS = 20


def ask(place, token, method, path):
    """Return what the process that listens on a socket answers."""
    connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(SECONDS)
    connection.sock.connect(place)
    connection.request(method, path, headers={"X-Auth-Token": token})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in FINE:
        sys.exit(f"{method} {path} is answered {answer.status}")
    return json.loads(text) if text else {}


def main(config_path, place, verb, host=""):
    """Do what is asked for; return the agents that it is about."""
    config = configparser.RawConfigParser(strict=False)
    config.read(config_path)
    token = openinfra_ask.token_of(config["keystone_authtoken"])
    # The first question has all chassis say that they are there.
    found = ask(place, token, "GET", PATH)["agents"]
    agents = [agent for agent in found if host in {"", agent["host"]}]
    for agent in agents if verb == "delete" else ():
        ask(place, token, "DELETE", f"{PATH}/{agent['id']}")
    return [
        {"host": one["host"], "kind": one["agent_type"], "alive": one["alive"], "id": one["id"]}
        for one in agents
    ]


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
