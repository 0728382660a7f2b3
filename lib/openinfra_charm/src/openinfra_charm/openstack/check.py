"""The checks that `host` runs before a machine stops and after it has started; they need no Juju."""

from __future__ import annotations

import sys

from openinfra_charm import machine as machines
from openinfra_charm.daemon.services import Services
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.openstack.api import Api
from openinfra_charm.values import bracketed


def main(kind: str, application: str, port: str = "", *others: str) -> int:
    """Print why it is not safe, or not done, and return 1; or return 0.

    Args:
        kind: `safe-to-stop` or `after-start`.
        application: The application.
        port: Where the fronts of all units listen; empty where there is no API: no other unit does what this one does.
        others: The addresses of the other units.
    """
    machine = machines.this()
    api = Api(machine, application)
    if kind == "safe-to-stop":
        if not port:
            return 0
        places = [f"https://{bracketed(other)}:{port}" for other in others]
        why = api.why_not_to_stop(places, ca_path=Certificate(machine, application).ca_path)
    else:
        down = (f"{unit} does not run" for unit in Services(machine, application).failed())
        why = "" if api.paused else (api.problem() if port else "") or next(down, "")
    sys.stdout.write(f"{why}\n" if why else "")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
