"""Hooks, actions and commands: begun, ended, cut off."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import actions, configuration, history, progress
from openinfra_model.core.commit import commit
from openinfra_model.core.context import Exit, Finished, HookContext, RunningHook
from openinfra_model.core.environment import environment, working_directory
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from openinfra_model.core.context import HookRun
    from openinfra_model.core.entities import TaskStatus
    from openinfra_model.core.state import State


def begin(state: State, run: HookRun, now: float, *, relation_gone: bool = False) -> RunningHook:
    """Begin a run and say so in the unit's status; with `relation_gone` the relation that it is about is not there."""
    if run.hook and run.hook.kind == "upgrade-charm":
        _take_charm(state, run)
    _announce(state, run, now)
    command, timeout = "", None
    if run.task:
        task = state.tasks[run.task]
        state.tasks.put(replace(task, status="running", started=now))
        if run.kind == "exec":
            command, timeout = (
                str(task.parameters["command"]),
                int(task.parameters["timeout"]) / actions.NANOSECONDS,
            )
    identity = f"{run.unit}-{run.name}-{state.ids.context()}"
    context = HookContext(
        id=identity,
        run=run,
        charm=state.agents[run.unit].charm_url,
        environment=environment(state, run, identity),
        working_directory=working_directory(run.unit),
        command=command,
        timeout=timeout,
    )
    return RunningHook(
        context=context,
        config_seen=configuration.fingerprint(state, run.unit),
        members=_members(state, run),
        relation_gone=relation_gone,
    )


def _take_charm(state: State, run: HookRun) -> None:
    """Let a unit have its application's charm from now on; upgrade-charm must follow whatever happens."""
    agent = state.agents[run.unit]
    application = state.applications[state.units[run.unit].application]
    state.agents.put(
        replace(agent, charm_url=application.charm_url, modified=application.modified, queued=run.hook)
    )


def _announce(state: State, run: HookRun, now: float) -> None:
    workload = state.units[run.unit].workload
    match run.hook.kind if run.hook else "":
        case "install" if workload.message == history.INITIALISING:
            history.set_workload(state, run.unit, "maintenance", history.INSTALLING, now)
        case "stop":
            history.set_workload(state, run.unit, "maintenance", "stopping charm software", now)
        case "remove":
            history.set_workload(state, run.unit, "maintenance", "cleaning up prior to charm deletion", now)
        case _:
            pass
    if state.units[run.unit].agent.current != "error":
        message = {"hook": f"running {run.name} hook", "action": f"running action {run.name}"}
        history.set_agent(
            state, run.unit, "executing", now, message=message.get(run.kind, "running commands")
        )


def _members(state: State, run: HookRun) -> dict[int, list[str]]:
    """Return the remote units that the charm knows of during a run, by relation."""
    found = {
        int(key): list(known.members)
        for key, known in state.agents[run.unit].memberships.items()
        if known.created
    }
    if hook := run.hook:
        match hook.kind, hook.relation:
            case "relation-created", int(number):
                found[number] = []
            case "relation-joined", int(number):
                found[number].append(hook.remote_unit)
            case "relation-departed", int(number):
                found[number].remove(hook.remote_unit)
            case _:
                pass
    return found


def abandon(state: State, running: RunningHook, now: float) -> None:
    """Forget what a run wrote. An action is not run twice: it has failed."""
    run = running.run
    _back_to_idle(state, run.unit, now)
    if run.task:
        _end_cut_off(state, run.task, now)


def _end_cut_off(state: State, task: str, now: float) -> None:
    message = "action terminated: its machine or the controller went away while it ran"
    actions.end(state, replace(state.tasks[task], status="failed", completed=now, message=message))


def _back_to_idle(state: State, unit: str, now: float) -> None:
    if unit in state.units and state.units[unit].agent.current == "executing":
        history.set_agent(state, unit, "idle", now)


def finish(state: State, running: RunningHook, ended: Exit, now: float) -> Finished:
    """End a run: commit what it wrote, or put the unit in error or the task to failed."""
    run = running.run
    if run.unit not in state.units:
        return Finished(failed=True, message=f'unit "{run.unit}" was removed')
    problem = ended.problem
    if ended.code == 0:
        try:
            commit(state, running, now)
        except ModelError as error:
            problem = str(error)
    if run.hook is None:
        return _finish_task(state, running, ended, problem, now)
    if (ended.code or problem) and progress.has_subject(state, run.hook):
        message = progress.fail(state, run.unit, run.hook, now, reason=ended.problem)
        more = f": {problem}" if problem and not ended.problem else ""
        return Finished(failed=True, message=message + more)
    progress.complete(state, run.unit, run.hook, config_seen=running.config_seen, now=now)
    return Finished(failed=False)


def _finish_task(state: State, running: RunningHook, ended: Exit, problem: str, now: float) -> Finished:
    """Store what an action or a command came to. A command's exit code is its result, an action's is its failure."""
    run = running.run
    _back_to_idle(state, run.unit, now)
    task = state.tasks[run.task]
    output = {"return-code": ended.code, "stdout": ended.stdout, "stderr": ended.stderr}
    results = {**running.results, **{key: value for key, value in output.items() if value != ""}}
    message = problem
    if running.failure is not None:
        message = running.failure or "action failed without reason given, check action for errors"
    elif ended.code and run.kind == "action" and not problem:
        message = f"exit status {ended.code}"
    status: TaskStatus = "failed" if message else "completed"
    if task.status == "aborting":
        status = "aborted"
    actions.end(state, replace(task, status=status, results=results, message=message, completed=now))
    return Finished(failed=status != "completed", message=message)


def recover(state: State, now: float) -> None:
    """Resume a stored state after the controller was cut off: hooks are due again, actions have failed."""
    for unit in state.units:
        _back_to_idle(state, unit.name, now)
        for task in unit.tasks:
            if state.tasks[task].status != "pending":
                _end_cut_off(state, task, now)
