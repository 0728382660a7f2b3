"""What a unit says of itself when nothing is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from openinfra_charm.daemon.job import Jobs


def statuses(unit: str, jobs: Jobs, problems: Iterable[str], *, leaving: bool) -> Iterator[ops.StatusBase]:
    """Yield every reason that the unit's status has.

    Args:
        unit: Its name.
        jobs: Its jobs.
        problems: What is not well, though everything serves.
        leaving: Whether its removal has been prepared.
    """
    if leaving:
        yield ops.ActiveStatus(
            f"ready for juju remove-unit {unit}; to keep it: juju run {unit} prepare-removal cancel=true"
        )
    for problem in dict.fromkeys(problems):
        yield ops.ActiveStatus(problem)
    for record in jobs.all()[-1:]:
        if record.state == "failed":
            yield ops.ActiveStatus(f"{record.id} failed: {record.progress}")
        if record.ended is None:
            yield ops.ActiveStatus(f"{record.id}: {record.progress or record.state}")
