"""Where backups of this unit go, and when one is made without being asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import backup
import store
from openinfra_charm.daemon import registry, render
from openinfra_charm.daemon.services import Service
from openinfra_charm.interfaces import s3
from openinfra_charm.machine import program
from openinfra_charm.model import databag
from openinfra_charm.model.status import ConfigError, NeedsOperatorError

if TYPE_CHECKING:
    import ops

    from mysql import MySql
    from openinfra_charm.daemon.render import File
    from openinfra_charm.interfaces.s3 import Bucket
    from state import Members, Settings
    from store import Backup

HERE = Path(__file__).parent


@dataclass(kw_only=True)
class Schedule:
    """The place of this unit's backups, and the timer that makes them on one of the members."""

    model: ops.Model
    members: Members
    mysql: MySql

    @property
    def _timer(self) -> str:
        return f"{self.mysql.application}-backup.timer"

    @property
    def _service(self) -> str:
        return f"{self.mysql.application}-backup.service"

    @property
    def _relation(self) -> ops.Relation | None:
        return databag.active_relation(self.model, "s3-parameters")

    @cached_property
    def _found(self) -> tuple[Bucket | None, list[str]]:
        """The bucket that s3-parameters names, or why it cannot be used; what a hook reads of both stays as it is."""
        relations = [self._relation] if self._relation else []
        found, problems = databag.read_each(relations, partial(s3.read, self.model))
        return next(iter(found.values()), None), problems

    @property
    def problems(self) -> list[str]:
        """Why the bucket that s3-parameters names cannot be used; nothing where it can."""
        return self._found[1]

    def arguments(self, settings: Settings) -> dict[str, str]:
        """Return where backups are kept, as the jobs want it.

        Raises:
            NeedsOperatorError: The bucket cannot be used.
        """
        bucket, problems = self._found
        if problems:
            raise NeedsOperatorError(problems[0])
        return {"folder": settings.backup_directory, "place": store.place(bucket) if bucket else ""}

    def backups(self, settings: Settings) -> list[Backup]:
        """Return this unit's complete backups, the oldest first.

        Raises:
            NeedsOperatorError: The bucket cannot be used.
            StoreError: The object store does not answer, or refuses.
        """
        kept = store.find(self.mysql.machine, self.mysql.application, **self.arguments(settings))
        return kept.backups()

    def apply(self, settings: Settings) -> None:
        """Bring this machine to what the model says of backups; as long as that cannot be used, all stays as it is.

        Raises:
            ConfigError: The schedule is none.
        """
        relation = self._relation
        if relation and self.model.unit.is_leader():
            s3.send_request(relation, self.model.app)
        bucket, problems = self._found
        if problems:
            return
        is_scheduled = bool(settings.backup_schedule) and self._who() == self.model.unit.name
        if bucket or is_scheduled:
            # What is in a bucket is listed also where no backup was made yet.
            backup.install(self.mysql)
        store.configure(self.mysql.machine, self.mysql.application, bucket)
        if is_scheduled:
            self._run(settings)
        else:
            self._stop()

    def remove(self) -> None:
        """Take it all off the machine, but for the backups."""
        self._stop()
        store.configure(self.mysql.machine, self.mysql.application, None)
        registry.uninstall(self.mysql.machine, f"{self.mysql.application}-backup")

    def _run(self, settings: Settings) -> None:
        """Have the timer run."""
        timer = self._timer_file(settings)
        if render.write(self.mysql.machine, timer, self._service_file(settings)):
            self.mysql.machine.reload_systemd()
        wanted, services = Service(unit=self._timer, inputs=(timer.content,)), self.mysql.services
        services.ensure_running([wanted])
        for outdated in services.outdated([wanted]):
            services.restart(outdated)

    def _stop(self) -> None:
        self.mysql.services.stop(self._timer)
        for unit in (self._timer, self._service):
            self.mysql.machine.remove(f"/etc/systemd/system/{unit}")

    def _who(self) -> str:
        """Return the unit that makes scheduled backups: the member that came last and takes no writes, if there is one."""
        able = [member.unit for member in self.members.present if member.joined and not member.leaving]
        others = [unit for unit in able if unit != self.members.writer]
        return (others or able or [""])[-1]

    def _timer_file(self, settings: Settings) -> File:
        schedule, path = settings.backup_schedule, f"/etc/systemd/system/{self._timer}"
        file = self.mysql.templates.fill(
            "backup.timer.j2", path, application=self.mysql.application, schedule=schedule
        )
        if self.mysql.machine.read(path) != file.content:
            checked = self.mysql.machine.run("systemd-analyze", "calendar", schedule, check=False)
            if checked.code:
                raise ConfigError(
                    "backup-schedule", schedule, "a calendar event as in systemd.time(7), such as daily"
                )
        return file

    def _service_file(self, settings: Settings) -> File:
        return self.mysql.templates.fill(
            "backup.service.j2",
            f"/etc/systemd/system/{self._service}",
            application=self.mysql.application,
            program=str(HERE / "scheduled.py"),
            path=program.search_path(),
            unit=self.model.unit.name,
            retention=settings.backup_retention,
            **self.arguments(settings),
        )
