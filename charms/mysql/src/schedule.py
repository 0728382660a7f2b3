"""Where backups of this unit go, and when one is made without being asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import backup
import store
from openinfra_charm.daemon import registry, render
from openinfra_charm.daemon.services import Service
from openinfra_charm.interfaces import s3
from openinfra_charm.machine import program
from openinfra_charm.model.status import ConfigError, NeedsOperatorError

if TYPE_CHECKING:
    import ops

    from charm import MySqlCharm
    from openinfra_charm.daemon.render import File
    from openinfra_charm.interfaces.s3 import Bucket

HERE = Path(__file__).parent


def arguments(charm: MySqlCharm) -> dict[str, str]:
    """Return where backups are kept, as the jobs want it."""
    found = _bucket(charm)
    place = store.place(found) if found else ""
    return {"folder": charm.settings.backup_directory, "place": place}


def kept(charm: MySqlCharm) -> store.Store:
    """Return where this unit's backups are kept."""
    where = arguments(charm)
    return store.find(charm.machine, charm.app.name, where["folder"], where["place"])


def apply(charm: MySqlCharm) -> None:
    """Bring this machine to what the model says of backups; as long as that cannot be used, all stays as it is."""
    relation = _relation(charm)
    if relation and charm.unit.is_leader():
        s3.send_request(relation, charm.app)
    if objection(charm):
        return
    bucket = _bucket(charm)
    store.configure(charm.machine, charm.app.name, bucket)
    is_scheduled = bool(charm.settings.backup_schedule) and _who(charm) == charm.unit.name
    if bucket or is_scheduled:
        # What is in a bucket is listed also where no backup was made yet.
        backup.install(charm.mysql)
    timer, service = (f"{charm.app.name}-backup.{kind}" for kind in ("timer", "service"))
    if not is_scheduled:
        charm.mysql.services.stop(timer)
        for unit in (timer, service):
            charm.machine.remove(f"/etc/systemd/system/{unit}")
        return
    timed = _timer(charm, timer)
    if render.write(charm.machine, timed, _service(charm, service)):
        charm.machine.reload_systemd()
    wanted = Service(unit=timer, inputs=(timed.content,))
    charm.mysql.services.ensure_running([wanted])
    for outdated in charm.mysql.services.outdated([wanted]):
        charm.mysql.services.restart(outdated)


def remove(charm: MySqlCharm) -> None:
    """Take it all off the machine, but for the backups."""
    charm.jobs.stop()
    for kind in ("timer", "service"):
        charm.mysql.services.stop(f"{charm.app.name}-backup.{kind}")
        charm.machine.remove(f"/etc/systemd/system/{charm.app.name}-backup.{kind}")
    store.configure(charm.machine, charm.app.name, None)
    registry.uninstall(charm.machine, f"{charm.app.name}-backup")


def _relation(charm: MySqlCharm) -> ops.Relation | None:
    relation = charm.model.get_relation("s3-parameters")
    return relation if relation and relation.active else None


def objection(charm: MySqlCharm) -> str:
    """Return why the bucket that s3-parameters names cannot be used; empty where nothing is wrong."""
    try:
        _bucket(charm)
    except NeedsOperatorError as error:
        return str(error)
    return ""


def _bucket(charm: MySqlCharm) -> Bucket | None:
    relation = _relation(charm)
    if relation is None:
        return None
    try:
        return s3.read(charm.model, relation)
    except s3.BadBucketError as error:
        raise NeedsOperatorError(f"{relation.app.name}, for s3-parameters: {error}") from error


def _who(charm: MySqlCharm) -> str:
    """Return the unit that makes scheduled backups: the member that came last and takes no writes, if there is one."""
    members = [
        unit
        for unit, _ in charm.cluster.shared["members"]
        if (m := charm.members.get(unit)) and m.joined and not m.leaving
    ]
    others = [unit for unit in members if unit != charm.cluster.shared.get("writer")]
    return (others or members or [""])[-1]


def _timer(charm: MySqlCharm, unit: str) -> File:
    schedule = charm.settings.backup_schedule
    path = f"/etc/systemd/system/{unit}"
    file = charm.mysql.templates.fill("backup.timer.j2", path, application=charm.app.name, schedule=schedule)
    if charm.machine.read(path) != file.content:
        checked = charm.machine.run("systemd-analyze", "calendar", schedule, check=False)
        if checked.code:
            raise ConfigError(
                "backup-schedule", schedule, "a calendar event as in systemd.time(7), such as daily"
            )
    return file


def _service(charm: MySqlCharm, unit: str) -> File:
    return charm.mysql.templates.fill(
        "backup.service.j2",
        f"/etc/systemd/system/{unit}",
        application=charm.app.name,
        program=str(HERE / "scheduled.py"),
        path=program.search_path(),
        unit=charm.unit.name,
        retention=charm.settings.backup_retention,
        **arguments(charm),
    )
