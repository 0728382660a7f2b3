"""Work on disks and machines that takes longer than a hook may."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from admin import CommandRefusedError, UnreachableError
from disk import DiskError
from openinfra_charm.daemon.job import JobError, NotNowError

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def reported() -> Generator[None]:
    """End the job with what the cluster and devices say.

    Raises:
        NotNowError: The monitors do not answer.
        JobError: A command was refused, or a device cannot be used.
    """
    try:
        yield
    except UnreachableError as error:
        raise NotNowError(str(error)) from error
    except (CommandRefusedError, DiskError) as error:
        raise JobError(str(error)) from error
