"""Time limits for the caches of an OpenStack API, in its own process.

oslo.cache's backend that speaks TLS (`dogpile.cache.pymemcache`) passes no time limits on to pymemcache, whatever its options say:
a cache whose machine is cut off would hold each request until TCP gives up, after minutes. Its ring of servers can do better, so
the backend gets one that does.
"""

from pymemcache.client import hash as ring

SECONDS = 0.3
"""How long a cache may take to answer. A service keeps several clients, and each of them finds out for itself."""
DEAD_SECONDS = 30
"""How long one that did not is left alone."""


class PromptClient(ring.HashClient):
    """A ring of caches whose members answer at once; one that does not is passed over, as if it had nothing."""

    def __init__(self, servers, **options):
        options |= {"connect_timeout": SECONDS, "timeout": SECONDS, "dead_timeout": DEAD_SECONDS}
        super().__init__(servers, **options | {"retry_attempts": 0, "ignore_exc": True})


ring.HashClient = PromptClient
