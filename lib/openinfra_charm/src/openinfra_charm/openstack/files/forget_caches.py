"""Empty all caches that a keystone.conf names: `python forget_caches.py /etc/keystone/keystone.conf`.

It runs with the Python of Keystone's release tree. A cache that does not answer is as good as empty: it is left alone.
"""

import configparser
import contextlib
import ssl
import sys

from pymemcache.client.base import Client
from pymemcache.client.hash import normalize_server_spec
from pymemcache.exceptions import MemcacheUnexpectedCloseError

SECONDS = 2

config = configparser.RawConfigParser(strict=False)
config.read(sys.argv[1])
cache = config["cache"]
tls = None
if cache.getboolean("tls_enabled", fallback=False):
    tls = ssl.create_default_context(cafile=cache["tls_cafile"])
for server in cache.get("memcache_servers", fallback="").split(","):
    if server:
        place = normalize_server_spec(server)
        with contextlib.suppress(OSError, MemcacheUnexpectedCloseError):
            Client(place, connect_timeout=SECONDS, timeout=SECONDS, tls_context=tls).flush_all(noreply=False)
