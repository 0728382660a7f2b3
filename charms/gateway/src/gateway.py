"""HAProxy and keepalived on one machine: packages, configuration, daemons. Everything here works without Juju."""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

import haproxy
import routes
from haproxy import InvalidConfigError, NoAnswerError
from openinfra_charm.daemon import registry, render, tls
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.model.cluster import unit_number
from state import HEALTH_PORT, Refusal, name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from openinfra_charm.interfaces.haproxy_route_tcp import Asked
    from openinfra_charm.machine import Machine
    from state import Drain, State

HERE = Path(__file__).parent
DAEMON = "haproxy"
"""What only one unit of a machine may run: the packaged haproxy.service, and keepalived with it."""
PACKAGES = ("haproxy", "keepalived", *tls.PACKAGES)
HAPROXY = "haproxy.service"
KEEPALIVED = "keepalived.service"
CONFIG = "/etc/haproxy/haproxy.cfg"
CANDIDATE = "/etc/haproxy/openinfra-candidate.cfg"
KEEPALIVED_CONFIG = "/etc/keepalived/keepalived.conf"
DROP_INS = {unit: f"/etc/systemd/system/{unit}.d/openinfra.conf" for unit in (HAPROXY, KEEPALIVED)}
SOCKET = "/run/haproxy/admin.sock"
ASK = "/usr/lib/openinfra/haproxy-ask"
SERVES = "/usr/lib/openinfra/haproxy-serves"
_LOOPBACK = {4: "127.0.0.1", 6: "::1"}
_HIGHEST_PRIORITY = 254
_KIB_OF_A_CONNECTION = 40
_FILES = (CONFIG, KEEPALIVED_CONFIG, ASK, SERVES, *(str(Path(path).parent) for path in DROP_INS.values()))
_PAUSE = 0.5
_RELOAD_SECONDS = 20
_ASK_SECONDS = 5
_STARTING = 30
"""Seconds that backends may be down before the status says so: most of them are just starting."""
_WHERE_TO_LOOK = "see journalctl -u haproxy"


class Gateway:
    """The gateway of this machine, as one application keeps it."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self._application = application
        self.services = Services(machine, application)
        self.programs = {HAPROXY: "haproxy", KEEPALIVED: "keepalived"}
        self._templates = render.Templates(machine, application, HERE / "templates")
        self._leaving = f"/var/lib/openinfra/{application}/leaving"
        self._server_state = f"/var/lib/openinfra/{application}/server-state"
        self._before = ""
        self.unserved: dict[str, str] = {}
        """The routes of which no backend has been healthy for a while, each with the reason, as `apply` has found them."""

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        return Footprint(
            daemon=DAEMON,
            does="is the gateway of this machine",
            paths=(*_FILES, f"/etc/{self._application}"),
        )

    # Verbs

    def install(self) -> None:
        """Install the packages; nothing starts."""
        registry.install(self.machine, self._application, PACKAGES)

    def fit(self, state: State) -> tuple[State, tuple[Refusal, ...]]:
        """Return what this machine can serve of it, and the routes that it cannot, with the reasons. Nothing changes.

        Raises:
            InvalidConfigError: HAProxy does not take the configuration, and not for the sake of single routes.
        """
        refused = list(self.cannot_listen(state.listen, state.routes))
        fitting, first = state.without(refused), None
        while (config := self._haproxy_config(fitting).content) != self.machine.read(CONFIG):
            try:
                self._validate(config)
                break
            except InvalidConfigError as error:
                first = first or error
                blamed = [asked for asked in fitting.routes if error.section in _sections(asked)]
                refused += [Refusal(asked=asked, reason=_not_taken(asked, error)) for asked in blamed]
                fitting = fitting.without(refused)
                # What HAProxy takes of none is no fault of theirs.
                if not blamed or not fitting.routes:
                    raise first from None
        return fitting, tuple(refused)

    def cannot_listen(self, addresses: Iterable[str], asked: Iterable[Asked]) -> Iterator[Refusal]:
        """Yield the routes whose port another program of this machine has."""
        everywhere = tuple(addresses)
        for one in asked:
            port = one.route.port
            if not all(self.machine.can_listen(address, port) for address in everywhere):
                yield Refusal(
                    asked=one,
                    reason=f"{one.application} asks for port {port}, which another program on {self.machine.hostname()} "
                    f"has: have {one.application} ask for another port, or stop that program",
                )

    def render(self, state: State) -> frozenset[str]:
        """Write the configuration for what `fit` has returned; return the files that changed."""
        changed = render.write(self.machine, *self._files(state))
        if changed & set(DROP_INS.values()):
            self.machine.reload_systemd()
        if not self.machine.exists(self._server_state):
            self.machine.write(self._server_state, "1\n", mode=0o600)
        self._before = self.machine.read(CONFIG) or ""
        changed |= render.write(self.machine, self._haproxy_config(state))
        if state.config.vips:
            changed |= render.write(self.machine, self._keepalived_config(state))
        # Another unit takes the virtual address when this one stops. So there is a check after the start only.
        registry.leave_check(self.machine, "after-start", self._application, SERVES, str(HEALTH_PORT))
        return changed

    def apply(self, state: State, drains: Iterable[Drain] = ()) -> None:
        """Have HAProxy run with what is rendered; a change is applied without an interruption.

        Raises:
            InvalidConfigError: HAProxy cannot use the configuration, such as when a port is taken; it goes on with the
                one before.
            NoAnswerError: HAProxy has just been started and does not answer yet.
        """
        if HAPROXY not in self.services.units:
            # Whatever it did before, with the package's configuration or an operator's, is over.
            if self._state(HAPROXY) != "inactive":
                self.machine.stop_services(HAPROXY)
            self.machine.write(self._server_state, "1\n", mode=0o600)
        service = Service(unit=HAPROXY, inputs=(state.certificates,))
        self.services.ensure_running([service])
        self._drain(state, drains, self._reload(service))

    def share_vip(self, state: State, *, may_join: bool) -> bool:
        """Have keepalived run where there is a virtual address, and nowhere else; return whether it runs.

        Args:
            state: What is wanted.
            may_join: Whether it may be started where it has never been, since all others listen to it.
        """
        if not state.config.vips:
            self.services.stop(KEEPALIVED)
            self.machine.remove(KEEPALIVED_CONFIG)
            return False
        if not (may_join or KEEPALIVED in self.services.units):
            return False
        service = Service(unit=KEEPALIVED, inputs=(self.machine.read(KEEPALIVED_CONFIG) or "",))
        if not self.services.ensure_running([service], fresh=False) and self.services.outdated([service]):
            self.services.reload(service)
        return True

    def leave(self, unit: str) -> None:
        """Give the virtual address away for good, and go on serving connections until `stop`."""
        self.machine.write(self._leaving, f"{unit}\n")
        self.services.stop(KEEPALIVED)

    def is_leaving(self, unit: str) -> bool:
        """Return whether the unit has begun to leave."""
        return (self.machine.read(self._leaving) or "").strip() == unit

    def stop(self) -> None:
        """Stop both daemons, the one that holds the virtual address first, and keep them stopped."""
        self.services.stop(KEEPALIVED)
        self.services.stop(HAPROXY)

    def version(self) -> str:
        """Return the installed version of HAProxy, such as `3.0.11`; empty before it is installed."""
        return registry.version(self.machine, "haproxy")

    # What HAProxy says

    def servers(self) -> list[haproxy.Server]:
        """Return the backends as HAProxy sees them.

        Raises:
            NoAnswerError: It does not answer.
        """
        return haproxy.servers(self._ask("show stat"))

    def holds(self, vips: Iterable[str]) -> bool:
        """Return whether this machine has these addresses, if there are any."""
        wanted = set(vips)
        return bool(wanted) and wanted <= {one.address for one in self.machine.addresses()}

    def _ask(self, command: str) -> str:
        try:
            return self.machine.exchange(SOCKET, f"{command}\n".encode(), timeout=_ASK_SECONDS).decode()
        except OSError as error:
            raise NoAnswerError(f"HAProxy does not answer: {error}") from error

    # How it is done

    def _reload(self, service: Service) -> str:
        """Have HAProxy run with its configuration and certificates; return what it says of itself and of its servers then."""
        config = self.machine.read(CONFIG) or ""
        wanted = haproxy.description(config)
        outdated = bool(self.services.outdated([service]))
        answer = self._look(_RELOAD_SECONDS)
        if haproxy.description(answer) == wanted and not outdated:
            return answer
        if outdated:
            self._validate(config)
        self.services.reload(service)
        limit = self.machine.now() + _RELOAD_SECONDS
        while haproxy.description(answer := self._look(_RELOAD_SECONDS)) != wanted:
            if self.machine.now() > limit:
                if self._before:
                    # Should it have to start before this is repaired, it starts with what it has.
                    self.machine.write(CONFIG, self._before)
                raise InvalidConfigError(
                    f"HAProxy goes on with what it had, as it cannot listen: {_WHERE_TO_LOOK}"
                )
            self.machine.sleep(_PAUSE)
        return answer

    def _look(self, seconds: float) -> str:
        """Ask HAProxy about itself and its servers; it may take some seconds to answer after its start."""
        limit = self.machine.now() + seconds
        while True:
            try:
                return self._ask("show info;show servers state")
            except NoAnswerError:
                if self.machine.now() + _PAUSE > limit:
                    raise
            self.machine.sleep(_PAUSE)

    def _drain(self, state: State, drains: Iterable[Drain], answer: str) -> None:
        """Drain those backends that are to be drained, and no others, of what `_look` has found."""
        now, up = haproxy.drained(answer), haproxy.up(answer)
        down = {name(asked) for asked in state.routes if asked.backends and not up.get(name(asked))}
        self.unserved = self._reasons(down) if down else {}
        all_drains = tuple(drains)
        commands: list[str] = []
        for asked in state.routes:
            for backend in asked.backends:
                place = (name(asked), routes.server_name(backend))
                wanted = any(drain.covers(asked, backend.name) for drain in all_drains)
                if place in now and now[place] != wanted:
                    commands.append(f"set server {'/'.join(place)} state {'drain' if wanted else 'ready'}")
                    if wanted and asked.route.single:
                        # A single route's sessions are at one backend: they go to the next one together.
                        commands.append(f"shutdown sessions server {'/'.join(place)}")
        if commands:
            self._ask(";".join(commands))
            self.machine.run(ASK, "--save", self._server_state)

    def _reasons(self, down: Collection[str]) -> dict[str, str]:
        """Return why these routes have no healthy backend, as far as that is not just the beginning."""
        found: dict[str, str] = {}
        for server in self.servers():
            if server.route in down and server.seconds >= _STARTING:
                found.setdefault(server.route, f"{server.server}: {server.why}")
        return found

    def _state(self, unit: str) -> str:
        return self.machine.service_states(unit)[unit]

    def _validate(self, config: str) -> None:
        self.machine.write(CANDIDATE, config)
        tried = self.machine.run("haproxy", "-c", "-f", CANDIDATE, check=False)
        self.machine.remove(CANDIDATE)
        if tried.code:
            raise haproxy.invalid(tried.stderr or tried.stdout, config)

    def _files(self, state: State) -> list[File]:
        connections = state.config.connection_limit
        files = {"files": 2 * connections + 1000, "memory_max": memory_max(connections)}
        haproxy_unit = self._templates.fill(
            "haproxy.service.j2",
            DROP_INS[HAPROXY],
            application=self._application,
            ask=ASK,
            server_state=self._server_state,
            **files,
        )
        keepalived_unit = self._templates.fill(
            "keepalived.service.j2", DROP_INS[KEEPALIVED], application=self._application
        )
        return [
            haproxy_unit,
            keepalived_unit,
            *(
                File(
                    path=path,
                    content=(HERE / "files" / Path(path).name).read_text(encoding="utf-8"),
                    mode=0o755,
                )
                for path in (ASK, SERVES)
            ),
        ]

    def _haproxy_config(self, state: State) -> File:
        file = self._templates.fill(
            "haproxy.cfg.j2",
            CONFIG,
            application=self._application,
            certificate=state.certificate,
            check=routes.CHECK,
            config=state.config,
            internal=state.networks.internal.address,
            listeners=routes.listeners(state),
            port=HEALTH_PORT,
            server_state=self._server_state,
            socket=SOCKET,
        )
        # One that is on the machine already has its version.
        version = hashlib.sha256(file.content.encode()).hexdigest()[:16]
        return dataclasses.replace(file, content=file.content.replace("@VERSION@", version))

    def _keepalived_config(self, state: State) -> File:
        # One instance speaks for one family; addresses of the other come and go with it.
        public = state.networks.public
        family = ipaddress.ip_address(public.address).version
        placed = [(vip.version, f"{vip} dev {state.networks.interface(vip)}") for vip in state.config.vips]
        return self._templates.fill(
            "keepalived.conf.j2",
            KEEPALIVED_CONFIG,
            address=public.address,
            application=self._application,
            config=state.config,
            interface=public.interface,
            others=[text for version, text in placed if version != family],
            # Without any peer it would speak to everybody; and the first one would cost the virtual address a second.
            peers=state.peers or (_LOOPBACK[family],),
            port=HEALTH_PORT,
            priority=max(1, _HIGHEST_PRIORITY - unit_number(state.unit)),
            router=state.unit.replace("/", "-"),
            serves=SERVES,
            vips=[text for version, text in placed if version == family],
        )


def _sections(asked: Asked) -> tuple[str, str]:
    """Return the lines that begin what a route has in HAProxy's configuration."""
    return (f"backend {name(asked)}", f"frontend port-{asked.route.port}")


def _not_taken(asked: Asked, error: InvalidConfigError) -> str:
    return f"HAProxy does not take the route that {asked.application} asks for on port {asked.route.port}: {error}"


def memory_max(connections: int) -> int:
    """Return the MiB that HAProxy may take: its connections, those of a process that a reload has replaced, and itself."""
    return 2 * connections * _KIB_OF_A_CONNECTION // 1024 + 256
