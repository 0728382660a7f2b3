"""Show how a job stands."""

from openinfra_charm.daemon.show_job import Params, run

__all__ = ["Params", "run"]
