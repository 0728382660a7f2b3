"""Show jobs."""

from openinfra_charm.show_job import Params, run

__all__ = ["Params", "run"]
