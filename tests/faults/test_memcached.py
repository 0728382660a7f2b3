"""Caches die while people work."""


def test_a_killed_cache_comes_back_by_itself(kill):
    kill("memcached", "memcached.service")
