"""Cinder's API with the configuration of this application: its own module reads the one at Cinder's default place, or what sys.argv names."""

import os
import sys

import openinfra_start

# What uWSGI has there is not for Cinder.
sys.argv = ["cinder-api", f"--config-file={os.environ['OPENINFRA_CONFIG']}"]
openinfra_start.wait_for_locks()

from cinder.wsgi.api import application  # noqa: E402, F401  it reads sys.argv and takes its place among the locks
