"""Work that takes longer than an action may, one module each; `openinfra_charm.daemon.job` runs them."""
