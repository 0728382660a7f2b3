"""Stands in for bcrypt in the Ceph manager, whose sub-interpreters cannot load the real one (PyO3).

Only the dashboard's password check would call it; importing it must work for any module to load.
"""


def hashpw(password: bytes, salt: bytes) -> bytes:
    """Refuse: there is no hashing here."""
    raise NotImplementedError("bcrypt cannot be loaded in this release's Ceph manager")


def gensalt(rounds: int = 12, prefix: bytes = b"2b") -> bytes:
    """Refuse: there is no hashing here."""
    raise NotImplementedError("bcrypt cannot be loaded in this release's Ceph manager")
