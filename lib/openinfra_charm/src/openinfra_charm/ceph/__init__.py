"""What charms share whose daemons work with a Ceph cluster."""
