"""The charm's actions, one module each; `openinfra_charm.model.actions` runs them."""
