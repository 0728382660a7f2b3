"""Conformance with a real Juju: recorded scenarios, played on the engine."""
