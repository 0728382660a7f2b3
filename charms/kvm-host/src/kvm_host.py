"""QEMU and libvirt on one machine: packages, configuration, daemons. Everything here works without Juju."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import check
from openinfra_charm.daemon import registry, render, tls
from openinfra_charm.daemon.libvirt import Libvirt, NoAnswerError
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.machine import program
from openinfra_charm.values import bracketed
from virtualization import Virtualization

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from state import State

HERE = Path(__file__).parent
DAEMON = "libvirt"
QEMU = {
    "x86_64": ("qemu-system-x86_64", "qemu-system-x86"),
    "aarch64": ("qemu-system-aarch64", "qemu-system-arm"),
}
"""QEMU's program and the package that it is of, by the machine's architecture."""
FIRMWARE = {"x86_64": "ovmf", "aarch64": "qemu-efi-aarch64"}
PACKAGES = ("libvirt-daemon-system", "libvirt-clients", "qemu-utils", "qemu-block-extra", *tls.PACKAGES)
UNIT, GUESTS, TLS_SOCKET = "libvirtd.service", "libvirt-guests.service", "libvirtd-tls.socket"
SOCKETS = ("libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket")
PORT = 16514
USER = "libvirt-qemu"
"""Whom guests run as, who read the key of their consoles and of what they send to other hosts."""
FOLDER = "/etc/pki/qemu"
"""Where QEMU looks for certificates; its AppArmor profile lets it read there."""
NAMES = {
    "ca-cert": "ca",
    "server-cert": "chain",
    "server-key": "key",
    "client-cert": "chain",
    "client-key": "key",
}
"""What QEMU calls them, and what they are called here."""
CLIENT = {
    "/etc/pki/CA/cacert.pem": "ca", "/etc/pki/libvirt/clientcert.pem": "chain", "/etc/pki/libvirt/private/clientkey.pem": "key",
}  # fmt: skip
"""Where libvirt looks for them that speaks with another host."""
PREFIX = "libvirt."
"""The common names of the certificates begin so, by which hosts know each other."""
CONFIG, QEMU_CONFIG = "/etc/libvirt/libvirtd.conf", "/etc/libvirt/qemu.conf"
DROP_IN = f"/etc/systemd/system/{TLS_SOCKET}.d/openinfra.conf"
ARGUMENTS, GUESTS_CONFIG = "/etc/default/libvirtd", "/etc/default/libvirt-guests"
_RELOAD_SECONDS = 30


class KvmHost:
    """The hypervisor of this machine, as one application keeps it."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self._application = application
        self.services = Services(machine, application)
        self.programs = {UNIT: "libvirtd", TLS_SOCKET: "libvirtd's TLS socket", GUESTS: "libvirt-guests"}
        self.libvirt = Libvirt(machine)
        self.architecture = platform.machine()
        self.virtualization = Virtualization(machine, application, QEMU[self.architecture])
        self.tls = Certificate(machine, application, folder=FOLDER, user=USER)
        self._templates = render.Templates(machine, application, HERE / "templates")
        self._pages = f"/etc/tmpfiles.d/openinfra-{application}.conf"
        self._module = f"/etc/modprobe.d/openinfra-{application}.conf"
        self._taken = f"/var/lib/openinfra/{application}/certificate"

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        links = (*(f"{FOLDER}/{name}.pem" for name in NAMES), *CLIENT)
        files = (CONFIG, QEMU_CONFIG, ARGUMENTS, GUESTS_CONFIG, self._pages, self._module)
        return Footprint(
            daemon=DAEMON,
            does="runs libvirt on this machine",
            paths=(*files, str(Path(DROP_IN).parent), *links, FOLDER),
        )

    # Verbs

    def install(self) -> None:
        """Install the packages; nothing starts."""
        own = (QEMU[self.architecture][1], FIRMWARE[self.architecture])
        registry.install(self.machine, self._application, (*PACKAGES, *own))

    def render(self, state: State) -> None:
        """Write the configuration."""
        values = {
            "application": self._application, "settings": state.settings, "folder": FOLDER, "prefix": PREFIX,
            "key": self.tls.key_path, "chain": self.tls.chain_path, "ca": self.tls.ca_path,
            "listen": f"{bracketed(state.migration)}:{PORT}",
        }  # fmt: skip
        wanted = {
            "libvirtd.conf.j2": CONFIG, "qemu.conf.j2": QEMU_CONFIG, "libvirtd-tls.conf.j2": DROP_IN, "libvirtd.j2": ARGUMENTS,
            "libvirt-guests.j2": GUESTS_CONFIG, "huge-pages.conf.j2": self._pages, "modprobe.conf.j2": self._module,
        }  # fmt: skip
        changed = render.write(
            self.machine, *(self._templates.fill(name, path, **values) for name, path in wanted.items())
        )
        self._link_certificates()
        if self._pages in changed:
            # Pages that cannot be had now are in the status; those that a smaller number frees are free at once.
            self.machine.run("systemd-tmpfiles", "--create", self._pages, check=False)
        if DROP_IN in changed:
            self.machine.reload_systemd()
        for kind in registry.CHECKS:
            command = program.command(Path(check.__file__), kind, self._application)
            registry.leave_check(self.machine, kind, self._application, *command)

    def _link_certificates(self) -> None:
        """Have certificates and keys under the names by which QEMU and libvirt look for them."""
        for name, own in NAMES.items():
            self.machine.link(f"{FOLDER}/{name}.pem", f"{own}.pem")
        for path, own in CLIENT.items():
            self.machine.make_folder(str(Path(path).parent))
            self.machine.link(path, f"{FOLDER}/{own}.pem")

    def apply(self) -> None:
        """Have the daemons run; one that runs with an older configuration is left for `outdated`."""
        if not self.was_started and self.machine.service_states(UNIT)[UNIT] != "inactive":
            # Somebody had it before the charm; its socket for other hosts comes before it. Guests run on.
            self._stop_daemon()
        if UNIT in self.services.ensure_running(self._all):
            self._note_certificate()

    @property
    def was_started(self) -> bool:
        """Whether there is a daemon of ours, be it well or not."""
        return UNIT in self.services.units

    def outdated(self) -> bool:
        """Return whether the daemon runs with an older configuration and has to be restarted; guests run on meanwhile."""
        return bool(self.services.outdated(self._all))

    def restart(self) -> None:
        """Restart the daemon and its sockets, which do not listen elsewhere as long as it runs."""
        self.machine.reload_systemd()
        self._stop_daemon()
        self.services.ensure_running(self._all)
        self._note_certificate()

    def _stop_daemon(self) -> None:
        for unit in (*SOCKETS, TLS_SOCKET, UNIT):
            self.machine.run("systemctl", "stop", unit)

    def take_certificate(self) -> None:
        """Have the daemon, and the consoles of guests that run, serve the certificate that is on the machine.

        Raises:
            NoAnswerError: One of them does not take it.
        """
        if self.machine.read(self._taken) == self._certificate:
            return
        limit = self.machine.now() + _RELOAD_SECONDS
        ran = self.machine.run("virt-admin", "server-update-tls", "libvirtd", check=False)
        if ran.code:
            raise NoAnswerError(" ".join(ran.stderr.split()))
        for name in self.libvirt.running():
            if self.machine.now() > limit:
                raise NoAnswerError("consoles of guests take their new certificate one after the other")
            self.libvirt.virsh("qemu-monitor-command", name, _RELOAD)
        self._note_certificate()

    @property
    def _certificate(self) -> str:
        return "\n".join(self.tls.inputs)

    def _note_certificate(self) -> None:
        """Remember what the daemon has just read."""
        if self.tls.ready:
            self.machine.write(self._taken, self._certificate)

    def stop(self) -> None:
        """Stop the daemons, and keep them stopped; no guest runs."""
        self.services.stop(*self.services.units)

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until libvirt answers, but no longer than this; return whether it does."""
        return self.machine.wait_until(lambda: not self.libvirt.answers, seconds)

    def version(self) -> str:
        """Return libvirt's installed version, such as `11.3.0`; empty before it is installed."""
        return registry.version(self.machine, "libvirt-daemon-system")

    # What is so

    def missing_pages(self, wanted: tuple[tuple[int, int], ...]) -> list[str]:
        """Return, in words, of which huge pages the kernel has fewer than are wanted."""
        found: list[str] = []
        for size, number in wanted:
            path = f"/sys/kernel/mm/hugepages/hugepages-{size}kB/nr_hugepages"
            there = int((self.machine.read(path) or "0").strip())
            if there < number:
                found.append(
                    f"{there} of {number} huge pages of {size} KiB: the rest may be had when the machine starts anew"
                )
        return found

    @property
    def _all(self) -> list[Service]:
        """What runs, in the order in which it starts. What libvirt-guests reads, it reads when the machine stops."""
        texts = tuple(self.machine.read(path) or "" for path in (CONFIG, QEMU_CONFIG, ARGUMENTS))
        sockets = [Service(unit=unit) for unit in SOCKETS]
        tls_socket = Service(unit=TLS_SOCKET, inputs=(self.machine.read(DROP_IN) or "",))
        return [*sockets, tls_socket, Service(unit=UNIT, inputs=texts), Service(unit=GUESTS)]


_RELOAD = '{"execute": "display-reload", "arguments": {"type": "vnc", "tls-certs": true}}'
"""The command of QEMU's by which a console reads its certificate again (QMP, since QEMU 6.0)."""
