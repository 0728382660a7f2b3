#!/usr/bin/python3
"""Restart this machine's broker when a partition has left it over: rabbitmq-rejoin UNIT.

With its metadata in Mnesia the smaller side of a partition pauses itself (`pause_minority`), once it has noticed that it is alone. A cut that ends
just then is noticed by nobody in time: nodes are lost and found in the same moment, and each side goes on without the other for ever.
RabbitMQ's documentation says to restart the nodes of all sides but one. Not every node logs that there is a partition (seen: the larger side
alone), so those that this one does not run with are asked themselves.
Here and in the charm, `rabbitmq-0` is the host of rabbitmq/0.
"""

import json
import os
import re
import selectors
import subprocess
import sys
import time
import urllib.error
import urllib.request

METRICS = "http://127.0.0.1:15692/metrics"
BROKER = "rabbitmq-server.service"
WORDS = "inconsistent_database|rabbit on node .* down"
"""What a node logs that loses another one."""
FOLLOW = ("journalctl", "--follow", "--lines=0", "--output=cat", f"--unit={BROKER}", f"--grep={WORDS}")
SETTLE = 10
"""Seconds until a partition counts, and between two looks that have to be the same: most end by themselves."""
AT_LEAST = 600
"""Seconds after which it is looked without a word in the log."""
MOST = 1 << 20


def connected(metrics):
    """Return the nodes that the broker's machine is connected to, whether it runs together with them or not."""
    return set(re.findall(r'^erlang_vm_dist_node_state\{peer="(rabbit@[^"]+)"\} 3$', metrics, re.MULTILINE))


def is_left_over(views, node):
    """Return whether a node has to be restarted: others run without it, and it is not on the side that stays.

    That is the larger one of those that answer; of two halves, the one with the first name.

    Args:
        views: Of each node that answers, those that it runs with, itself among them.
        node: The node.
    """
    side = views[node] & views.keys()
    if not any(other in view and node not in view for other, view in views.items() if other not in side):
        return False
    if 2 * len(side) == len(views):
        return min(views) not in side
    return 2 * len(side) < len(views)


def running(node):
    """Return the nodes that a node runs with; None where it does not answer."""
    ran = subprocess.run(
        ["rabbitmqctl", "--silent", f"--node={node}", "--formatter=json", "cluster_status"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return set(json.loads(ran.stdout)["running_nodes"]) if ran.returncode == 0 else None


def look(node):
    """Return whether this machine's broker is left over now; one that does not answer is not."""
    own = running(node)
    if own is None:
        return False
    try:
        with urllib.request.urlopen(METRICS, timeout=SETTLE) as answer:
            alive = connected(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return False
    # Those that it runs with see the same, as far as it matters here.
    views = {node: own, **dict.fromkeys(own, own)}
    for other in sorted(alive - own):
        if (view := running(other)) is not None:
            views[other] = view
    return is_left_over(views, node)


def heal(node):
    """Restart the broker if it is left over, and is so a while later."""
    if not look(node):
        return
    time.sleep(SETTLE)
    if look(node):
        sys.stdout.write(f"{node} was left over from a partition, and is restarted\n")
        sys.stdout.flush()
        subprocess.run(["systemctl", "restart", BROKER], check=False)


def main(unit):
    """Look when this program starts, when a node was lost, and now and then; for ever."""
    node = f"rabbit@{unit.replace('/', '-')}"
    said, end = os.pipe()
    with subprocess.Popen(FOLLOW, stdout=end) as log, selectors.DefaultSelector() as ready:
        os.close(end)
        ready.register(said, selectors.EVENT_READ)
        while log.poll() is None:
            heal(node)
            if ready.select(AT_LEAST):
                time.sleep(SETTLE)
                # All that was said meanwhile is looked at together.
                os.read(said, MOST)


if __name__ == "__main__":
    main(*sys.argv[1:])
