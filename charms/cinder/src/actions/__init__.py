"""Cinder's own actions; those that all APIs have are in `openinfra_charm.openstack.actions`."""
