"""What takes longer than a hook may."""
