"""RabbitMQ on one machine: packages, configuration, the broker. Everything here works without Juju."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import versions
from control import COPIES, DEFINITIONS, Control, RefusedError, UnreachableError
from guard import KEEP_OFF, REJOIN, Guard
from openinfra_charm.daemon import registry, render, tls
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.machine import program
from openinfra_charm.values import bracketed
from state import node_name, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.machine import Machine
    from state import State
    from versions import Version

HERE = Path(__file__).parent
DAEMON = "rabbitmq"
PACKAGE = "rabbitmq-server"
PACKAGES = (PACKAGE, *tls.PACKAGES)
UNIT = "rabbitmq-server.service"
USER = "rabbitmq"
HOME = "/var/lib/rabbitmq"
DATA = f"{HOME}/mnesia"
"""Where the packages have the data, whatever holds the metadata."""
COOKIE = f"{HOME}/.erlang.cookie"
CONFIG, ENVIRONMENT, PLUGINS = (
    f"/etc/rabbitmq/{name}" for name in ("rabbitmq.conf", "rabbitmq-env.conf", "enabled_plugins")
)
DROP_IN, EPMD_DROP_IN = (f"/etc/systemd/system/{one}.d/openinfra.conf" for one in (UNIT, "epmd.socket"))
START = "/usr/lib/openinfra/rabbitmq-may-start"
METRICS, OWN_METRICS = 15691, 15692
"""Where metrics are: over TLS for who collects them, and on the loopback address for the charm."""
NODE_SECONDS = 5
DRAINED = "drained"
"""What a unit notes whose broker was asked to take no clients."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """What the broker says of itself: its version, the units that it is connected to, and which of its alarms are on."""

    version: str
    connected: frozenset[str]
    alarms: tuple[str, ...]


class RabbitMq:
    """The broker of this machine."""

    def __init__(self, machine: Machine, application: str, unit: str) -> None:
        self.machine = machine
        self.application = application
        self.unit = unit
        self.control = Control(machine)
        self.services = Services(machine, application)
        self.programs = {UNIT: "RabbitMQ"}
        self.tls = Certificate(machine, application, user=USER, group=USER)
        self._templates = render.Templates(machine, application, HERE / "templates")
        self._folder = f"/var/lib/openinfra/{application}"
        self._peers, self._hosts, self._resolver = (
            f"/etc/{application}/{name}" for name in ("peers.config", "hosts", "resolver")
        )
        """How brokers speak TLS to each other; where they are; and that Erlang finds that out from the file before it."""
        self._permission, self._identity = f"{self._folder}/may-start", f"{self._folder}/incarnation"
        self._taken = f"{self._folder}/certificate"
        self._guard = Guard(machine, application, self.services, self._templates)

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        return Footprint(
            daemon=DAEMON,
            does="runs RabbitMQ on this machine",
            paths=(
                CONFIG, ENVIRONMENT, PLUGINS, self._peers, self._hosts, self._resolver, START, COOKIE, DEFINITIONS,
                *self._guard.paths, str(Path(DROP_IN).parent), str(Path(EPMD_DROP_IN).parent), f"/etc/{self.application}",
            ),
            data=(DATA,),
        )  # fmt: skip

    # Verbs

    def install(self) -> None:
        """Install the packages; nothing starts."""
        registry.install(self.machine, self.application, PACKAGES)
        self.__dict__.pop("traits", None)

    def version(self) -> str:
        """Return the installed version, such as `4.0.5`; empty before it is installed."""
        return registry.version(self.machine, PACKAGE)

    @cached_property
    def traits(self) -> Version:
        """What the installed version does.

        Raises:
            NeedsOperatorError: It is too old.
        """
        return versions.find(self.version())

    def render(self, state: State) -> None:
        """Write the configuration, and leave the checks for `host`."""
        me, settings = state.member, state.settings
        is_ipv6 = ":" in me.cluster_address
        values = {
            "application": self.application, "node": node_name(self.unit), "settings": settings,
            "chain": self.tls.chain_path, "key": self.tls.key_path, "ca": self.tls.ca_path,
            "traits": self.traits, "copies": COPIES, "hosts": state.hosts, "client_address": me.client_address,
            "client_host": bracketed(me.client_address), "cluster_address": me.cluster_address, "cluster_host": bracketed(me.cluster_address),
            "interface": _erlang_address(me.cluster_address), "family": "inet6" if is_ipv6 else "inet",
            "metrics": METRICS, "own_metrics": OWN_METRICS, "user": USER, "data": f"{DATA}/{node_name(self.unit)}",
            "permission": self._permission, "peers": self._peers, "resolver": self._resolver, "hosts_path": self._hosts, "start": START,
        }  # fmt: skip
        files = {
            "rabbitmq.conf.j2": CONFIG, "rabbitmq-env.conf.j2": ENVIRONMENT, "enabled_plugins.j2": PLUGINS,
            "peers.config.j2": self._peers, "hosts.j2": self._hosts, "resolver.j2": self._resolver,
            "rabbitmq.service.j2": DROP_IN, "epmd.socket.j2": EPMD_DROP_IN, "may-start.j2": START,
        }  # fmt: skip
        filled = [self._templates.fill(name, path, **values) for name, path in files.items()]
        filled = [dataclasses.replace(one, mode=0o755) if one.path == START else one for one in filled]
        cookie = File(path=COOKIE, content=state.cookie, mode=0o400, user=USER, group=USER)
        changed = render.write(self.machine, *filled, cookie)
        if changed & {DROP_IN, EPMD_DROP_IN}:
            self.machine.reload_systemd()
        for kind in registry.CHECKS:
            check = program.command(HERE / "check.py", kind, self.application, self.unit)
            registry.leave_check(self.machine, kind, self.application, *check)

    @property
    def was_started(self) -> bool:
        """Whether the broker was started here, and is to run."""
        return UNIT in self.services.units

    def apply(self) -> None:
        """Have the broker run; one that runs with an older configuration is left for `outdated`."""
        if not self.was_started and self.machine.service_states(UNIT)[UNIT] != "inactive":
            # Somebody had it before the charm, with a configuration of his own.
            self.machine.stop_services(UNIT)
        if self.services.ensure_running([self._service]):
            self._note_certificate()

    def keep_guard(self, state: State) -> None:
        """Have what the broker does not see to itself in a partition."""
        if self.traits.pauses:
            self._guard.apply(REJOIN, self.unit)
        else:
            address = _erlang_address(state.member.client_address)
            self._guard.apply(KEEP_OFF, f"{self._folder}/members", self.unit, address)

    start = apply

    def outdated(self) -> bool:
        """Return whether the broker runs with an older configuration and has to be restarted."""
        return bool(self.services.outdated([self._service]))

    def restart(self) -> None:
        """Restart the broker with the present configuration."""
        self.services.restart(self._service)
        self._note_certificate()

    def stop(self) -> None:
        """Stop the broker, and keep it stopped."""
        self.services.stop(*self.services.units)

    def begin(self) -> None:
        """Have a broker that waits for others start without them, with the metadata that are here."""
        if self.traits.khepri:
            self.control.go_on_alone()
            return
        # One that waits hears no request to stop.
        self.machine.run("systemctl", "--signal=SIGKILL", "kill", UNIT)
        self.machine.run("systemctl", "stop", UNIT)
        self.control.force_boot()
        self.machine.run("systemctl", "start", UNIT)

    # The data

    @property
    def is_empty(self) -> bool:
        """Whether there are no data of this unit's broker."""
        return not self.machine.list_folder(f"{DATA}/{node_name(self.unit)}")

    def incarnation(self, *, lost: bool) -> str:
        """Return what names the data here; there is another name for the next ones where those before are `lost`."""
        known = self.machine.read(self._identity)
        if known is None or lost:
            known = uuid.uuid4().hex
            self.machine.write(self._identity, known)
        return known

    def let_start_empty(self, *, allowed: bool) -> None:
        """Let the broker start without data, as one that joins the cluster or founds it does; or keep it from that."""
        if allowed:
            self.machine.write(self._permission, "")
        else:
            self.machine.remove(self._permission)

    @property
    def saw(self) -> tuple[str, ...]:
        """The units whose brokers this one has last seen run, by its own record."""
        text = self.machine.read(f"{DATA}/{node_name(self.unit)}/nodes_running_at_shutdown") or ""
        nodes = {unit_of(node) for node in re.findall(r"rabbit@[\w-]+", text)}
        return tuple(sorted(nodes - {self.unit}))

    # The certificate that the running broker has

    def take_certificate(self) -> None:
        """Have a broker that serves read its certificate again if there is another one.

        Raises:
            UnreachableError: It does not answer.
            RefusedError: It refuses.
        """
        if self.machine.read(self._taken) != self._certificate:
            self.control.forget_certificates()
            self._note_certificate()

    @property
    def _certificate(self) -> str:
        return "\n".join(self.tls.inputs)

    def _note_certificate(self) -> None:
        self.machine.write(self._taken, self._certificate)

    # How it is

    def node(self) -> Node | None:
        """Return what the broker says of itself, by its metrics; None where it does not serve."""
        try:
            answer = self.machine.fetch(f"http://127.0.0.1:{OWN_METRICS}/metrics", timeout=NODE_SECONDS)
        except OSError:
            return self._drained_node() if self.noted(DRAINED) else None
        found = re.search(r'^rabbitmq_build_info\{.*rabbitmq_version="([^"]+)"', answer.body, re.MULTILINE)
        if not found:
            return None
        peers = re.findall(
            r'^erlang_vm_dist_node_state\{peer="(rabbit@[^"]+)"\} 3$', answer.body, re.MULTILINE
        )
        kinds = {"memory": "memory_used", "disk space": "free_disk_space"}
        alarms = [
            words
            for words, name in kinds.items()
            if re.search(rf"^rabbitmq_alarms_{name}_watermark 1$", answer.body, re.MULTILINE)
        ]
        return Node(version=found[1], connected=frozenset(map(unit_of, peers)), alarms=tuple(alarms))

    def _drained_node(self) -> Node | None:
        """Return what a broker says of itself that takes no clients, not even those of its metrics."""
        try:
            running = map(unit_of, self.control.cluster_status().running)
        except (RefusedError, UnreachableError):
            return None
        return Node(version=self.version(), connected=frozenset(running) - {self.unit}, alarms=())

    def wait_until_ready(self, seconds: float) -> Node | None:
        """Wait up to `seconds` for the broker to serve; return what it says of itself."""
        limit = self.machine.now() + seconds
        while not (node := self.node()) and self.machine.now() + 1 <= limit:
            self.machine.sleep(1)
        return node

    @property
    def members(self) -> list[str]:
        """The units that are members of the cluster, as the last hook has noted them."""
        return self.noted("members").split()

    def why_not_to_stop(self) -> str:
        """Return why the broker must not stop now; empty if the cluster can do without it.

        A cluster of one member has no other to serve meanwhile: then it is for whoever stops it to know.
        """
        others = set(self.members) - {self.unit}
        if not others:
            return ""
        try:
            running = set(map(unit_of, self.control.cluster_status().running))
            if missing := sorted(others - running):
                return f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not run: the cluster must be complete first"
            return self.control.why_critical()
        except (RefusedError, UnreachableError) as error:
            return f"{error}: the cluster must be complete first, see cluster-status"

    # Since when it has not served: a mark, so that hooks can tell how long

    def down_for(self) -> float:
        """Return since how many seconds it is known that the broker does not serve; from now on it is."""
        since = self.machine.read(f"{self._folder}/down-since")
        if since is None:
            self.machine.write(f"{self._folder}/down-since", f"{self.machine.now()}")
            return 0
        return self.machine.now() - float(since)

    def up(self) -> None:
        """Note that the broker serves, or has its whole time again."""
        self.machine.remove(f"{self._folder}/down-since")

    def note(self, name: str, text: str | None) -> bool:
        """Keep a fact of this machine's, or with None forget it; return whether it was another one."""
        path = f"{self._folder}/{name}"
        return self.machine.remove(path) if text is None else self.machine.write(path, text)

    def noted(self, name: str) -> str:
        """Return what `note` has kept; empty where nothing was."""
        return self.machine.read(f"{self._folder}/{name}") or ""

    def remove_data(self) -> None:
        """Take the data off the machine."""
        for name in self.machine.list_folder(DATA):
            self.machine.remove(f"{DATA}/{name}")

    @property
    def _service(self) -> Service:
        paths = (CONFIG, ENVIRONMENT, PLUGINS, self._peers, self._resolver, DROP_IN)
        return Service(unit=UNIT, inputs=tuple(self.machine.read(path) or "" for path in paths))


def why_not_ready(rabbitmq: RabbitMq) -> str:
    """Return why the broker does not serve in full yet; empty if it does."""
    node = rabbitmq.node()
    if node is None:
        return "RabbitMQ does not serve"
    if rabbitmq.traits.khepri and not has_majority(node, rabbitmq.unit, rabbitmq.members):
        return "RabbitMQ is connected to too few of the others: it has no majority"
    return ""


def has_majority(node: Node, unit: str, members: Iterable[str]) -> bool:
    """Return whether a broker is connected to most of the members."""
    names = set(members) | {unit}
    return 2 * len((node.connected & names) | {unit}) > len(names)


def _erlang_address(address: str) -> str:
    """Return an address as a term of Erlang: `{10,0,0,7}`."""
    parsed = ipaddress.ip_address(address)
    groups = address.split(".") if "." in address else [f"16#{group}" for group in parsed.exploded.split(":")]
    return "{" + ",".join(groups) + "}"
