"""Makes the world match one model: its machines, its storage, and the hooks that are due."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from openinfra_model import host
from openinfra_model.controller import storage_files, unit_files
from openinfra_model.controller.agents import AgentLostError
from openinfra_model.controller.sockets import Sockets
from openinfra_model.core import actions, hooktools, machines, relations, show, storage, timers
from openinfra_model.core.entities import Network
from openinfra_model.host import HostError
from openinfra_model.machines.containers import prepare_directory
from openinfra_model.machines.lxd import LxdError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from openinfra_model.controller.agents import Agent, Ended
    from openinfra_model.controller.log import ModelLog
    from openinfra_model.core.context import HookContext, HookRun
    from openinfra_model.core.core import Core
    from openinfra_model.core.entities import Machine, Storage
    from openinfra_model.core.hooktools.tool import ToolResult
    from openinfra_model.machines.containers import Containers
    from openinfra_model.paths import Paths
    from openinfra_model.store import Store

# How long an agent may be away before its machine counts as down: it is restarted in a fraction of that.
_GRACE_SECONDS = 3.0
_HELLO_SECONDS = 120.0
_RETRY_SECONDS = 10.0
_LONGEST_SLEEP_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A hook, action or command that runs now."""

    run: HookRun
    since: float


class Runner:
    """Hosts one model. Everything here runs on one event loop, so a step of the model is never interrupted."""

    def __init__(self, core: Core, store: Store, containers: Containers, paths: Paths, log: ModelLog) -> None:
        self.core = core
        self._store = store
        self._containers = containers
        self._paths = paths
        self._log = log
        self._tasks = asyncio.TaskGroup()
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()
        self._agents: dict[str, Agent] = {}
        self._sockets = Sockets(self._serve_agent, self._answer)
        self._in_hand: set[str] = set()  # machines that are being made, rebooted or removed
        self._running: dict[str, Running] = {}  # by the id of the context
        self._cut_off: set[str] = set()  # contexts whose hook is to run again
        self._last_run: dict[str, float] = {}
        self._stopping = False

    async def run(self) -> None:
        """Work until `stop`, or until the model is destroyed and nothing of it is left."""
        try:
            async with self._tasks:
                for machine in self.core.state.machines:
                    if machine.instance_id:
                        self._take_in_hand(machine, self._return_to(machine))
                while not self._stopping:
                    self._wake.clear()
                    self._step()
                    await self._tell_waiters()
                    if self.is_gone():
                        break
                    await self._sleep()
                await self._tell_waiters()
        finally:
            self._sockets.close_all()
            for agent in self._agents.values():
                agent.close()

    def stop(self) -> None:
        """Begin nothing new; `run` returns when what runs has ended."""
        self._stopping = True
        self._wake.set()

    def is_gone(self) -> bool:
        """Tell whether the model was destroyed and has nothing left."""
        state = self.core.state
        return state.model.life != "alive" and not len(state.machines) and not len(state.applications)

    def running(self) -> list[Running]:
        """Return what runs now, the longest first."""
        return sorted(self._running.values(), key=lambda running: running.since)

    def commit(self) -> None:
        """Store what the last call of the core changed, and let everyone who waits look again."""
        changes = self.core.state.drain()
        if changes:
            self._store.save(self.core.state.model.uuid, changes)
            self._wake.set()

    async def wait_until(self, condition: Callable[[], bool], seconds: float | None) -> bool:
        """Wait until a condition on the model holds; tell whether it did within `seconds`."""
        try:
            async with asyncio.timeout(seconds), self._progress:
                await self._progress.wait_for(condition)
        except TimeoutError:
            return False
        return True

    async def execute(self, machine: str, command: str, seconds: float) -> dict[str, Any]:
        """Run a shell command on a machine, outside any unit, and return its task as Juju shows it.

        Raises:
            AgentLostError: the machine is not there.
        """
        agent = self._agents.get(machine)
        if agent is None:
            raise AgentLostError(f"machine {machine} is not running")
        argv = ["/bin/bash", "-c", command]
        ended = await agent.run(
            f"exec-{time.monotonic_ns()}",
            argv,
            environment={"PATH": _PATH},
            directory="/root",
            seconds=seconds,
        )
        return {
            "status": "failed" if ended.code is None else "completed",
            "results": {"return-code": ended.code or 0, "stdout": ended.stdout, "stderr": ended.stderr},
        }

    async def _tell_waiters(self) -> None:
        async with self._progress:
            self._progress.notify_all()

    async def _sleep(self) -> None:
        """Wait for a change or for the model's next timer."""
        now = time.time()
        wake_at = timers.next_time(self.core.state, now)
        seconds = _LONGEST_SLEEP_SECONDS if wake_at is None else max(wake_at - now, 0.0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    def _step(self) -> None:
        """Begin everything that can begin now."""
        for machine in machines.wanted(self.core.state):
            self._take_in_hand(machine, self._provision(machine))
        for machine in machines.to_release(self.core.state):
            self._take_in_hand(machine, self._release(machine))
        for machine in self.core.machines_to_reboot():
            self._take_in_hand(machine, self._reboot(machine))
        for item in storage.wanted(self.core.state):
            self._make_storage(item)
        for item in storage.to_release(self.core.state):
            self._remove_storage(item)
        self._stop_cancelled()
        self._start_hooks()
        self._clear_units()
        self.commit()

    # Machines

    def _take_in_hand(self, machine: Machine, work: Coroutine[Any, Any, None]) -> None:
        """Do one thing at a time with a machine."""
        if machine.id in self._in_hand:
            work.close()
            return

        async def do() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001  whatever it is, it concerns this machine, and no other
                self._log.machine(machine.id, "ERROR", _traceback(error))
                await self._fail(machine, f"unexpected error: {_described(error)}")
            finally:
                self._in_hand.discard(machine.id)
            self.commit()
            self._wake.set()  # hooks may have waited for the machine, though nothing in the model has changed

        self._in_hand.add(machine.id)
        self._spawn(do())

    async def _provision(self, machine: Machine) -> None:
        """Make the machine's container; the machine counts as made when its agent says hello."""
        try:
            await asyncio.to_thread(self._containers.create, self._instance_id(machine), machine.base)
        except (HostError, LxdError, OSError) as error:
            await self._fail(machine, str(error))
            return
        await self._listen(machine)
        if not await self.wait_until(lambda: self._is_settled(machine.id), _HELLO_SECONDS):
            await self._fail(machine, f"the machine did not come up within {_HELLO_SECONDS:.0f} s")

    def _is_settled(self, machine: str) -> bool:
        """Tell whether a machine that was made is there, or need not be waited for."""
        return self._stopping or machine in self._agents or self.core.state.machines[machine].life != "alive"

    async def _fail(self, machine: Machine, message: str) -> None:
        """Say why a machine could not be made, and leave it alone for a while."""
        self._log.machine(machine.id, "ERROR", message)
        if machine.id in self.core.state.machines:
            machines.failed(self.core.state, machine.id, message, time.time())
        self.commit()
        await asyncio.sleep(_RETRY_SECONDS)

    async def _release(self, machine: Machine) -> None:
        instance_id = self._instance_id(machine)
        self._sockets.close(machine.id)
        try:
            await asyncio.to_thread(self._containers.remove, instance_id)
        except (LxdError, OSError) as error:
            self._log.machine(machine.id, "ERROR", str(error))
            await asyncio.sleep(_RETRY_SECONDS)
            return
        machines.released(self.core.state, machine.id)

    async def _reboot(self, machine: Machine) -> None:
        self._log.machine(machine.id, "INFO", "rebooting: a charm asked for it")
        try:
            await asyncio.to_thread(self._containers.restart, machine.instance_id)
        except (LxdError, OSError) as error:
            self._log.machine(machine.id, "ERROR", str(error))
            await asyncio.sleep(_RETRY_SECONDS)
            return
        # Until its agent has said hello again, it would seem to want its reboot still.
        await self.wait_until(lambda: self._has_rebooted(machine.id), _HELLO_SECONDS)

    def _has_rebooted(self, machine: str) -> bool:
        found = self.core.state.machines.get(machine)
        return self._stopping or found is None or not found.reboot_wanted

    async def _return_to(self, machine: Machine) -> None:
        """Listen for the agent of a machine that an earlier controller has made, and expect it."""
        while not self._stopping:
            try:
                await self._listen(machine)
            except OSError as error:
                await self._fail(machine, f"its directory cannot be used: {error}")
            else:
                self._spawn(self._expect(machine.id))
                return

    async def _listen(self, machine: Machine) -> None:
        """Open the machine's socket, where its agent and its hook tools come in."""
        await self._sockets.open(
            machine.id, prepare_directory(self._directory(machine)) / "controller.socket"
        )

    async def _answer(self, machine: str, question: list[str]) -> list[str]:
        """Answer a hook tool, or `juju-exec` outside of any hook."""
        context_id, text, *argv = question
        if context_id:
            return await self._answer_tool(context_id, text, argv)
        return await self._execute_for_machine(machine, argv[1:])

    async def _execute_for_machine(self, machine: str, arguments: list[str]) -> list[str]:
        """Answer `juju-exec [-u] UNIT COMMAND`, run on a machine outside of any hook, as Juju's own does there."""
        words = arguments[1:] if arguments[:1] in (["-u"], ["--unit"]) else arguments
        if len(words) < 2:  # noqa: PLR2004
            return ["2", "", "ERROR usage: juju-exec [-u] UNIT COMMAND\n"]
        unit = self.core.state.units.get(words[0])
        if unit is None or unit.machine != machine:
            return ["1", "", f'ERROR unit "{words[0]}" not found on this machine\n']
        operation = actions.enqueue_exec(
            self.core.state, [unit.name], " ".join(words[1:]), now=time.time(), parallel=False, local=True
        )
        self.commit()
        (task,) = self.core.state.operations[operation].tasks
        await self.wait_until(lambda: self.core.state.tasks[task].status in actions.ENDED, None)
        results = show.task(self.core.state, task).get("results", {})
        return [
            str(results.get("return-code", 1)), results.get("stdout", ""), results.get("stderr", "")
        ]  # fmt: skip

    async def _answer_tool(self, context_id: str, text: str, argv: list[str]) -> list[str]:
        result = self.core.tool(context_id, argv, text, time.time())
        self.commit()
        if context_id in self._running:
            await self._do_for_tool(context_id, result)
        return [str(result.exit_code), result.stdout, result.stderr]

    async def _do_for_tool(self, context_id: str, result: ToolResult) -> None:
        """Do what a tool wants done on the machine."""
        run = self._running[context_id].run
        machine = self.core.state.machines[run.machine]
        if result.log:
            self._log.unit(run.unit, "juju-log", *result.log)
        if result.resource:
            name, source = PurePosixPath(result.stdout.strip()).name, Path(result.resource.path)
            await asyncio.to_thread(
                unit_files.copy_resource, self._directory(machine), run.unit, name, source
            )
        if result.reboot:
            self._cut_off.add(context_id)
            if agent := self._agents.get(run.machine):
                agent.stop(context_id)
            self._take_in_hand(machine, self._reboot(machine))

    async def _serve_agent(self, machine: str, agent: Agent) -> None:
        if machine not in self.core.state.machines:
            return
        self._welcome(machine, agent)
        try:
            await agent.serve(lambda: self._note_addresses(machine, agent))
        finally:
            if self._agents.get(machine) is agent:
                del self._agents[machine]
                if not self._stopping:
                    self._spawn(self._expect(machine))

    def _welcome(self, machine: str, agent: Agent) -> None:
        """Record a machine whose agent said hello."""
        self._agents[machine] = agent
        self._record(machine, agent)
        machines.started(self.core.state, machine, agent.hello["boot"], time.time())
        self.commit()
        self._wake.set()

    def _record(self, machine: str, agent: Agent) -> None:
        machines.provisioned(
            self.core.state,
            machine,
            instance_id=self._instance_id(self.core.state.machines[machine]),
            hostname=agent.hello["hostname"],
            network=_network(agent.hello["interfaces"]),
            hardware=f"arch={host.architecture()} cores=0 mem=0M virt-type=container",
            now=time.time(),
        )

    def _note_addresses(self, machine: str, agent: Agent) -> None:
        """Record that other addresses are on a machine's interfaces, such as a virtual one that came or went."""
        if machine in self.core.state.machines and agent.hello["interfaces"]:
            self._record(machine, agent)
            self.commit()
            self._wake.set()

    async def _expect(self, machine: str) -> None:
        """Count a machine as down unless its agent comes back soon."""
        await asyncio.sleep(_GRACE_SECONDS)
        if machine in self.core.state.machines and machine not in self._agents:
            machines.down(self.core.state, machine, time.time())
            self.commit()

    # Storage

    def _make_storage(self, item: Storage) -> None:
        machine = self._directory(self.core.state.machines[item.machine])
        if problem := storage_files.make(machine, item):
            storage.failed(self.core.state, item.id, problem, time.time())
        else:
            storage.provisioned(self.core.state, item.id, now=time.time())

    def _remove_storage(self, item: Storage) -> None:
        if item.machine in self.core.state.machines:
            try:
                storage_files.remove(self._directory(self.core.state.machines[item.machine]), item)
            except OSError as error:
                self._log.machine(item.machine, "ERROR", f"storage {item.id} stays: {error}")
        storage.released(self.core.state, item.id)

    # Hooks

    def _start_hooks(self) -> None:
        """Begin the hooks that are due on machines that are free, the unit that waited longest first."""
        due = self.core.due(time.time())
        for run in sorted(due, key=lambda run: self._last_run.get(run.unit, 0.0)):
            agent = self._agents.get(run.machine)
            if agent is not None and run.machine not in self._in_hand and self._may_run(run):
                self._start(run, agent)

    def _may_run(self, run: HookRun) -> bool:
        """Tell whether the machine is free for this run (the rule is HookRun's)."""
        others = [running.run for running in self._running.values() if running.run.machine == run.machine]
        return not others or (
            run.parallel
            and all(other.parallel and other.execution_group in {"", run.execution_group} for other in others)
        )

    def _start(self, run: HookRun, agent: Agent) -> None:
        now = time.time()
        context = self.core.begin(run, now, relation_gone=relations.is_gone(self.core.state, run))
        self._running[context.id] = Running(run=run, since=now)
        self._last_run[run.unit] = now
        self._spawn(self._run_hook(context, agent))

    async def _run_hook(self, context: HookContext, agent: Agent) -> None:
        """Run one hook, action or command, and commit what it wrote."""
        run = context.run
        directory = self._directory(self.core.state.machines[run.machine])
        try:
            await asyncio.to_thread(self._prepare, directory, context)
            ended = await agent.run(
                context.id,
                ["/bin/bash", "-c", context.command] if context.command else ["./dispatch"],
                environment=context.environment,
                directory=context.working_directory,
                seconds=context.timeout,
                tell=lambda stream, line: self._hear(run, stream, line),
            )
        except AgentLostError as error:
            self._log.unit(run.unit, run.name, "ERROR", f"interrupted: {error}")
            self.core.abandon(context.id, time.time())
        except Exception as error:  # noqa: BLE001  whatever it is, it concerns this unit, and no other
            self._log.unit(run.unit, run.name, "ERROR", _traceback(error))
            self.core.finish(context.id, 1, time.time(), problem=f"cannot be run: {_described(error)}")
        else:
            self._finish(context, ended)
        finally:
            del self._running[context.id]
            self._cut_off.discard(context.id)
        self.commit()
        self._wake.set()

    def _hear(self, run: HookRun, stream: str, line: str) -> None:
        """Log what a hook prints; the output of actions and commands is for the operator who asked, in the results."""
        if run.kind == "hook":
            self._log.unit(run.unit, run.name, _LEVELS[stream], line)

    def _finish(self, context: HookContext, ended: Ended) -> None:
        now = time.time()
        if context.id in self._cut_off:
            self.core.abandon(context.id, now)
            return
        code = _TIMED_OUT if ended.code is None else ended.code
        finished = self.core.finish(context.id, code, now, stdout=ended.stdout, stderr=ended.stderr)
        if finished.failed:
            self._log.unit(context.run.unit, context.run.name, "ERROR", finished.message)

    def _prepare(self, directory: Path, context: HookContext) -> None:
        stored = self.core.state.charms[context.charm]
        unit_files.prepare(
            directory, context.run.unit, url=stored.url, archive=Path(stored.archive), tools=hooktools.NAMES
        )

    def _clear_units(self) -> None:
        """Take the files of units off their machines that the model has no more, also where no hook of theirs was the last."""
        here = [unit.name for unit in self.core.state.units]
        here += [running.run.unit for running in self._running.values()]
        for machine in self._agents.keys() & {machine.id for machine in self.core.state.machines}:
            directory = self._directory(self.core.state.machines[machine])
            for tag in unit_files.others(directory, here):
                self._spawn(self._remove_files(directory, tag))

    async def _remove_files(self, directory: Path, tag: str) -> None:
        try:
            await asyncio.to_thread(unit_files.remove, directory, tag)
        except OSError as error:
            # The unit is gone; what is left of it is tried again with the next step.
            self._log.unit(tag, "remove", "WARNING", f"files stay: {error}")

    def _stop_cancelled(self) -> None:
        """End the actions that the operator cancelled."""
        for context_id, running in self._running.items():
            agent = self._agents.get(running.run.machine)
            if agent and running.run.task and self.core.state.tasks[running.run.task].status == "aborting":
                agent.stop(context_id)

    def _directory(self, machine: Machine) -> Path:
        return self._paths.machine(self._instance_id(machine))

    def _instance_id(self, machine: Machine) -> str:
        """Name the machine's container as Juju would."""
        return f"juju-{self.core.state.model.uuid[-6:]}-{machine.id}"

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work)


# Juju's levels for what a hook prints.
_LEVELS = {"stdout": "DEBUG", "stderr": "WARNING"}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TIMED_OUT = 124  # as timeout(1) says


def _described(error: Exception) -> str:
    """Return what went wrong on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _traceback(error: Exception) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _network(interfaces: list[dict[str, Any]]) -> Network:
    """Describe how a machine is reached, from what its agent sees: the interface of the default route."""
    chosen = next((link for link in interfaces if link["gateway"]), interfaces[0])
    return Network.of(
        chosen["addresses"], gateway=chosen["gateway"], interface=chosen["name"], mac=chosen["mac"]
    )
