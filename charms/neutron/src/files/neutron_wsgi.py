"""Neutron's API in uWSGI: by when that was started a process knows which of those that share OVN's events are left over from before.

Neutron finds it in an option of uWSGI's configuration files, `start-time=%t`; there is no such option for the command line.
"""

import uwsgi

uwsgi.opt["start-time"] = str(uwsgi.started_on).encode()

from neutron.wsgi.api import application  # noqa: E402, F401  it looks at the option
