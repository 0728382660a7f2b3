"""What tells one OpenStack service from another, as data; `openinfra_charm.openstack.service.Service` makes a charm of it.

In the texts of commands, environments and sandboxes `{application}`, `{etc}`, `{lib}`, `{modules}` and `{config}` are the application's name, its
folder of configuration, the folder that its processes may write, that of the modules in `files/`, and its configuration file. `{certificate}`
is the file with the unit's certificate and its key, `{ca}` that of the CA certificates. Templates have all of them, and the unit's `address`.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon.front import API
from openinfra_charm.model.options import check, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from openinfra_charm.daemon.front import Limits
    from openinfra_charm.openstack.needs import Need

    Command = tuple[str, ...]

_MOST_WORKERS = 64
_REGION = re.compile(r"[A-Za-z0-9._-]{1,255}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """Where an API is reached: at the gateway (`public`), at each unit (`backend`), and there by the gateway (`proxied`).

    A connection from the gateway begins with the client's address (PROXY protocol).
    """

    public: int
    backend: int
    proxied: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FurtherApi:
    """One more API of a service: a process `<application>-<name>`, with a front and, at the endpoint `gateway-<name>`, a route of its own.

    It has the configuration and the environment of the first one, but for what `environment` says otherwise.
    """

    name: str
    ports: Ports
    wsgi: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    internal: bool = False
    """Whether it is for services only: the gateway does not serve it in the clients' network, where it has another one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listener:
    """Where a process serves clients by itself, with the unit's certificate: at the gateway (`public`), and at each unit (`backend`).

    The gateway's endpoint is `gateway-<name>`.
    """

    public: int
    backend: int
    health: str = ""
    """The path that answers 200; without one, that it takes connections is enough."""
    timeout: int = 0
    """Seconds without traffic after which the gateway ends a connection; 0: as it does all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """Commands of the release tree that change the database's schema. All of them can be repeated.

    `sync` makes it, or brings it to the release in use. An upgrade runs `expand` with the new release before the first unit
    switches, and `contract` when the operator has finished it.
    """

    sync: tuple[Command, ...]
    expand: tuple[Command, ...]
    contract: tuple[Command, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process beside the API, the unit `<application>-<name>.service`. `command` begins with a program of the release tree.

    With `in_turn` units of the application restart it one after the other, as they do the API; without it a unit restarts it as soon as
    it runs with something older. `stop_seconds` is how long it may take to end its work. It starts after the units that `after` names,
    where these start too, and stops before them. `first` is a command that has to end well before each start, within a few seconds: what
    is not there yet makes it fail, and it is tried again. With `only_with` it is there as long as the need of that name has been given something.

    `sandbox` is what its unit's section Service has otherwise than `openinfra_charm.openstack.sandbox` has it, in systemd's words:
    `{"PrivateDevices": "no", "CapabilityBoundingSet": "CAP_NET_ADMIN", "KillMode": "process", "RestartSec": "5"}`.
    """

    name: str
    command: Command
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    in_turn: bool = True
    stop_seconds: int = 30
    after: tuple[str, ...] = ()
    first: Command = ()
    sandbox: Mapping[str, str] = field(default_factory=dict[str, str])
    listener: Listener | None = None
    only_with: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogued:
    """A service in Keystone's catalogue; `path` follows the API's address in its URLs: `/v2.1`."""

    name: str
    type: str
    description: str = ""
    path: str = ""


def _source() -> Path:
    """Return the folder of the charm's own code: that of its module `charm`, which a hook runs as a program."""
    spec = importlib.util.find_spec("charm")
    if spec is None or not spec.origin:
        raise ModuleNotFoundError("a Spec is made in a charm, beside its charm.py")
    return Path(spec.origin).parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """An OpenStack API, or a service that consists of processes only (agents), and what belongs to it.

    Beside charm.py there are `templates/`, `releases/` (the locks that `./openinfra relock` makes) and, where the service has them,
    `files/`: `policy.yaml`, and Python modules that the API's process imports. One called `openinfra_health` says by its `problem()` why
    the service cannot do its work; without it, that is asked of the database.
    """

    name: str
    templates: tuple[str, ...]
    """Configuration files, `/etc/<application>/<name without .j2>`; the first is the one that commands are given (`{config}`)."""
    ports: Ports | None = None
    wsgi: str = ""
    """The API: `module:application`. A service without one has neither ports nor a place in the catalogue."""
    user: str = ""
    """Who runs it: `root`, or a user of its own, called like the application."""
    schema: Schema | None = None
    needs: tuple[Need, ...] = ()
    apis: tuple[FurtherApi, ...] = ()
    """Those besides `wsgi`."""
    processes: tuple[Process, ...] = ()
    catalogue: tuple[Catalogued, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """That of the API's process."""
    uwsgi: Mapping[str, str | int | bool] = field(default_factory=dict[str, "str | int | bool"])
    """More options of the uWSGI that it runs in, by their names without dashes: `{"start-time": "%t", "honour-range": True}`."""
    limits: Limits = API
    """Those of the front: `TRANSFERS` where bodies are large, with `reuses=False`."""
    title: str = ""
    """What the service is called in statuses."""
    check: str = ""
    """A path of the API that answers 200 to a token of the service's own user; units of a new release are asked for it before they
    take requests. It changes nothing and costs little: `/v2/images?limit=1`."""
    settings: Callable[[Mapping[str, Any]], Any] = dict[str, Any]
    """Checks the charm's own options (it raises ConfigError); templates get what it returns."""
    roles: tuple[str, ...] = ()
    """What the service's user has to be in Keystone besides the usual; the operator has to allow it."""
    enough: tuple[str, ...] = ()
    """Which of the usual roles it needs, where it does not need all."""
    packages: tuple[str, ...] = ()
    """Packages of the distribution that it needs."""
    bindings: tuple[str, ...] = ()
    """Those among them whose Python modules the release tree has too: `python3-rados`."""
    completion: tuple[str, ...] = ()
    """Modules of `files/` that complete a new release tree, where more belongs into it than packages: the first is a program, which
    imports the others. See `openinfra_charm.openstack.release`."""
    source: Path = field(default_factory=_source)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options that every API's charm has, checked; `region` and `workers` are an API's only."""

    region: str = ""
    workers: int = 0
    debug: bool
    extra: str
    """Lines of the operator's for the configuration file."""

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Options:
        """Check the options.

        Raises:
            ConfigError: One has a value that cannot be used.
        """
        debug, extra = options["debug"], options.get("extra-config", "")
        if "workers" not in options:
            return cls(debug=debug, extra=extra)
        region = options["region"]
        check(options, "region", _REGION.fullmatch(region), "letters, digits, dots, dashes and underscores")
        return cls(
            region=region, workers=whole(options, "workers", 1, _MOST_WORKERS), debug=debug, extra=extra
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine.

    `address` is the one that the front listens on, or the unit's own where there is no front, `others` are those of the other units, `sources` those from which a gateway connects
    for its clients, `further` the same for each API besides the first. `found` is what the service has of other applications, by the name of the need, `own` what the charm adds.
    """

    options: Options
    settings: Any
    address: str
    others: tuple[str, ...]
    sources: tuple[str, ...]
    found: Mapping[str, Any]
    own: Mapping[str, Any]
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
