"""Programs for the guest; `steps` is the host's too."""
