"""memcached on one machine: package, configuration, daemon. Everything here works without Juju."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.daemon import registry, render, tls
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from state import State

HERE = Path(__file__).parent
DAEMON = "memcached"
PACKAGES = ("memcached", *tls.PACKAGES)
UNIT = "memcached.service"
USER = "memcache"
CONFIG = "/etc/memcached.conf"
DROP_IN = "/etc/systemd/system/memcached.service.d/openinfra.conf"
ASK = "/usr/lib/openinfra/memcached-ask"
"""The program that speaks to the daemon: the charm's, and the check after a start of the machine."""
PORT = 11211
_KIB_OF_A_CONNECTION = 32
"""What the cap on memory allows for the buffers of each connection, memcached's and the kernel's."""
_KIB_OF_TLS = 64
"""And for those of TLS."""


class NoAnswerError(Exception):
    """The daemon does not answer, or refuses; the message is what there is to say."""


class Memcached:
    """The memcached of this machine, as one application keeps it."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self._application = application
        self.services = Services(machine, application)
        self.programs = {UNIT: "memcached"}
        self._templates = render.Templates(machine, application, HERE / "templates")
        # The daemon reads both files again after it has become this user.
        self.tls = Certificate(machine, application, user=USER, group=USER)
        self._taken = f"/var/lib/openinfra/{application}/certificate"

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        return Footprint(
            daemon=DAEMON,
            does="runs memcached on this machine",
            paths=(CONFIG, str(Path(DROP_IN).parent), ASK, f"/etc/{self._application}"),
        )

    # Verbs

    def install(self) -> None:
        """Install the package; nothing starts."""
        registry.install(self.machine, self._application, PACKAGES)

    def render(self, state: State) -> frozenset[str]:
        """Write the configuration; return the files that changed."""
        config = self._templates.fill(
            "memcached.conf.j2",
            CONFIG,
            application=self._application,
            config=state.config,
            listen=bracketed(state.address),
            port=PORT,
            user=USER,
            chain=self.tls.chain_path if state.tls else "",
            key=self.tls.key_path if state.tls else "",
        )
        drop_in = self._templates.fill(
            "memcached.service.j2",
            DROP_IN,
            application=self._application,
            memory_max=memory_max(state),
            tls=state.tls,
        )
        ask = (HERE / "files/memcached-ask").read_text(encoding="utf-8")
        changed = render.write(
            self.machine,
            config,
            drop_in,
            File(path=ASK, content=ask, mode=0o755),
        )
        # It may always stop: what is cached can be had again. So there is a check after the start only.
        registry.leave_check(self.machine, "after-start", self._application, ASK, "version")
        return changed

    def apply(self) -> None:
        """Have the daemon run; one that runs with an older configuration is left for `outdated`."""
        if not self.was_started:
            self.machine.reload_systemd()
            if self.machine.service_states(UNIT)[UNIT] != "inactive":
                # Somebody had it before the charm, with a configuration of his own.
                self.machine.stop_services(UNIT)
        if self.services.ensure_running([self._service()]):
            self._note_certificate()

    @property
    def was_started(self) -> bool:
        """Whether there is a daemon of ours, be it well or not."""
        return UNIT in self.services.units

    def outdated(self) -> bool:
        """Return whether the daemon runs with an older configuration and has to be restarted."""
        return bool(self.services.outdated([self._service()]))

    def restart(self) -> None:
        """Restart the daemon with the present configuration; what it held is lost."""
        self.machine.reload_systemd()
        self.services.restart(self._service())
        self._note_certificate()

    def take_certificate(self) -> None:
        """Have a daemon that speaks TLS serve the certificate on the machine; it keeps its items and connections.

        Raises:
            NoAnswerError: The daemon does not answer, or does not take it.
        """
        if self.machine.read(self._taken) != self._certificate:
            self._ask("refresh_certs")
            self._note_certificate()

    @property
    def _certificate(self) -> str:
        return "\n".join(self.tls.inputs)

    def _note_certificate(self) -> None:
        """Remember what the daemon has just read."""
        if self.tls.ready:
            self.machine.write(self._taken, self._certificate)

    def stop(self) -> None:
        """Stop the daemon, and keep it stopped."""
        self.services.stop(UNIT)

    def is_ready(self) -> bool:
        """Return whether the daemon answers."""
        return self.machine.run(ASK, "version", check=False).code == 0

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the daemon answers, but no longer than this; return whether it does."""
        return self.machine.wait_until(self.is_ready, seconds)

    def version(self) -> str:
        """Return the installed version, such as `1.6.38`; empty before it is installed."""
        return registry.version(self.machine, "memcached")

    # What the daemon says

    def stats(self) -> dict[str, str]:
        """Return the daemon's counters by name (memcached's doc/protocol.txt, "General-purpose statistics").

        Raises:
            NoAnswerError: The daemon does not answer.
        """
        rows = (line.split(maxsplit=2) for line in self._ask("stats").splitlines())
        return {row[1]: row[2] for row in rows if row[0] == "STAT" and len(row) == 3}  # noqa: PLR2004  STAT name value

    def flush(self) -> None:
        """Have the daemon forget all items.

        Raises:
            NoAnswerError: The daemon does not answer; whether it has forgotten them is unknown.
        """
        self._ask("flush_all")

    def _ask(self, command: str) -> str:
        answer = self.machine.run(ASK, command, check=False)
        if answer.code:
            raise NoAnswerError(answer.stdout.strip() or answer.stderr.strip())
        return answer.stdout

    def _service(self) -> Service:
        return Service(unit=UNIT, inputs=tuple(self.machine.read(path) or "" for path in (CONFIG, DROP_IN)))


def memory_max(state: State) -> int:
    """Return the MiB that the process may take: items, a quarter for what finds them, its connections and itself."""
    config = state.config
    each = _KIB_OF_A_CONNECTION + (_KIB_OF_TLS if state.tls else 0)
    return config.memory_limit + config.memory_limit // 4 + config.connection_limit * each // 1024 + 64
