"""What the charms of openinfra share; see DESIGN in the repository's docs."""
