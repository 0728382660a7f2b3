"""What operators ask for: the cluster, its queues and clients in `cluster`, this unit's broker and jobs in `unit`."""
