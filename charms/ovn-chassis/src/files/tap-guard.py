"""Opens again what Open vSwitch reads from no more, and sets guests' interfaces up: tap-guard.py [SOCKET].

Where Open vSwitch forwards by itself it keeps reading from an interface that is gone when another one of the same name comes (a guest that is restored,
resumed or plugged in again), for ever, and its database says that all is well. What it reads from is promiscuous; a new interface is not. An interface is
opened again when it is to have another number in its bridge: its record stays, so OVN keeps the port bound.

It needs only Python itself, and runs without Juju. The kernel's messages about interfaces wake it.
"""

import json
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

SOCKET = "/run/openvswitch/db.sock"
LINKS = Path("/sys/class/net")
UP, PROMISCUOUS = 0x1, 0x100
"""Flags of an interface (linux/if.h)."""
LINK_MESSAGES = 1
"""The kernel's group of messages about interfaces (linux/rtnetlink.h: RTMGRP_LINK)."""
MOST_PORT = 0xFEFF
"""The highest number that a port of a bridge can have; above it are those with a meaning, as that of the bridge itself (OpenFlow: OFPP_MAX)."""
PAUSE, SOON = 5, 0.5
"""Seconds until the next look where nothing wakes it, and where something is not settled."""
WHOLE = 60
"""Seconds after which the database is read although no interface has changed."""
AGAIN = 10
"""Seconds until what did not help is tried again."""
TIMEOUT = 5
QUERY = (
    {"op": "select", "table": "Bridge", "where": [["datapath_type", "==", "netdev"]], "columns": ["name", "ports"]},
    {"op": "select", "table": "Port", "where": [], "columns": ["_uuid", "interfaces"]},
    {
        "op": "select",
        "table": "Interface",
        "where": [],
        "columns": ["_uuid", "name", "type", "ofport", "ofport_request", "error", "external_ids"],
    },
)  # fmt: skip


class DatabaseError(Exception):
    """Open vSwitch's database does not do what it was asked for."""


def transact(path, *operations):
    """Have the database carry operations out; return what each has given (RFC 7047, section 4.1.3).

    Raises:
        DatabaseError: It refuses one.
        OSError: It does not answer.
    """
    request = {"method": "transact", "params": ["Open_vSwitch", *operations], "id": 0}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(path)
        connection.sendall(json.dumps(request).encode())
        answer = b""
        while True:
            part = connection.recv(1 << 16)
            if not part:
                raise DatabaseError("the connection ended")
            answer += part
            try:
                given = json.loads(answer)
            except ValueError:
                continue
            break
    if given.get("error"):
        raise DatabaseError(str(given["error"]))
    for one in given["result"]:
        if one and one.get("error"):
            raise DatabaseError(f"{one['error']}: {one.get('details', '')}")
    return given["result"]


def members(value):
    """Return what is in a set of the database's: one of one member is written as that."""
    return value[1] if isinstance(value, list) and value[:1] == ["set"] else [value]


def ports(rows):
    """Return the interfaces of the machine in bridges for which Open vSwitch itself forwards, each with the numbers that its bridge has."""
    bridges, ports_of, interfaces = ([*one["rows"]] for one in rows)
    by_id = {row["_uuid"][1]: row for row in interfaces}
    inside = {row["_uuid"][1]: [one[1] for one in members(row["interfaces"])] for row in ports_of}
    found = []
    for bridge in bridges:
        rows_here = [
            by_id[one]
            for port in members(bridge["ports"])
            for one in inside.get(port[1], [])
            if one in by_id
        ]
        taken = {
            number
            for row in rows_here
            for column in ("ofport", "ofport_request")
            for number in members(row[column])
        }
        for row in rows_here:
            number = members(row["ofport"])
            found.append(
                {
                    "name": row["name"],
                    "id": row["_uuid"],
                    "ours": row["type"] in {"", "system"},
                    "number": number[0] if number else None,
                    "failed": bool(members(row["error"])),
                    "guest": any(key == "iface-id" for key, _ in row["external_ids"][1]),
                    "taken": taken,
                }
            )
    return [one for one in found if one["ours"]]


def unused(taken):
    """Return a number that no port of a bridge has: the next one, or the highest that is free."""
    after = max((number for number in taken if number <= MOST_PORT), default=0) + 1
    if after <= MOST_PORT:
        return after
    return next(number for number in range(MOST_PORT, 0, -1) if number not in taken)


def decide(links, interfaces):
    """Return what is to be opened again, what is to be set up, and whether the next look has to come soon.

    Args:
        links: The kernel's interfaces: their numbers and flags, by name.
        interfaces: Open vSwitch's, as `ports` gives them.
    """
    stale, down, unsettled = [], [], False
    for one in interfaces:
        if one["name"] not in links or one["failed"]:
            # Open vSwitch opens by itself what it could not open before.
            continue
        index, flags = links[one["name"]]
        if one["number"] is None:
            unsettled = True
            continue
        if not flags & PROMISCUOUS:
            stale.append({**one, "index": index})
        if one["guest"] and not flags & UP:
            down.append(one)
    return stale, down, unsettled


def read_links():
    """Return the number and the flags of each interface that the kernel has."""
    found = {}
    for folder in LINKS.iterdir():
        try:
            number, flags = ((folder / name).read_text(encoding="ascii") for name in ("ifindex", "flags"))
        except OSError:  # it has just gone, or is no interface
            continue
        found[folder.name] = (int(number), int(flags, 16))
    return found


class Guard:
    """Looks, and does what is to be done. `say` is told of it."""

    def __init__(self, path, say=print):
        self._path = path
        self._say = say
        self._settled = None
        """What could be wrong, as it was when nothing was."""
        self._read_at = -WHOLE
        self._tried = {}
        """When each of the kernel's interfaces was opened again last."""

    def look(self, now):
        """Look once; return after how many seconds to look again at the latest."""
        before = read_links()
        suspects = {
            name: one for name, one in before.items() if one[1] & (UP | PROMISCUOUS) != UP | PROMISCUOUS
        }
        if suspects == self._settled and now - self._read_at < WHOLE:
            return PAUSE
        interfaces = ports(transact(self._path, *QUERY))
        self._read_at = now
        # Asked after the database: an interface that has a number there has been opened before.
        stale, down, unsettled = decide(read_links(), interfaces)
        for one in down:
            self._set_up(one)
        waiting = [one for one in stale if not self._reopen(one, now)]
        if stale or down or unsettled:
            self._settled = None
            return AGAIN if waiting == stale and not unsettled and not down else SOON
        self._settled = suspects
        return PAUSE

    def _set_up(self, one):
        self._say(f"{one['name']} is down: it is set up")
        done = subprocess.run(["ip", "link", "set", "dev", one["name"], "up"], check=False)
        if done.returncode:
            self._say(f"{one['name']} stays down")

    def _reopen(self, one, now):
        """Have Open vSwitch open an interface again; return whether it was asked to."""
        if now - self._tried.get(one["index"], -AGAIN) < AGAIN:
            return False
        self._tried = {index: at for index, at in self._tried.items() if now - at < AGAIN}
        self._tried[one["index"]] = now
        wanted = unused(one["taken"])
        one["taken"].add(wanted)
        where = [["_uuid", "==", one["id"]]]
        self._say(f"{one['name']} is another interface than the one that Open vSwitch reads from: it is opened again, as port {wanted}")
        transact(
            self._path,
            {"op": "wait", "timeout": 0, "table": "Interface", "where": where, "columns": ["ofport"], "until": "==", "rows": [{"ofport": one["number"]}]},
            {"op": "update", "table": "Interface", "where": where, "row": {"ofport_request": wanted}},
        )  # fmt: skip
        return True


def listen():
    """Return a socket on which the kernel tells of interfaces."""
    messages = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    messages.bind((0, LINK_MESSAGES))
    return messages


def drain(messages):
    """Read what there is; that there was something is all that counts, so what was lost does no harm."""
    while True:
        try:
            messages.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            continue


def main(path=SOCKET):
    """Look for ever."""
    messages, guard = listen(), Guard(path, lambda words: print(words, flush=True))
    seconds, complained = 0, ""
    while True:
        if select.select([messages], [], [], seconds)[0]:
            drain(messages)
            # A guest's interface is made, put into its bridge and set up within moments.
            time.sleep(SOON)
        try:
            seconds, problem = guard.look(time.monotonic()), ""
        except (OSError, DatabaseError, ValueError) as error:
            seconds, problem = PAUSE, f"Open vSwitch's database: {error}"
        if problem != complained:
            complained = problem
            print(problem or "Open vSwitch's database answers", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
