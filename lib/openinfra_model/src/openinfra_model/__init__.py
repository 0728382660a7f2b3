"""A Juju-compatible model on one machine, with the tools that pack charms and check bundles."""
