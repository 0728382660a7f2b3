"""Faults that strike whatever goes on: power, clocks, disks, links, time, leaders, credentials, whole machines."""

from __future__ import annotations

import contextlib
import errno
from functools import partial
from typing import TYPE_CHECKING

from openinfra_model.core import leadership
from openinfra_model.core.errors import ModelError
from openinfra_model.rehearsal import operator
from openinfra_model.rehearsal.commands import do, first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_model.rehearsal.world import World

FAULTS = (
    "kill",
    "power",
    "overlap",
    "blackout",
    "leader",
    "delay",
    "clock",
    "age",
    "outage",
    "rotate",
    "disk",
    "links",
)
"""A hook's or a job's process killed at a change, its machine losing power there, other units' hooks running from
beginning to end there; all machines losing power; another leader; and time enough for every timer. A clock that is wrong,
or right again; certificates that get old, or expire while no machine runs; a credential replaced amid all else. A disk that cannot be
read, until it works again. Links that services plant in their own folders, to what is root's."""
GIVE_UP = "give-up"
HARD = ("lose", "away", "swap", "record", GIVE_UP)
"""Faults that not every bundle bears, and that strike only where they are named: a machine that dies for good amid all and
is replaced, one that has no power while the operator does something else, a disk that dies and is swapped for an empty one
of the same name, and a machine that loses its power when its next job has done its work, before that is on record, while the
operator goes on. With the last the operator may also give units up by force, among all that she undertakes."""
SLOW = ("clock", "age", "outage", "rotate", "disk")
"""Those of them that strike at rest too, between operations: there most of them happen."""
AT_REST = (*SLOW, "away", "swap")
ONLY_AT_REST = ("disk", "swap")
"""Those that strike only there. What an operator does next she does with disks that work: a dead one stops it, as it should."""
DAY = 86400.0
JUMPS = (-3600.0, 3600.0, -400 * DAY, 400 * DAY)
"""By how many seconds a machine's clock is wrong: a time zone, an empty battery."""
AGES = (70 * DAY, 100 * DAY, 2500 * DAY)
"""How much time may pass: two thirds of the life of usual certificates, all of it, and two thirds of a CA's."""


class Faults:
    """Strikes a world at once; what strikes a hook or a job in the middle of its work is the play's."""

    def __init__(self, world: World, pick: Callable[[int], int], tell: Callable[[str], None]) -> None:
        """Strike a world.

        Args:
            world: The model and its machines.
            pick: Draws one of so many.
            tell: Notes what has happened.
        """
        self._world = world
        self._pick = pick
        self._tell = tell

    def by_name(self) -> dict[str, Callable[[], None]]:
        """Return what each kind of fault does."""
        return {
            "blackout": self._black_out,
            "leader": self._change_leader,
            "delay": self._delay,
            "clock": self._disturb_clock,
            "age": partial(self._age, off=False),
            "outage": partial(self._age, off=True),
            "rotate": self._rotate,
            "disk": self._disturb_disk,
            "links": self._plant_links,
            "lose": self._lose,
        }

    def _black_out(self) -> None:
        self._world.power_off(*(name for name, machine in self._world.machines.items() if machine.powered))
        self._tell("all machines lose power")

    def _plant_links(self) -> None:
        names = list(self._world.machines)
        name = names[self._pick(len(names))]
        self._tell(f"services on machine {name} plant {self._world.plant_links(name)} links")

    def _delay(self) -> None:
        self._world.wait()
        self._tell("time passes")

    def _change_leader(self) -> None:
        units = [
            unit.name
            for unit in self._world.state.units
            if self._world.state.agents[unit.name].running
            and leadership.leader(self._world.state, unit.application) != unit.name
        ]
        if units:
            unit = units[self._pick(len(units))]
            leadership.hand_over(self._world.state, unit, self._world.now)
            self._tell(f"{unit} leads its application now")

    def _disturb_clock(self) -> None:
        """Have a machine's clock jump; one that is wrong is set, as by the first answer of a time server."""
        if wrong := self._world.wrong_clocks():
            self.set_clock(wrong[self._pick(len(wrong))])
            return
        names = list(self._world.machines)
        name, jump = names[self._pick(len(names))], JUMPS[self._pick(len(JUMPS))]
        self._world.machines[name].drift = jump
        self._tell(f"the clock of machine {name} jumps by {jump / 3600:+g} hours")

    def _disturb_disk(self) -> None:
        """Let a disk be read no more: its cable is loose."""
        if working := self._world.working_disks():
            name, path = working[self._pick(len(working))]
            self._world.break_disk(name, path, errno.EIO)
            self._tell(f"{path} of machine {name} cannot be read any more")

    def _age(self, *, off: bool) -> None:
        """Let so much time pass that certificates are due or have expired; with `off`, no machine runs meanwhile."""
        if off:
            self._world.power_off(
                *(name for name, machine in self._world.machines.items() if machine.powered)
            )
        seconds = AGES[self._pick(len(AGES))]
        self._world.pass_time(seconds)
        self._tell(f"{'all machines are off for' if off else 'nothing happens for'} {seconds / DAY:g} days")

    def _rotate(self) -> None:
        """Have an operator replace a credential, whatever else goes on; it may be refused."""
        if possible := operator.rotations(self._world):
            command = possible[self._pick(len(possible))]
            with contextlib.suppress(ModelError):
                do(self._world, command)
                self._tell(f"the operator, meanwhile: {first_line(command)}")

    def _lose(self) -> None:
        """Have a machine die for good whatever else goes on; an operator replaces it."""
        if machines := operator.expendable(self._world):
            chosen = machines[self._pick(len(machines))]
            for command in operator.lose_machine(self._world, chosen):
                do(self._world, command)
                self._tell(f"the operator, meanwhile: {command}")

    def set_clock(self, name: str) -> None:
        """Have a machine's clock be right again."""
        self._world.machines[name].drift = 0
        self._tell(f"the clock of machine {name} is right again")

    def mend_disks(self) -> None:
        """Have every disk work again."""
        for name, path in self._world.broken_disks():
            self._world.break_disk(name, path, 0)
            self._tell(f"{path} of machine {name} works again")
