"""The driver agent: `python octavia_agent.py --config-file=/etc/octavia/octavia.conf`. It ends when one of its processes does.

Octavia's own goes on when a process that it has started is killed, and nobody does that one's work any more. Ended as a whole, all of it is
started again.
"""

import multiprocessing.connection
import os
import sys
import threading

import octavia_ovn  # noqa: F401  before the provider is set up
from octavia.cmd import driver_agent

_start_provider_agents = driver_agent._start_provider_agents  # noqa: SLF001  it has no other place for that


def _watch(exit_event, processes):
    """End the agent as soon as one of these has ended that was not told to.

    It cannot be told as usual: one that was killed leaves the event behind as if it waited for it, and who sets it waits for ever.
    """
    ended = multiprocessing.connection.wait([process.sentinel for process in processes])
    if exit_event.is_set():
        return
    names = [process.name for process in processes if process.sentinel in ended]
    sys.stderr.write(f"{', '.join(names)} has ended: the agent ends too\n")
    for process in processes:
        process.terminate()
    os._exit(1)


def start_and_watch(exit_event):
    """Start the providers' agents, the last processes there are; from then on all are watched."""
    _start_provider_agents(exit_event)
    # It has their list only in a variable of its own.
    processes = driver_agent.multiproc.active_children()
    threading.Thread(target=_watch, args=(exit_event, processes), daemon=True).start()


driver_agent._start_provider_agents = start_and_watch  # noqa: SLF001

if __name__ == "__main__":
    driver_agent.main()
