"""What the command line can ask of the controller."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import random
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from openinfra_model import bundle
from openinfra_model.charm import OptionError
from openinfra_model.charm_archive import read_archive
from openinfra_model.controller import deployment
from openinfra_model.controller.log import ModelLog
from openinfra_model.controller.runner import Runner
from openinfra_model.core import actions, applications, configuration, hooks, models, show
from openinfra_model.core import storage as storages
from openinfra_model.core.core import Core
from openinfra_model.core.errors import ModelError
from openinfra_model.core.ids import Ids
from openinfra_model.core.state import State
from openinfra_model.core.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from openinfra_model.charm import Charm
    from openinfra_model.core.entities import OptionValue
    from openinfra_model.machines.containers import Containers
    from openinfra_model.paths import Paths
    from openinfra_model.store import Store

_logger = logging.getLogger(__name__)
_CURRENT_MODEL = "current-model"
_PAUSE_SECONDS = 60.0
_MODEL_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Service:
    """The models, and every verb on them. Refusals are ModelError, CharmError or DocumentError."""

    def __init__(self, store: Store, containers: Containers, paths: Paths) -> None:
        self._store = store
        self._containers = containers
        self._paths = paths
        self._shelf = deployment.FileShelf(paths.state / "files")
        self._runners: dict[str, Runner] = {}  # by the model's name
        self._hosting: dict[str, asyncio.Task[None]] = {}  # by it too
        self._broken: dict[str, str] = {}  # by it too: why a model is not hosted
        self._tasks = asyncio.TaskGroup()
        self._stop = asyncio.Event()
        self.own_verbs: Mapping[str, Callable[..., Any]] = {
            "add_model": self.add_model,
            "models": self.models,
            "switch": self.switch,
        }
        """What needs no model."""
        self.model_verbs: Mapping[str, Callable[..., Any]] = {
            "activity": self.activity,
            "add_storage": self.add_storage,
            "attach_resource": self.attach_resource,
            "deploy": self.deploy,
            "deploy_bundle": self.deploy_bundle,
            "destroy_model": self.destroy_model,
            "execute": self.execute,
            "instance": self.instance,
            "log_file": self.log_file,
            "refresh": self.refresh,
            "wait_for_operation": self.wait_for_operation,
        }
        """What needs files, machines or time beside the model's rules."""

    async def run(self) -> None:
        """Host the models until `stop`."""
        async with self._tasks:
            for uuid in self._store.models():
                self._resume(uuid)
            await self._stop.wait()
            for runner in self._runners.values():
                runner.stop()

    def stop(self) -> None:
        """Begin nothing new; `run` returns when the hooks that run have ended."""
        self._stop.set()

    async def call(self, verb: str, model: str, arguments: dict[str, Any]) -> Any:
        """Answer one request; `model` is empty for the current one."""
        if function := VERBS.get(verb):
            return self._call(self._runner(model), function, arguments)
        if function := self.own_verbs.get(verb):
            return await _settled(function(**arguments))
        if function := self.model_verbs.get(verb):
            return await _settled(function(self._runner(model), **arguments))
        raise ModelError(
            f"the running controller is of another version and does not know {verb!r}: end it (kill {os.getpid()}) and try again"
        )

    # The controller's verbs

    def models(self) -> dict[str, Any]:
        """List the models and which one is current."""
        return {
            "models": [
                shown for runner in self._runners.values() for shown in show.model(runner.core.state).values()
            ],
            "current-model": self._store.setting(_CURRENT_MODEL),
        }

    def add_model(self, name: str, config: Mapping[str, str], *, switch: bool) -> None:
        """Add a model."""
        if not _MODEL_NAME.fullmatch(name):
            raise ModelError(
                f'"{name}" is not a valid name: model names may only contain lowercase letters, digits and hyphens'
            )
        if name in self._runners:
            raise ModelError(f'model "{name}" already exists')
        state, now = State(_ids()), time.time()
        models.create(state, name, now=now)
        configuration.set_model(state, config, now)
        self._host(state).commit()
        if switch or not self._store.setting(_CURRENT_MODEL):
            self._store.set(_CURRENT_MODEL, name)

    def switch(self, name: str) -> str:
        """Make a model the current one, unless the name is empty; return the current one."""
        if name:
            self._store.set(_CURRENT_MODEL, self._runner(name).core.state.model.name)
        return self._store.setting(_CURRENT_MODEL)

    # A model's verbs

    def deploy(
        self,
        runner: Runner,
        charm: str,
        *,
        application: str,
        base: str,
        units: int | None,
        to: Sequence[str],
        config: Mapping[str, str],
        storage: Mapping[str, str],
        resources: Mapping[str, str],
        trust: bool,
        constraints: str,
        bindings: Mapping[str, str],
        dry_run: bool = False,
    ) -> str:
        """Deploy one charm, or only try it; return its application's name."""
        found = read_archive(Path(charm))
        name = application or found.name
        state, shelf = (
            (self._copy(runner), deployment.UnkeptShelf()) if dry_run else (runner.core.state, self._shelf)
        )
        archive, _ = shelf.keep(Path(charm))
        wanted = applications.Deployment(
            name=name,
            charm=found,
            archive=archive,
            base=base or _default_base(found),
            units=1 if units is None else units,
            to=to,
            config=_options(found, config),
            trust=trust,
            constraints=constraints,
            storage={
                store: deployment.storage_directive(found, store, text) for store, text in storage.items()
            },
            resources=shelf.keep_all({key: Path(path) for key, path in resources.items()}),
            bindings=bindings,
        )
        applications.deploy(state, wanted, now=time.time())
        runner.commit()
        return name

    async def deploy_bundle(
        self,
        runner: Runner,
        path: str,
        overlays: Sequence[str],
        *,
        map_machines: str = "",
        dry_run: bool = False,
    ) -> dict[str, list[str]]:
        """Deploy a bundle, or bring the model to it; nothing is changed when any part is refused, or it is only tried.

        Returns:
            The `changes`, and `warnings` about what is ignored.
        """
        wanted = await asyncio.to_thread(bundle.load, Path(path), [Path(overlay) for overlay in overlays])
        now = time.time()
        changes = deployment.apply_bundle(
            self._copy(runner), wanted, deployment.UnkeptShelf(), now, map_machines=map_machines
        )
        if not dry_run:
            deployment.apply_bundle(runner.core.state, wanted, self._shelf, now, map_machines=map_machines)
            runner.commit()
        return {"changes": changes, "warnings": list(wanted.warnings)}

    def _copy(self, runner: Runner) -> State:
        """Return a model as it is stored, to try something on."""
        return State.load(self._store.load(runner.core.state.model.uuid), _ids())

    def refresh(self, runner: Runner, application: str, path: str, resources: Mapping[str, str]) -> str:
        """Give an application another revision of its charm; return its URL."""
        archive, _ = self._shelf.keep(Path(path))
        url = applications.refresh(
            runner.core.state,
            application,
            read_archive(Path(path)),
            archive=archive,
            resources=self._shelf.keep_all({key: Path(file) for key, file in resources.items()}),
            now=time.time(),
        )
        runner.commit()
        return url

    def attach_resource(self, runner: Runner, application: str, name: str, path: str) -> None:
        """Give an application another file for a resource."""
        applications.attach_resource(runner.core.state, application, name, *self._shelf.keep(Path(path)))
        runner.commit()

    def add_storage(self, runner: Runner, unit: str, storage: Mapping[str, str | None]) -> list[str]:
        """Add storage to a unit; return the ids."""
        state = runner.core.state
        if unit not in state.units:
            raise ModelError(f'unit "{unit}" not found')
        charm = state.charm_of(state.applications[state.units[unit].application]).charm
        directives = {
            name: None if text is None else deployment.storage_directive(charm, name, text)
            for name, text in storage.items()
        }
        added: list[str] = []
        for name, directive in directives.items():
            added += storages.add(state, unit, name, directive=directive, now=time.time())
        runner.commit()
        return added

    async def wait_for_operation(
        self, runner: Runner, operation: str, seconds: float | None
    ) -> dict[str, Any]:
        """Wait until every task of an operation has ended, at most `seconds`; return the tasks by unit."""
        tasks = runner.core.state.tasks
        numbers = runner.core.state.operations[operation].tasks
        ended = await runner.wait_until(
            lambda: all(tasks[number].status in actions.ENDED for number in numbers), seconds
        )
        shown = {tasks[number].unit: show.task(runner.core.state, number) for number in numbers}
        return {"ended": ended, "tasks": shown}

    async def execute(self, runner: Runner, machine: str, command: str, seconds: float) -> dict[str, Any]:
        """Run a shell command on a machine."""
        return await runner.execute(machine, command, seconds)

    def instance(self, runner: Runner, target: str) -> str:
        """Return the name of the container of a machine, or of a unit's machine."""
        state = runner.core.state
        machine = state.machines.get(state.units[target].machine if target in state.units else target)
        if machine is None:
            raise ModelError(f'unit or machine "{target}" not found')
        if not machine.instance_id:
            raise ModelError(f"machine {machine.id} is not up yet: see `openinfra status`")
        return machine.instance_id

    def activity(self, runner: Runner) -> dict[str, Any]:
        """Tell what runs now and what each unit would run next."""
        now = time.time()
        return {
            "running": [
                {"unit": item.run.unit, "what": item.run.name, "seconds": now - item.since}
                for item in runner.running()
            ],
            "next": [{"unit": run.unit, "what": run.name} for run in runner.core.due(now)],
        }

    def log_file(self, runner: Runner) -> str:
        """Return the path of the model's log."""
        return str(self._log_path(runner.core.state.model.name))

    async def destroy_model(self, runner: Runner, *, force: bool, wait: bool) -> None:
        """Remove a model with its machines; its name is free for another afterwards."""
        models.destroy(runner.core.state, now=time.time(), force=force)
        runner.commit()
        if wait:
            await asyncio.shield(self._hosting[runner.core.state.model.name])
            if not runner.is_gone():
                raise ModelError(
                    "the controller was stopped before the model was gone: any command starts it, and it resumes the removal"
                )

    def _host(self, state: State) -> Runner:
        name = state.model.name
        runner = Runner(
            Core(state), self._store, self._containers, self._paths, ModelLog(self._log_path(name))
        )
        self._runners[name] = runner
        self._hosting[name] = self._tasks.create_task(self._run(runner))
        return runner

    async def _run(self, runner: Runner) -> None:
        try:
            await runner.run()
        except Exception as error:  # noqa: BLE001  whatever it is, the other models go on
            await self._pause(runner, error)
            return
        if runner.is_gone():
            self._forget(runner)

    async def _pause(self, runner: Runner, error: Exception) -> None:
        """Leave a model alone that an error has stopped, then resume it as it was stored last."""
        model = runner.core.state.model
        _logger.error("model %s", model.name, exc_info=error)
        self._broken[model.name] = _first(error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), _PAUSE_SECONDS)
            return
        del self._broken[model.name]
        self._resume(model.uuid)

    def _resume(self, uuid: str) -> None:
        """Host a stored model."""
        state = State.load(self._store.load(uuid), _ids())
        hooks.recover(state, time.time())
        self._host(state).commit()

    def _forget(self, runner: Runner) -> None:
        model = runner.core.state.model
        del self._runners[model.name], self._hosting[model.name]
        self._store.remove(model.uuid)
        if self._store.setting(_CURRENT_MODEL) == model.name:
            self._store.set(_CURRENT_MODEL, "")
        self._log_path(model.name).unlink(missing_ok=True)

    def _runner(self, model: str) -> Runner:
        name = model or self._store.setting(_CURRENT_MODEL)
        if not name:
            raise ModelError(
                "No selected model: add one with `openinfra add-model NAME`, or choose with `switch`"
            )
        if name not in self._runners:
            raise ModelError(f'model "{name}" not found')
        if name in self._broken:
            raise ModelError(
                f'model "{name}" is stopped by an unexpected error ({self._broken[name]}) and resumes within '
                f"{_PAUSE_SECONDS:.0f} s: see {self._paths.log / 'controller.log'}"
            )
        return self._runners[name]

    def _call(self, runner: Runner, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Answer by the model's rules, and store what they changed."""
        if "now" in inspect.signature(function).parameters:
            arguments["now"] = time.time()
        result = function(runner.core.state, **arguments)
        runner.commit()
        return result

    def _log_path(self, model: str) -> Path:
        return self._paths.log / "models" / f"{model}.log"


async def _settled(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _first(error: Exception) -> str:
    """Describe the first of the errors that a group of tasks came to."""
    if isinstance(error, ExceptionGroup):
        return _first(cast("ExceptionGroup[Exception]", error).exceptions[0])
    return f"{type(error).__name__}: {error}"


def _ids() -> Ids:
    return Ids(random.SystemRandom())


def _options(charm: Charm, texts: Mapping[str, str]) -> dict[str, OptionValue]:
    """Turn a command line's option values into those of the options' types."""
    values: dict[str, OptionValue] = {}
    for name, text in texts.items():
        if name not in charm.config:
            raise ModelError(f'unknown option "{name}"')
        try:
            values[name] = charm.config[name].parse(text)
        except OptionError as error:
            raise ModelError(str(error)) from error
    return values


def _default_base(charm: Charm) -> str:
    base = charm.bases[0]
    return f"{base.name}@{base.channel.partition('/')[0]}"
