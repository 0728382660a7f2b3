"""The charm's actions; `openinfra_charm.model.actions` runs them."""
