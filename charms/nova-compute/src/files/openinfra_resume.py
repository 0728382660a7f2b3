"""Servers that ran when the machine stopped and could not be started with it: `python openinfra_resume.py CONFIG FOLDER MARK RECORD`.

nova-compute tries each once when it starts, and what fails is an error to it for ever. This waits until it is through, and has those started
again, with growing pauses. It runs once for each start of the machine, of which the file MARK tells, and leaves in RECORD those that
never came. Nothing here needs Juju.
"""

import datetime as dt
import json
import sys
import time
from pathlib import Path

ROUNDS = 10
FIRST_PAUSE, LONGEST_PAUSE = 20, 120
UP_SECONDS = 1800
RUNNING = 1
"""Nova's word for the state that a server was seen in last (nova.compute.power_state)."""


def ran_before(server, active):
    """Return whether a server ran when the machine stopped, as Nova knows it, and does not now."""
    is_lost = server["status"] == "ERROR" and server["power"] == RUNNING and not server["task"]
    return is_lost and server["instance"] not in active


def is_up(service, since):
    """Return whether nova-compute has reported since then: it does so when it is through with what ran before."""
    if not service or service["state"] != "up" or not service.get("updated_at"):
        return False
    reported = dt.datetime.fromisoformat(service["updated_at"].partition(".")[0])
    return reported.replace(tzinfo=dt.UTC).timestamp() > since


def resume(api, active, errors, sleep=time.sleep, now=time.time):
    """Have servers started again until all of them run; return those that do not come, or None where the API never answers.

    Args:
        api: The host in Nova's API.
        active: What returns the names of the guests that run.
        errors: What the API may raise.
        sleep: What waits.
        now: What tells the time.
    """
    since, limit = now(), now() + UP_SECONDS
    wanted, tried = {}, 0
    pause = FIRST_PAUSE
    while now() < limit or wanted:
        try:
            if not is_up(api.service(), since):
                sleep(FIRST_PAUSE)
                if now() >= limit:
                    return None
                continue
            servers = {one["id"]: one for one in api.servers()}
            running = active()
            wanted |= (
                {key: one for key, one in servers.items() if ran_before(one, running)} if not tried else {}
            )
            wanted = {
                key: one for key, one in wanted.items() if key in servers and one["instance"] not in running
            }
            if not wanted or tried == ROUNDS:
                return list(wanted.values())
            for key in wanted:
                if not servers[key]["task"]:
                    api.start_again(key)
            tried += 1
        except errors as error:
            sys.stderr.write(f"{error}\n")
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return None


def main(config_path, folder, mark, record):
    """Do it once for this start of the machine; return the exit code."""
    if Path(mark).exists():
        return 0
    sys.path.insert(0, folder)
    # The release tree's, and the module beside this one.
    import libvirt  # noqa: PLC0415
    import openinfra_compute  # noqa: PLC0415
    from keystoneauth1 import exceptions  # noqa: PLC0415

    def active():
        connection = libvirt.open("qemu:///system")
        names = {
            domain.name() for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        }
        connection.close()
        return names

    errors = (exceptions.ClientException, libvirt.libvirtError, LookupError)
    try:
        api = openinfra_compute.Api(config_path)
    except LookupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    left = resume(api, active, errors)
    if left is None:
        return 1
    names = [{"id": one["id"], "name": one["name"], "instance": one["instance"]} for one in left]
    beside = Path(f"{record}.new")
    beside.write_text(json.dumps(names), encoding="utf-8")
    beside.replace(record)
    Path(mark).touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
