"""What every rehearsal is expected to come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_model.rehearsal.rehearse import Rehearsal

if TYPE_CHECKING:
    from openinfra_model.rehearsal.play import Plot
    from openinfra_model.rehearsal.stage import Stage


def assert_holds(stage: Stage, plot: Plot, schedules: int) -> None:
    """Play so many schedules, the same each time; fail with what was found."""
    report = Rehearsal(stage, plot).run(schedules, seed=1)
    assert report.found is None, f"{report.found.invariant}: {report.found.what}"
    assert report.schedules == schedules
