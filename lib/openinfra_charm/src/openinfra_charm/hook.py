"""Where each hook and action begins."""

from __future__ import annotations

import logging

import ops


def main(charm_type: type[ops.CharmBase]) -> None:
    """Do what `ops.main` does, without debug messages.

    ops tells Juju's log in each hook that it runs, and for which event. Juju logs that by itself, and each message is a
    process: together a twentieth of a hook that has nothing to do. No charm of ours says anything at this level.
    """
    logging.disable(logging.DEBUG)
    ops.main(charm_type)
