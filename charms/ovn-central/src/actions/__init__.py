"""What operators ask for: the clusters in `cluster`, this unit's daemons in `unit`."""
