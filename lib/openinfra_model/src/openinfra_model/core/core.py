"""The way into the model: one object with every verb, each a transaction of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openinfra_model.core import (
    actions,
    applications,
    configuration,
    hooks,
    hooktools,
    leadership,
    machines,
    relations,
    secrets,
    show,
    status,
    storage,
    timers,
    units,
)
from openinfra_model.core.agenda import Agenda
from openinfra_model.core.context import Exit, RunningHook
from openinfra_model.core.entities import Model, OptionValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openinfra_model.charm import Charm
    from openinfra_model.core.context import Finished, HookContext, HookRun
    from openinfra_model.core.entities import Machine, Network, Storage, StorageDirective
    from openinfra_model.core.hooktools import ToolResult
    from openinfra_model.core.ids import Ids
    from openinfra_model.core.state import State


class Core:
    """A model's rules over its state.

    The operator's verbs raise ModelError, with nothing changed, when they refuse. After each call the rows that
    `State.drain` yields are to be stored in one transaction. Contexts of running hooks live in memory only: after a
    restart of the controller the hooks that were running are due again.
    """

    def __init__(self, state: State, ids: Ids) -> None:
        self.state = state
        self._ids = ids
        self._contexts: dict[str, RunningHook] = {}
        self._agenda = Agenda(state)

    @classmethod
    def create(cls, state: State, ids: Ids, name: str, now: float) -> Core:
        """Make a model in an empty state."""
        state.models.put(Model(name=name, uuid=ids.uuid(), created=now))
        return cls(state, ids)

    # Applications and units

    def deploy(
        self,
        name: str,
        charm: Charm,
        *,
        archive: str,
        base: str,
        now: float,
        units: int = 1,
        to: Sequence[str] = (),
        config: Mapping[str, OptionValue] | None = None,
        trust: bool = False,
        exposed: bool = False,
        constraints: str = "",
        storage: Mapping[str, StorageDirective] | None = None,
        resources: Mapping[str, tuple[str, str]] | None = None,
        bindings: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Deploy a charm from its archive and return the names of the units.

        Args:
            name: the application's name.
            charm: what the archive says.
            archive: where the caller keeps the archive.
            base: such as ubuntu@24.04.
            now: the time.
            units: how many; 0 for a subordinate.
            to: where the units go, in order: a machine's id; `new` or nothing makes a machine.
            config: options with values of their type.
            trust: whether the charm may ask for the cloud's credentials.
            exposed: whether open ports are reachable from outside.
            constraints: of new machines, as written.
            storage: by store; what is not given follows the charm's minimum.
            resources: by name, the file's path and fingerprint.
            bindings: endpoint to space.
        """
        return applications.deploy(
            self.state,
            self._ids,
            applications.Deployment(
                name=name,
                charm=charm,
                archive=archive,
                base=base,
                units=units,
                to=tuple(to),
                config=dict(config or {}),
                trust=trust,
                exposed=exposed,
                constraints=constraints,
                storage=dict(storage or {}),
                resources=dict(resources or {}),
                bindings=dict(bindings or {}),
            ),
            now,
        )

    def refresh(
        self,
        application: str,
        charm: Charm,
        *,
        archive: str,
        now: float,
        resources: Mapping[str, tuple[str, str]] | None = None,
    ) -> str:
        """Give an application a new charm and return its URL; its units run upgrade-charm."""
        return applications.refresh(
            self.state, application, charm, archive=archive, resources=dict(resources or {}), now=now
        )

    def add_unit(self, application: str, *, now: float, count: int = 1, to: Sequence[str] = ()) -> list[str]:
        """Add units and return their names."""
        return units.add(self.state, self._ids, application, count=count, to=tuple(to), now=now)

    def remove_unit(
        self, names: Sequence[str], *, now: float, destroy_storage: bool = False, force: bool = False
    ) -> None:
        """Remove units; by force without their hooks."""
        units.remove(self.state, tuple(names), destroy_storage=destroy_storage, force=force, now=now)

    def remove_application(
        self, name: str, *, now: float, destroy_storage: bool = False, force: bool = False
    ) -> None:
        """Remove an application with its units and relations."""
        applications.remove(self.state, name, destroy_storage=destroy_storage, force=force, now=now)

    def integrate(self, first: str, second: str, *, now: float) -> int:
        """Relate two endpoints (`application` or `application:endpoint`) and return the relation's id."""
        return relations.integrate(self.state, self._ids, first, second, now)

    def remove_relation(self, first: str, second: str, *, now: float, force: bool = False) -> None:
        """Remove the relation between two endpoints; by force without hooks."""
        relations.remove(self.state, first, second, force=force, now=now)

    def attach_resource(self, application: str, name: str, path: str, fingerprint: str) -> None:
        """Give an application another file for a resource; its units run upgrade-charm."""
        applications.attach_resource(self.state, application, name, path, fingerprint)

    # Settings

    def set_config(self, application: str, values: Mapping[str, str]) -> None:
        """Set options from text, as a command line gives them."""
        configuration.set_options(self.state, application, values)

    def reset_config(self, application: str, names: Sequence[str]) -> None:
        """Return options to their defaults."""
        configuration.reset_options(self.state, application, tuple(names))

    def set_model_config(self, values: Mapping[str, str], now: float) -> None:
        """Set options of the model."""
        configuration.set_model(self.state, values, now)

    def reset_model_config(self, names: Sequence[str], now: float) -> None:
        """Return options of the model to their defaults."""
        configuration.reset_model(self.state, tuple(names), now)

    def trust(self, application: str, *, trusted: bool) -> None:
        """Let a charm ask for the cloud's credentials, or no longer."""
        configuration.set_trust(self.state, application, trusted=trusted)

    def expose(self, application: str, *, exposed: bool) -> None:
        """Mark an application as reachable from outside, or no longer."""
        configuration.set_exposed(self.state, application, exposed=exposed)

    def set_constraints(self, application: str, constraints: str) -> None:
        """Set what machines made for an application from now on must have."""
        configuration.set_constraints(self.state, application, constraints)

    def bind(self, application: str, bindings: Mapping[str, str]) -> None:
        """Bind endpoints to spaces; the empty name is the default of all."""
        configuration.bind(self.state, application, bindings)

    def resolved(self, unit: str, *, retry: bool = True) -> None:
        """Retry the failed hook of a unit now, or go on as if it had succeeded."""
        units.resolve(self.state, unit, retry=retry)

    # Secrets of the operator

    def add_secret(self, name: str, content: Mapping[str, str], *, now: float, description: str = "") -> str:
        """Add a secret of the operator's and return its URI. Values are plain text or `key#base64` keys."""
        return secrets.add_user_secret(self.state, self._ids, name, content, description=description, now=now)

    def update_secret(
        self,
        secret: str,
        *,
        now: float,
        content: Mapping[str, str] | None = None,
        name: str = "",
        description: str = "",
        auto_prune: bool | None = None,
    ) -> None:
        """Give a secret (URI, id or name) a new revision, or another name or description."""
        secrets.update_user_secret(
            self.state,
            secret,
            content or {},
            name=name,
            description=description,
            auto_prune=auto_prune,
            now=now,
        )

    def grant_secret(self, secret: str, application_names: Sequence[str]) -> None:
        """Let applications read a secret of the operator's."""
        secrets.grant_user_secret(self.state, secret, tuple(application_names))

    def revoke_secret(self, secret: str, application_names: Sequence[str]) -> None:
        """Take that right back."""
        secrets.revoke_user_secret(self.state, secret, tuple(application_names))

    def remove_secret(self, secret: str, *, revision: int | None = None) -> None:
        """Remove a secret of the operator's, or one of its revisions."""
        secrets.remove_user_secret(self.state, secret, revision)

    # Storage

    def add_storage(
        self, unit: str, name: str, directive: StorageDirective | None, *, now: float
    ) -> list[str]:
        """Add storage to a unit and return its ids; without a directive, one by the charm's minimum."""
        return storage.add(self.state, self._ids, unit, name, directive=directive, now=now)

    def detach_storage(self, storage_id: str, *, now: float, force: bool = False) -> None:
        """Take storage from its unit and keep it."""
        storage.detach(self.state, storage_id, force=force, now=now)

    def remove_storage(self, storage_id: str, *, now: float, force: bool = False) -> None:
        """Remove storage; what a unit still has only by force (it is detached first)."""
        storage.remove(self.state, storage_id, force=force, now=now)

    def storage_wanted(self) -> list[Storage]:
        """Return the storage that the caller is to make, on machines that run."""
        return storage.wanted(self.state)

    def storage_provisioned(self, storage_id: str, *, now: float, device: str = "") -> None:
        """Record that storage was made: a filesystem at its `location`, a block device as `device`."""
        storage.provisioned(self.state, storage_id, device, now)

    def storage_failed(self, storage_id: str, message: str, now: float) -> None:
        """Record why storage could not be made; it stays wanted."""
        storage.failed(self.state, storage_id, message, now)

    def storage_to_release(self) -> list[Storage]:
        """Return the storage whose files the caller is to delete."""
        return storage.to_release(self.state)

    def storage_released(self, storage_id: str) -> None:
        """Record that they are gone."""
        storage.released(self.state, storage_id)

    # Actions

    def enqueue_action(
        self, unit_names: Sequence[str], action: str, parameters: Mapping[str, Any], now: float
    ) -> str:
        """Queue an action on units (`ceph/0`, `ceph/leader`) and return the operation's id."""
        return actions.enqueue(self.state, tuple(unit_names), action, dict(parameters), now)

    def enqueue_exec(
        self,
        unit_names: Sequence[str],
        command: str,
        *,
        now: float,
        timeout: float = 300.0,
        parallel: bool = True,
        local: bool = False,
    ) -> str:
        """Queue a shell command on units and return the operation's id; `local` for one on the units' own machine."""
        return actions.enqueue_exec(
            self.state, tuple(unit_names), command, timeout, now, parallel=parallel, local=local
        )

    def cancel_task(self, task: str, now: float) -> None:
        """Cancel a task; a running one is to be ended by the caller, which then finishes it."""
        actions.cancel(self.state, task, now)

    # Machines

    def add_machine(self, *, base: str, now: float, constraints: str = "") -> str:
        """Add a machine and return its id."""
        return machines.add(self.state, base, constraints, now)

    def remove_machine(self, machine: str, *, now: float, force: bool = False) -> None:
        """Remove a machine; with units on it only by force."""
        machines.remove(self.state, machine, force=force, now=now)

    def machines_wanted(self) -> list[Machine]:
        """Return the machines that the caller is to make."""
        return machines.wanted(self.state)

    def machines_to_release(self) -> list[Machine]:
        """Return the machines that the caller is to destroy."""
        return machines.to_release(self.state)

    def machines_to_reboot(self) -> list[Machine]:
        """Return the machines whose charms asked for a reboot, once nothing runs on them."""
        busy = {context.run.machine for context in self._contexts.values()}
        return [
            machine for machine in self.state.machines if machine.reboot_wanted and machine.id not in busy
        ]

    def machine_provisioned(
        self,
        machine: str,
        *,
        instance_id: str,
        hostname: str,
        network: Network,
        now: float,
        hardware: str = "",
    ) -> None:
        """Record a machine that was made, or an address that has changed."""
        machines.provisioned(
            self.state,
            machine,
            instance_id=instance_id,
            hostname=hostname,
            network=network,
            hardware=hardware,
            now=now,
        )

    def machine_started(self, machine: str, boot_id: str, now: float) -> None:
        """Record that a machine runs. A boot id that differs from the last makes its units run start again."""
        machines.started(self.state, machine, boot_id, now)

    def machine_down(self, machine: str, now: float) -> None:
        """Record that a machine stopped answering; abandon the contexts of its hooks first."""
        machines.down(self.state, machine, now)

    def machine_failed(self, machine: str, message: str, now: float) -> None:
        """Record why a machine could not be made; it stays wanted."""
        machines.failed(self.state, machine, message, now)

    def machine_released(self, machine: str) -> None:
        """Record that a machine is gone."""
        machines.released(self.state, machine)

    def destroy_model(self, *, now: float, force: bool = False, destroy_storage: bool = False) -> None:
        """Remove everything; the model is gone when no machine and no application is left."""
        applications.destroy_model(self.state, force=force, destroy_storage=destroy_storage, now=now)

    # Hooks

    def due(self, now: float) -> list[HookRun]:
        """Return what each idle unit would run next, at most one for each; timers that are over take effect first."""
        timers.advance(self.state, now)
        busy = {context.run.unit for context in self._contexts.values()}
        return self._agenda.due(self._ids, busy, now)

    def begin(self, run: HookRun, now: float, *, relation_gone: bool = False) -> HookContext:
        """Begin what `due` returned; with `relation_gone` as if the model had dropped the relation that it is about."""
        running = hooks.begin(self.state, self._ids, run, now, relation_gone=relation_gone)
        self._contexts[running.context.id] = running
        return running.context

    def relation_may_be_gone(self, run: HookRun) -> bool:
        """Tell whether Juju may drop a relation before this hook of its end has run."""
        return run.hook is not None and relations.may_be_gone(self.state, run.hook, run.unit)

    def relation_is_gone(self, run: HookRun) -> bool:
        """Tell whether Juju drops a relation before this hook of its end has run."""
        return run.hook is not None and relations.is_gone(self.state, run.hook, run.unit)

    def tool(self, context_id: str, argv: Sequence[str], stdin: str, now: float) -> ToolResult:
        """Answer a hook tool: `argv[0]` is its name. What it writes waits for the end of the hook."""
        running = self._contexts.get(context_id)
        if running is None or running.unit not in self.state.units:
            return hooktools.unknown_context(context_id)
        return hooktools.call(self.state, self._ids, running, list(argv), stdin=stdin, now=now)

    def finish(
        self,
        context_id: str,
        exit_code: int,
        now: float,
        *,
        stdout: str = "",
        stderr: str = "",
        problem: str = "",
    ) -> Finished:
        """End a hook, action or command; `problem` says why it could not be run at all.

        A commit that Juju would refuse is a failure of the hook.
        """
        running = self._contexts.pop(context_id)
        ended = Exit(code=exit_code, stdout=stdout, stderr=stderr, problem=problem)
        return hooks.finish(self.state, self._ids, running, ended, now)

    def abandon(self, context_id: str, now: float) -> None:
        """Forget a hook that was cut off: it is due again. An action that was cut off has failed."""
        hooks.abandon(self.state, self._contexts.pop(context_id), now)

    def recover(self, now: float) -> None:
        """Take up a stored state after the controller was cut off: hooks are due again, actions have failed."""
        hooks.recover(self.state, now)

    def wake_at(self, now: float) -> float | None:
        """Return the time of the next timer, None if there is none."""
        return timers.next_time(self.state, now)

    def leader(self, application: str) -> str:
        """Return the name of an application's leader, empty if it has none."""
        return leadership.leader(self.state, application)

    def hand_over(self, unit: str, now: float) -> None:
        """Let a unit lead its application, as when the leader's lease runs out."""
        leadership.hand_over(self.state, unit, now)

    # Views: plain data in Juju's structure

    def status(self, now: float, *, applications: Sequence[str] = ()) -> dict[str, Any]:
        """Return what `juju status --format json` shows, of some applications only or of all."""
        return status.full(self.state, now, applications)

    def show_unit(self, unit: str) -> dict[str, Any]:
        """Return what `juju show-unit` shows."""
        return show.unit(self.state, unit)

    def show_application(self, application: str) -> dict[str, Any]:
        """Return what `juju show-application` shows."""
        return show.application(self.state, application)

    def show_config(self, application: str) -> dict[str, Any]:
        """Return what `juju config --format json` shows."""
        return show.config(self.state, application)

    def show_model_config(self) -> dict[str, Any]:
        """Return what `juju model-config --format json` shows."""
        return show.model_config(self.state)

    def show_actions(self, application: str, *, schema: bool = False) -> dict[str, Any]:
        """Return what `juju actions --format json` shows."""
        return show.actions(self.state, application, schema=schema)

    def show_operations(self) -> dict[str, Any]:
        """Return what `juju operations --format json` shows."""
        return show.operations(self.state)

    def show_operation(self, operation: str) -> dict[str, Any]:
        """Return what `juju show-operation --format json` shows."""
        return show.operation(self.state, operation)

    def show_task(self, task: str) -> dict[str, Any]:
        """Return what `juju run --format json` shows of one unit."""
        return show.task(self.state, task)

    def show_secrets(self) -> dict[str, Any]:
        """Return what `juju secrets --format json` shows."""
        return show.secrets(self.state)

    def show_secret(
        self, secret: str, *, reveal: bool = False, revision: int | None = None
    ) -> dict[str, Any]:
        """Return what `juju show-secret --format json` shows; content only when revealed."""
        return show.secret(self.state, secret, reveal=reveal, revision=revision)

    def show_storage(self) -> dict[str, Any]:
        """Return what `juju storage --format json` shows."""
        return status.storage(self.state)

    def show_status_log(self, unit: str) -> list[dict[str, Any]]:
        """Return the status history of a unit, oldest first, as `juju show-status-log --format json` shows it."""
        return show.status_log(self.state, unit)

    def show_resources(self, application: str) -> dict[str, Any]:
        """Return what `juju resources --format json` shows."""
        return show.resources(self.state, application)

    def show_model(self) -> dict[str, Any]:
        """Return what `juju show-model --format json` shows."""
        return show.model(self.state)
