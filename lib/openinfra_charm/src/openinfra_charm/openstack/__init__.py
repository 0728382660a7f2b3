"""What the charms of OpenStack's services have in common; each of them holds what it needs of it.

- `api`: the process that serves an API (uWSGI from the service's own release tree), on a unix socket behind
  `openinfra_charm.daemon.front`.
- `oslo`: the parts of a configuration file that all services write alike.

A charm holds a `Description` of its service; what only one service has stays in its charm.
"""
