"""A module that the agent may import."""
