"""A computer whose power can really be cut: a QEMU guest, its disk, and what was on that disk at any moment."""
