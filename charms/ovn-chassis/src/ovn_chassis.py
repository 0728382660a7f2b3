"""Open vSwitch and ovn-controller on one machine: packages, configuration, daemons. Everything here works without Juju."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from bridges import Bridges, own_mac
from move import Mover
from openinfra_charm.daemon import registry, render, tls
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.machine import program
from openinfra_charm.model.status import NeedsOperatorError
from state import INTEGRATION, tunnel_address
from tap_guard import TapGuard
from vswitch import KERNEL, USERSPACE, VSwitch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridges import Plan
    from openinfra_charm.machine import Machine
    from state import State

HERE = Path(__file__).parent
DAEMON = "ovn-controller"
PACKAGES = ("iproute2", "iputils-ping", "openvswitch-switch", "ovn-host", *tls.PACKAGES)
SWITCH, SWITCH_DAEMON, SWITCH_DATABASE = (
    "openvswitch-switch.service",
    "ovs-vswitchd.service",
    "ovsdb-server.service",
)
SWITCH_UNITS = (SWITCH, SWITCH_DATABASE, SWITCH_DAEMON)
SWITCH_RECORDS = "openvswitch"
UMBRELLA, CONTROLLER = "ovn-host.service", "ovn-controller.service"
SYSTEM_ID = "/etc/openvswitch/system-id.conf"
DROP_IN = f"/etc/systemd/system/{CONTROLLER}.d/openinfra.conf"
PROBE_MILLISECONDS, PROBE_SECONDS = 60000, 60
"""When ovn-controller asks the southbound database, and Open vSwitch it, whether they are still there."""
OVERHEAD = {4: 58, 6: 78}
"""Bytes that a tunnel adds to each packet of a virtual machine, by the version of IP: Geneve with OVN's options, UDP, IP, Ethernet."""


class OvnChassis:
    """The Open vSwitch and the ovn-controller of this machine, as one application keeps them."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self.application = application
        self.services = Services(machine, application)
        self.switch = Services(machine, SWITCH_RECORDS)
        """Open vSwitch's: whoever clears what a unit has left that went by force leaves it running, as it may carry the machine's address."""
        self.programs = {
            UMBRELLA: "what starts OVN",
            CONTROLLER: "ovn-controller",
            f"{application}-tap-guard.service": "what watches the interfaces of virtual machines",
            f"{application}-metadata.service": "the metadata agent",
        }
        self.agent = Footprint()
        """What the metadata agent leaves, as the charm that has it says."""
        self.vswitch = VSwitch(machine, application)
        self.mover = Mover(machine, application, self.vswitch)
        self.bridges = Bridges(machine, application, self.vswitch, self.mover)
        # ovn-controller reads a new certificate together with the key, and both only when the key's file is another one.
        self.tls = Certificate(machine, application, key_goes_last=True)
        self._templates = render.Templates(machine, application, HERE / "templates")
        self.tap_guard = TapGuard(machine, application, self.services, self._templates)
        self._folder = f"/var/lib/openinfra/{application}"
        self._leaves = f"{self._folder}/leaves"
        """Is there while ovn-controller is stopped for good: then it takes its chassis out of the southbound database."""
        self._former_switch = f"{self._folder}/switch.before"
        """Is there where Open vSwitch ran before this application came: then it goes on when that has gone."""
        self._datapath = f"{self._folder}/datapath"
        """Who forwards packets: it is decided once, as what is in use cannot change over while packets flow."""
        self._former_id = f"{self._folder}/system-id.before"
        self._unreached = f"{self._folder}/unreached.json"
        self._ports_unit = f"/etc/systemd/system/{application}-ports.service"

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        return Footprint(
            daemon=DAEMON,
            does="runs ovn-controller on this machine",
            paths=(
                *self.agent.paths,
                str(Path(DROP_IN).parent),
                self._ports_unit,
                *self.tap_guard.paths,
                f"/etc/{self.application}",
            ),
        )

    # Verbs

    def name(self) -> str:
        """Return the chassis' name, the machine's when the unit came here: OVN and Nova know it by that from then on."""
        path = f"{self._folder}/name"
        known = (self.machine.read(path) or "").strip()
        if not known:
            known = self.machine.hostname()
            self.machine.write(path, f"{known}\n")
        return known

    def install(self, more: Iterable[str] = ()) -> None:
        """Install the packages; nothing starts. Open vSwitch would make up an id when it starts first without one.

        Args:
            more: Packages that the metadata agent needs.
        """
        wanted, found = f"{self.name()}\n", self.machine.read(SYSTEM_ID)
        if found not in {None, wanted}:
            # Open vSwitch was here before, for somebody else.
            self.machine.write(self._former_id, found or "")
        self.machine.write(SYSTEM_ID, wanted)
        registry.install(self.machine, self.application, dict.fromkeys((*PACKAGES, *more)))
        if not self.was_started and (enabled := self.machine.enabled_services(UMBRELLA)):
            self.machine.stop_services(*enabled)

    def version(self) -> str:
        """Return the installed version, such as `25.03.0`; empty before it is installed."""
        return registry.version(self.machine, "ovn-host")

    def render(self) -> None:
        """Write the daemons' configuration, and leave the checks for `host`."""
        controller = self._templates.fill(
            "ovn-controller.service.j2",
            DROP_IN,
            application=self.application,
            leaves=self._leaves,
            key=self.tls.key_path,
            chain=self.tls.chain_path,
            ca=self.tls.ca_path,
        )
        ports = self._templates.fill(
            "ports.service.j2",
            self._ports_unit,
            application=self.application,
            command=" ".join(program.command(HERE / "boot.py", self.application)),
        )
        if render.write(self.machine, controller, ports):
            self.machine.reload_systemd()
        unit = Path(self._ports_unit).name
        if unit not in self.machine.enabled_services(unit):
            self.machine.enable_services(unit)
        check = program.command(HERE / "check.py", self.application)
        registry.leave_check(self.machine, "after-start", self.application, *check)

    def bring(self, state: State) -> str:
        """Have Open vSwitch run, with bridges and all that ovn-controller is told through it; return where its tunnels end.

        Raises:
            VSwitchError: Open vSwitch does not do it.
            NeedsOperatorError: What the operator wants cannot be on this machine.
        """
        is_new = SWITCH_DATABASE not in self.switch.units
        if not self.switch.ensure_running([self._service(SWITCH_DATABASE)]) and is_new:
            self.machine.write(self._former_switch, "")
        present, datapath = self.vswitch.read(), self._decide_datapath()
        # TCP between virtual machines hangs over veth without it; it is read at a start only.
        wanted = {"userspace-tso-enable": "true" if datapath == USERSPACE else None}
        self.vswitch.set_options("other_config", wanted, present.other_config)
        self.switch.ensure_running([self._service(unit) for unit in (SWITCH, SWITCH_DAEMON)])
        plan = self.bridges.plan(state.settings, present, data=state.place.interface, datapath=datapath)
        self.bridges.bring(state.settings, plan, present, datapath=datapath)
        for bridge in set(self.mover.addressed) - plan.interfaces.keys():
            self.mover.forget(bridge)
        if plan.tunnel:
            self.mover.give_address(plan.tunnel, tunnel_address(state.settings.tunnel_network, state.place))
        ids = self._external_ids(state, plan, datapath)
        self.vswitch.set_options("external_ids", ids, present.external_ids)
        return self.tunnel_address(state, plan)

    @property
    def datapath(self) -> str:
        """Who forwards packets on this machine, as it was decided; empty before that."""
        return self.machine.read(self._datapath) or ""

    def _decide_datapath(self) -> str:
        """Return who forwards packets. A module that somebody loads later, or a kernel without it, does not change that.

        Raises:
            NeedsOperatorError: The kernel is to forward and has lost the module.
        """
        decided = self.datapath
        if not decided:
            decided = KERNEL if self.vswitch.has_module() else USERSPACE
            self.machine.write(self._datapath, decided)
        elif decided == KERNEL and not self.vswitch.has_module():
            raise NeedsOperatorError(
                "the kernel forwards packets on this machine, and has no module openvswitch any more: start a kernel that has it, or "
                "remove the unit and add it again"
            )
        return decided

    def _external_ids(self, state: State, plan: Plan, datapath: str) -> dict[str, str | None]:
        """Return what ovn-controller goes by (ovn-controller(8), "Configuration")."""
        settings = state.settings
        mappings = sorted(settings.physnets.items())
        macs = [f"{physnet}:{own_mac(f'{state.name} {physnet}')}" for physnet, _ in mappings]
        return {
            "system-id": state.name,
            "hostname": state.name,
            "ovn-remote": state.remote,
            "ovn-remote-probe-interval": str(PROBE_MILLISECONDS),
            "ovn-openflow-probe-interval": str(PROBE_SECONDS),
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": self.tunnel_address(state, plan),
            # ovn-controller would take it by itself; the metadata agent complains without it.
            "ovn-bridge": INTEGRATION,
            "ovn-bridge-datapath-type": datapath,
            "ovn-bridge-mappings": ",".join(f"{physnet}:{bridge}" for physnet, bridge in mappings) or None,
            # Each chassis sends from an address of its own into VLANs that several route for.
            "ovn-chassis-mac-mappings": ",".join(macs) or None,
            "ovn-cms-options": "enable-chassis-as-gw" if settings.gateway else None,
        }

    @staticmethod
    def tunnel_address(state: State, plan: Plan) -> str:
        """Return where this chassis' tunnels end."""
        if plan.tunnel:
            return tunnel_address(state.settings.tunnel_network, state.place).partition("/")[0]
        return state.place.address

    def apply(self) -> None:
        """Have ovn-controller run; one that runs with an older configuration is left for `outdated`."""
        self.services.ensure_running([self._service(unit) for unit in (UMBRELLA, CONTROLLER)])
        self.tap_guard.apply(needed=self.datapath == USERSPACE)

    def outdated(self) -> bool:
        """Return whether ovn-controller runs with an older configuration or program, or Open vSwitch for another datapath.

        Packets flow on while ovn-controller restarts. Open vSwitch takes another version when the machine starts.
        """
        return bool(self._outdated())

    def restart(self) -> None:
        """Restart what is outdated."""
        for unit in self._outdated():
            services = self.services if unit == CONTROLLER else self.switch
            services.restart(self._service(unit))

    def _outdated(self) -> list[str]:
        switch = self.switch.outdated([self._service(SWITCH_DAEMON)])
        older = {one.unit for one in (*switch, *self.services.outdated([self._service(CONTROLLER)]))}
        if CONTROLLER in self.services.units:
            older |= self.machine.outdated_programs(CONTROLLER)
        return sorted(older, reverse=True)

    def stop(self) -> None:
        """Stop ovn-controller, and keep it stopped; Open vSwitch goes on with the flows that it has."""
        self.services.stop(CONTROLLER, UMBRELLA)

    @property
    def was_started(self) -> bool:
        """Whether ovn-controller has been started, be it well or not, and not stopped since."""
        return CONTROLLER in self.services.units

    def leave(self) -> None:
        """Take the chassis out of OVN, and all that it has brought off the machine; addresses go back where they were."""
        self.machine.write(self._leaves, "")
        self.stop()
        self.tap_guard.remove()
        self.machine.remove(self._leaves)
        if SWITCH_DATABASE not in self.switch.units:
            return
        self.switch.ensure_running([self._service(unit) for unit in SWITCH_UNITS])
        present = self.vswitch.read()
        self.bridges.remove()
        for bridge in self.mover.addressed:
            self.mover.forget(bridge)
        mine = {key: None for key in present.external_ids if key.startswith("ovn-")}
        self.vswitch.set_options("external_ids", mine, present.external_ids)
        self.vswitch.set_options("other_config", {"userspace-tso-enable": None}, present.other_config)
        if not self.machine.exists(self._former_switch):
            self.switch.stop(*SWITCH_UNITS)
        self.machine.stop_services(Path(self._ports_unit).name)

    def forget(self) -> None:
        """Give the machine its former id back, before the unit's own files go."""
        if (former := self.machine.read(self._former_id)) is not None:
            self.machine.write(SYSTEM_ID, former)
        else:
            self.machine.remove(SYSTEM_ID)

    def clear(self) -> None:
        """Delete what Open vSwitch leaves when its package has gone."""
        if not self.machine.package_versions(("openvswitch-switch",)):
            for name in ("conf.db", ".conf.db.~lock~"):
                self.machine.remove(f"/var/lib/openvswitch/{name}")
        self.machine.remove(f"/var/lib/openinfra/{SWITCH_RECORDS}")

    # How it is

    def why_not_ready(self) -> str | None:
        """Return why this machine does not do its part; None if it does."""
        answer = self.machine.run(
            "ovn-appctl", "-T", "10", "-t", "ovn-controller", "connection-status", check=False
        )
        if answer.code:
            return "ovn-controller does not answer"
        if answer.stdout.strip() != "connected":
            return f"ovn-controller does not reach the southbound database: {answer.stdout.strip()}"
        return None

    def is_ready(self) -> bool:
        """Return whether ovn-controller is connected."""
        return self.why_not_ready() is None

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until it is so, but no longer than this; return whether it is."""
        return self.machine.wait_until(self.is_ready, seconds)

    def mtu(self, interface: str) -> int:
        """Return the largest packet that an interface takes; 0 where it is unknown."""
        return int((self.machine.read(f"/sys/class/net/{interface}/mtu") or "0").strip())

    def oversized(self, room: int) -> dict[str, int]:
        """Return the interfaces of virtual machines that send packets too large for tunnels and for provider networks, with their MTU.

        Args:
            room: What is left for virtual machines in a tunnel.

        Raises:
            VSwitchError: Open vSwitch does not answer.
        """
        present = self.vswitch.read()
        mapped = {
            word.partition(":")[2] for word in present.external_ids.get("ovn-bridge-mappings", "").split(",")
        }
        provided = {
            self.mtu(port)
            for bridge in present.bridges.values()
            if bridge.name in mapped
            for port in bridge.ports
        }
        guests = self.vswitch.guests()
        return {name: mtu for name, mtu in guests.items() if mtu > room and mtu not in provided}

    def is_reached(self, address: str, mtu: int) -> bool:
        """Return whether packets of full size reach an address unfragmented."""
        # What ICMP and IP add to what is counted.
        size = mtu - (48 if ":" in address else 28)
        argv = ("ping", "-c", "1", "-W", "1", "-M", "do", "-s", str(size), address)
        return self.machine.run(*argv, check=False).code == 0

    @property
    def unreached(self) -> dict[str, str]:
        """What packets of full size have not reached when it was looked last: what is to be said of it, by unit."""
        return json.loads(self.machine.read(self._unreached) or "{}")

    def note_unreached(self, units: dict[str, str]) -> None:
        """Keep what was not reached."""
        if units:
            self.machine.write(self._unreached, f"{json.dumps(units, indent=1, sort_keys=True)}\n")
        else:
            self.machine.remove(self._unreached)

    def _service(self, unit: str) -> Service:
        read_at_start = {CONTROLLER: DROP_IN, SWITCH_DAEMON: self._datapath}
        content = self.machine.read(read_at_start[unit]) if unit in read_at_start else ""
        return Service(unit=unit, inputs=(content or "",))


def tenant_mtu(mtu: int, address: str) -> int:
    """Return the largest packet of a virtual machine that fits into a tunnel between such addresses."""
    return mtu - OVERHEAD[6 if ":" in address else 4]
