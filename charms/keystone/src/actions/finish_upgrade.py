"""End an upgrade."""

from openinfra_charm.openstack.finish_upgrade import Params, run

__all__ = ["Params", "run"]
