"""Show jobs."""

from openinfra_charm.daemon.show_job import Params, run

__all__ = ["Params", "run"]
