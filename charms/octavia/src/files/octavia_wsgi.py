"""Octavia's API in uWSGI: it reads its configuration's place from the command line, of which it has none there.

It starts without a provider that cannot be set up, and serves without it until it is started again. Here it does not start then.
"""

import os
import sys

import octavia_ovn  # noqa: F401  before the provider is set up

sys.argv = ["octavia-api", f"--config-file={os.environ['OPENINFRA_CONFIG']}"]

from octavia.wsgi.api import application  # noqa: E402, F401
from oslo_config import cfg  # noqa: E402

if "ovn" not in cfg.CONF.api_settings.enabled_provider_drivers:
    raise RuntimeError("the provider ovn could not be set up: see above")
