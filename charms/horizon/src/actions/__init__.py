"""One module for each action."""
