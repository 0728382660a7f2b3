"""Where each hook and action begins."""

from __future__ import annotations

import logging
import os

import ops


def main(charm_type: type[ops.CharmBase]) -> None:
    """Do what `ops.main` does, but for what each hook can do without.

    ops tells Juju's log in each hook that it runs, and for which event. Juju logs that by itself, and each message is a
    process: together a twentieth of a hook that has nothing to do. No charm of ours says anything at this level.

    A unit that joins a relation is not looked at yet: Juju runs `relation-changed` for the same unit right after
    `relation-joined` (https://documentation.ubuntu.com/juju/latest/reference/hook/), and among three units of each
    application the two together are most of a deployment's hooks.
    """
    if os.environ.get("JUJU_DISPATCH_PATH", "").endswith("-relation-joined"):
        return
    logging.disable(logging.DEBUG)
    ops.main(charm_type)
