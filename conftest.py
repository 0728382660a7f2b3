"""What the suites of all charms and packages share."""

from __future__ import annotations

import importlib.util

# Suites that play with no examples are run without Hypothesis.
if importlib.util.find_spec("hypothesis"):
    from hypothesis import settings

    # How long an example takes is a matter of what else the machine does, and no reason to fail.
    settings.register_profile("openinfra", deadline=None)
    settings.load_profile("openinfra")
