"""The address of an interface moves with it into a bridge, and back if the machine cannot be reached afterwards.

Whatever systemd-networkd does for the interface it does for the bridge then: the same file but for whom it is for. Both files
and the port come at once. What answered on that network before has to answer again within seconds; else all of it is taken
back, by this hook, or by a timer of systemd if the hook is dead.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.status import NeedsOperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from links import Link
    from openinfra_charm.machine import Machine
    from vswitch import VSwitch

FOLDER = "/etc/systemd/network"
REACH_SECONDS = 20
"""How long the machine may not be reached: DHCP has to answer the bridge, and switches learn where it is."""
WATCHDOG_SECONDS = 45
NETWORKD = "systemd-networkd.service"
_LEASES = "/run/systemd/netif/leases"


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """The two files of networkd's: the bridge's, and the one that leaves the interface without an address."""

    bridge: str
    port: str


def files_of(bridge: str) -> Files:
    """Return the files' names. They come before those that netplan and others make."""
    return Files(
        bridge=f"{FOLDER}/05-openinfra-{bridge}.network", port=f"{FOLDER}/05-openinfra-{bridge}-port.network"
    )


class Mover:
    """Moves addresses between interfaces and bridges of one machine."""

    def __init__(self, machine: Machine, application: str, vswitch: VSwitch) -> None:
        self._machine = machine
        self._application = application
        self._vswitch = vswitch
        self.neighbours: Sequence[str] = ()
        """Addresses of other machines that may answer, beside the default gateway."""

    def move(self, link: Link, bridge: str) -> None:
        """Put an interface into a bridge of its own, with its addresses.

        Raises:
            NeedsOperatorError: The network is not networkd's, nobody answers there, or the machine was not reached afterwards: then
                all is as it was.
        """
        source = self._network_file(link.name)
        targets = [host for host in self._candidates(link.name) if self._answers(host)]
        if not targets:
            raise NeedsOperatorError(
                f"{link.name} has the address {link.addresses[0]}, and nobody answers there who could show that it is reached "
                f"afterwards: put it into {bridge} by hand"
            )
        files = files_of(bridge)
        self._set_watchdog(link.name, bridge, files)
        self._machine.write(files.port, _port_file(self._application, link))
        self._machine.write(
            files.bridge, _bridge_file(self._application, bridge, source, self._iaid(link.name))
        )
        self._vswitch.add_bridge(bridge, "system", mac=link.mac, port=link.name)
        self._reload(link.name, bridge)
        reached = self._machine.wait_until(lambda: any(map(self._answers, targets)), REACH_SECONDS)
        if not reached:
            self.move_back(bridge, link.name)
            self._vswitch.remove_bridge(bridge)
        self._machine.run("systemctl", "stop", f"{self._watchdog}.timer", check=False)
        if not reached:
            raise NeedsOperatorError(
                f"{link.name} was moved into {bridge} with its address, and {', '.join(targets)} did not answer within "
                f"{REACH_SECONDS} s: it is where it was"
            )

    def move_back(self, bridge: str, port: str) -> None:
        """Give an interface the addresses back that have moved into a bridge with it; where none have, nothing changes."""
        files = files_of(bridge)
        if not self._machine.exists(files.port):
            return
        for path in (files.port, files.bridge):
            self._machine.remove(path)
        self._vswitch.remove_port(bridge, port)
        self._reload(port)

    def give_address(self, bridge: str, address: str) -> None:
        """Have a bridge keep an address of its own, whenever Open vSwitch makes its interface anew.

        Raises:
            NeedsOperatorError: The network is not networkd's.
        """
        content = (
            f"# Written by openinfra for the application {self._application}: where tunnels end.\n"
            f"[Match]\nName={bridge}\n\n[Link]\nActivationPolicy=up\nRequiredForOnline=no\n\n"
            f"[Network]\nAddress={address}\nConfigureWithoutCarrier=yes\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        )
        if self._machine.read(files_of(bridge).bridge) != content:
            self._require_networkd()
            self._machine.write(files_of(bridge).bridge, content)
            self._reload(bridge)

    def forget(self, bridge: str) -> None:
        """Take the file of a bridge's own address away."""
        self._machine.remove(files_of(bridge).bridge)

    @property
    def addressed(self) -> list[str]:
        """The bridges for which there is a file of networkd's."""
        names = self._machine.list_folder(FOLDER)
        found = (re.fullmatch(r"05-openinfra-(.+?)(-port)?\.network", name) for name in names)
        return sorted({match[1] for match in found if match})

    def _require_networkd(self) -> None:
        if self._machine.service_states(NETWORKD)[NETWORKD] != "active":
            raise NeedsOperatorError(
                "systemd-networkd does not run here: only with it can bridges have addresses of the machine"
            )

    def _network_file(self, name: str) -> str:
        """Return what networkd goes by for an interface."""
        self._require_networkd()
        answer = self._machine.run("networkctl", "--json=short", "status", name, check=False)
        path = json.loads(answer.stdout or "{}").get("NetworkFile") if answer.code == 0 else None
        text = self._machine.read(path) if path else None
        if text is None:
            raise NeedsOperatorError(
                f"{name} has an address that systemd-networkd does not manage, so it cannot move into a bridge with it"
            )
        return text

    def _candidates(self, name: str) -> list[str]:
        routes: list[dict[str, Any]] = json.loads(
            self._machine.run("ip", "-json", "route", "show", "default", "dev", name).stdout or "[]"
        )
        gateways = [route["gateway"] for route in routes if "gateway" in route]
        return [*gateways, *self.neighbours]

    def _answers(self, host: str) -> bool:
        return self._machine.run("ping", "-c", "1", "-W", "1", host, check=False).code == 0

    def _iaid(self, name: str) -> str:
        """Return by what a DHCP server knows the interface beside its machine; empty where it has no lease of that kind."""
        index = (self._machine.read(f"/sys/class/net/{name}/ifindex") or "").strip()
        found = re.search(
            r"^CLIENTID=ff([0-9a-f]{8})", self._machine.read(f"{_LEASES}/{index}") or "", re.MULTILINE
        )
        return str(int(found[1], 16)) if found else ""

    def _reload(self, *names: str) -> None:
        self._machine.run("networkctl", "reload", check=False)
        self._machine.run("networkctl", "reconfigure", *names, check=False)

    @property
    def _watchdog(self) -> str:
        return f"{self._application}-move-back"

    def _set_watchdog(self, name: str, bridge: str, files: Files) -> None:
        """Have systemd take all of it back unless it is told otherwise in time."""
        script = Path(__file__).parent / "files/move-back"
        self._machine.run(
            "systemd-run", "--quiet", "--collect", f"--on-active={WATCHDOG_SECONDS}", f"--unit={self._watchdog}",
            "sh", str(script), bridge, name, files.bridge, files.port,
        )  # fmt: skip


def _port_file(application: str, link: Link) -> str:
    """Return the file that leaves an interface to its bridge, by what is burnt into it: its name may change."""
    return (
        f"# Written by openinfra for the application {application}: the bridge has this interface's addresses.\n"
        f"[Match]\nPermanentMACAddress={link.mac}\n\n[Link]\nRequiredForOnline=no\n\n"
        "[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )


def _bridge_file(application: str, bridge: str, source: str, iaid: str) -> str:
    """Return the file that does for a bridge what another one does for its interface."""
    body = re.sub(r"^\[(Match|Link)\]\n(?:(?!\[).*\n?)*", "", source, flags=re.MULTILINE).strip()
    same = f"\n\n[DHCPv4]\nIAID={iaid}" if iaid and "ClientIdentifier=mac" not in body else ""
    return (
        f"# Written by openinfra for the application {application}: what networkd did for the bridge's interface.\n"
        f"[Match]\nName={bridge}\n\n[Link]\nActivationPolicy=up\n\n{body}{same}\n"
    )
