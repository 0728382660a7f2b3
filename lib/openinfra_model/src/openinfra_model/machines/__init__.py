"""The machines of a model: LXD system containers on this host."""
