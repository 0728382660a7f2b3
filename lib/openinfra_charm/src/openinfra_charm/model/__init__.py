"""What a charm learns from Juju's model and says there: relations, secrets, addresses, actions, statuses."""
