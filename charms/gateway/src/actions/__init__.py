"""The charm's actions, one module each; `openinfra_charm.actions` runs them."""
