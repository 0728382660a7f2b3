#!/usr/bin/python3
"""Keep clients off this machine's broker while it is on the smaller side of a partition: rabbitmq-guard MEMBERS UNIT ADDRESS.

With its metadata in Khepri a broker goes on to serve there, and what clients ask for waits without end. MEMBERS is a file of the cluster's units, a line each,
UNIT this machine's, ADDRESS where clients reach it, as a term of Erlang. Here and in the charm, `rabbitmq-0` is the host of rabbitmq/0.
"""

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

METRICS = "http://127.0.0.1:15692/metrics"
PAUSE, ROUNDS = 5, 2
"""Seconds between two looks, and how many in a row have to be the same."""
SUSPEND = "ranch:suspend_listener({{acceptor, {}, 5671}}), rabbit_maintenance:close_all_client_connections()."
RESUME = "ranch:resume_listener({{acceptor, {}, 5671}})."


def has_majority(metrics, members, unit):
    """Return whether the broker is connected to most of the members."""
    names = set(members) | {unit}
    found = re.findall(r'^erlang_vm_dist_node_state\{peer="rabbit@([^"]+)"\} 3$', metrics, re.MULTILINE)
    connected = {host for host in found if host in {name.replace("/", "-") for name in names - {unit}}}
    return 2 * (len(connected) + 1) > len(names)


def decide(seen, suspended):
    """Return what to do after these looks, the last one at the end: SUSPEND, RESUME or nothing."""
    last = seen[-ROUNDS:]
    if len(last) < ROUNDS or len(set(last)) > 1:
        return ""
    if last[0]:
        return RESUME if suspended else ""
    return "" if suspended else SUSPEND


def look(members, unit):
    """Return whether the broker has a majority; one that does not answer is left alone."""
    try:
        with urllib.request.urlopen(METRICS, timeout=PAUSE) as answer:
            text = answer.read().decode()
        return has_majority(text, Path(members).read_text(encoding="utf-8").split(), unit)
    except (OSError, urllib.error.URLError):
        return None


def main(members, unit, address):
    """Look for ever. What was suspended when this program was started is found out by resuming it."""
    seen, suspended = [], True
    while True:
        found = look(members, unit)
        seen = [] if found is None else [*seen, found][-ROUNDS:]
        if todo := decide(seen, suspended) if seen else "":
            done = subprocess.run(["rabbitmqctl", "--silent", "eval", todo.format(address)], check=False)
            if done.returncode == 0:
                suspended = todo == SUSPEND
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:])
