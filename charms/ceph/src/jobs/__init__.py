"""Work on disks and machines that takes longer than a hook may."""
