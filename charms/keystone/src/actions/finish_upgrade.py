"""End an upgrade."""

from openinfra_charm.finish_upgrade import Params, run

__all__ = ["Params", "run"]
