"""Work on backups that takes longer than a hook may."""
