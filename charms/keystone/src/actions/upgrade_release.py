"""Begin an upgrade."""

from openinfra_charm.upgrade_release import Params, run

__all__ = ["Params", "run"]
