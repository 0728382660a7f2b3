"""Begin an upgrade."""

from openinfra_charm.openstack.upgrade_release import Params, run

__all__ = ["Params", "run"]
