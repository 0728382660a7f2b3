"""Take an upgrade back."""

from openinfra_charm.openstack.rollback_release import Params, run

__all__ = ["Params", "run"]
