"""The driver agent: `python octavia_agent.py --config-file=/etc/octavia/octavia.conf`. It ends when one of its processes does.

Octavia's own goes on when a process that it has started is killed, and nobody does that one's work any more. Ended as a whole, all of it is
started again.
"""

import multiprocessing.connection
import os
import signal
import sys
import threading

import octavia_ovn  # noqa: F401  before the provider is set up
from octavia.cmd import driver_agent

_start_provider_agents = driver_agent._start_provider_agents  # noqa: SLF001  it has no other place for that


def _watch(processes):
    """End the agent as soon as one of these has ended."""
    ended = multiprocessing.connection.wait([process.sentinel for process in processes])
    names = [process.name for process in processes if process.sentinel in ended]
    sys.stderr.write(f"{', '.join(names)} has ended: the agent ends too\n")
    os.kill(os.getpid(), signal.SIGTERM)


def start_and_watch(exit_event):
    """Start the providers' agents, the last processes there are; from then on all are watched."""
    _start_provider_agents(exit_event)
    # It has their list only in a variable of its own.
    processes = [*driver_agent.multiproc.active_children()]
    threading.Thread(target=_watch, args=(processes,), daemon=True).start()


driver_agent._start_provider_agents = start_and_watch  # noqa: SLF001

if __name__ == "__main__":
    driver_agent.main()
