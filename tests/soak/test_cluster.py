"""Daemons, machines and the controller die at random while clients write: no acknowledged write is ever lost."""

import time

from tests.integration.site import load

CALM_SECONDS = (2, 15)
DARK_SECONDS = (0, 20)
DAEMONS = ("ceph-osd", "ceph-mon", "ceph-mgr")


class Faults:
    """What can happen to a site; each is over when it returns, its consequences are not."""

    def __init__(self, site, controller, chance) -> None:
        self._site, self._controller, self._chance = site, controller, chance
        self.played: list[str] = []

    def strike(self) -> None:
        """Let something happen."""
        fault = self._chance.choice(
            (self.kill_daemon, self.cut_power, self.cut_all_power, self.kill_controller)
        )
        self.played.append(fault())

    def kill_daemon(self) -> str:
        unit, daemon = self._unit(), self._chance.choice(DAEMONS)
        self._site.shell(unit, f"pkill -9 {daemon}", check=False)
        return f"{daemon} of {unit} killed"

    def cut_power(self) -> str:
        unit = self._unit()
        return f"{self._darken(unit)} without {unit}'s machine"

    def cut_all_power(self) -> str:
        return f"{self._darken(*self._site.units('ceph'))} without any machine"

    def kill_controller(self) -> str:
        self._controller.kill()
        self._site.juju.status()  # starts the next one
        return "the controller killed"

    def _unit(self) -> str:
        return self._chance.choice(self._site.units("ceph"))

    def _darken(self, *units: str) -> str:
        seconds = self._chance.uniform(*DARK_SECONDS)
        self._site.power_off(*units)
        time.sleep(seconds)
        self._site.power_on(*units)
        return f"{seconds:.0f} s"


def test_nothing_acknowledged_is_lost(cloud, controller, chance, seconds, tell):
    faults = Faults(cloud, controller, chance)
    end = time.monotonic() + seconds
    writes = 0
    while not faults.played or time.monotonic() < end:
        writes += play_round(cloud, faults, chance, pool=f"soak-{len(faults.played)}")
        tell(faults.played[-1])
    tell(f"{len(faults.played)} faults, {writes} acknowledged writes, all read again")


def play_round(cloud, faults, chance, *, pool: str) -> int:
    """Write to a new pool while a fault strikes; return how many writes were acknowledged, all of them verified."""
    client = chance.choice(cloud.units("ceph"))
    cloud.run("ceph/0", "create-pool", name=pool, app_name="soak")
    with load(cloud, client, pool) as clients:
        time.sleep(chance.uniform(*CALM_SECONDS))
        faults.strike()
        time.sleep(chance.uniform(*CALM_SECONDS))
        cloud.wait_for_health(client)
        cloud.settle()
        seen = clients.stop()
        assert clients.verify() == seen["writes"] > 0, f"after {faults.played}"
    cloud.run("ceph/0", "delete-pool", name=pool, confirm=pool)
    return seen["writes"]
