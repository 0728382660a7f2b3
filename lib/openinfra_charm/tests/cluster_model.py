"""A model for tests of a charm whose units are the members of one cluster."""

import dataclasses
from typing import Any

import model
import ops
import ops.hookcmds
from model import PEERS

from openinfra_charm.daemon import job
from openinfra_charm.machine import use

CERTIFICATES = PEERS + 1
"""The id of the relation with who signs certificates."""
JOB_SECONDS = 3600
"""Longer than any job takes."""


class ClusterModel(model.Model):
    """The members. What they ask the `authority` for is signed at once, and jobs that a hook has started run behind it.

    `leaving` are units that are on their way out, as goal state has it.
    """

    authority: Any = None

    def __init__(self, *args, **options):
        self.leaving = set()
        super().__init__(*args, **options)

    def remove_unit(self, number):
        """Remove a unit that lives; as long as its hooks fail it is on its way out."""
        self.leaving.add(number)
        super().remove_unit(number)

    def _patch(self, patched, number):
        super()._patch(patched, number)
        patched.setattr(ops.hookcmds, "relation_get", self._relation_get)

    def _relation_get(self, _relation, *, unit):
        return dict(self.unit_data.get(_number(unit), {}))

    def _goal_state(self):
        goal = super()._goal_state()
        units = {
            unit: dataclasses.replace(one, status="dying" if _number(unit) in self.leaving else "active")
            for unit, one in goal.units.items()
        }
        return dataclasses.replace(goal, units=units)

    def _play(self, number, event, **options):
        super()._play(number, event, **options)
        machine = self.machines[number]
        for application, job_id in machine.jobs():
            with use(machine), machine.waiting(JOB_SECONDS):
                job.main(application, job_id)
            machine.job_ended(application, job_id)

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        if CERTIFICATES in self.relations and self.sign(CERTIFICATES, self.authority):
            self.wake(CERTIFICATES)


def _number(unit):
    return int(unit.partition("/")[2])
