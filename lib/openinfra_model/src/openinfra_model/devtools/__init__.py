"""What only developers run: packing charms, locking releases, drawing bundles. The engine imports nothing of it."""
