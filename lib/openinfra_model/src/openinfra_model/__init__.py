"""A Juju-compatible model on one machine, with the tools that pack charms and check bundles."""

# The Juju whose behaviour the engine has.
JUJU_VERSION = "4.0.15"
