"""Hooks dispatched in this process: the only place that touches what ops keeps to itself (written for ops 3.9).

`ops.main` reads the environment, makes a framework with a charm in it, emits the event and calls hook tools as
programs. Here the same classes do so with the tools answered by a function, the metadata read once, and the stored state
kept in memory from one hook to the next.
"""

# Nothing else of ops lets one process run many hooks.
# pyright: reportPrivateUsage=false
# ruff: noqa: SLF001

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ops
from ops import _main, hookcmds
from ops.framework import StoredStateData
from ops.hookcmds import _utils
from ops.jujucontext import JujuContext
from ops.storage import SQLiteStorage

from openinfra_charm.model import hook
from openinfra_model.inside import hook_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from openinfra_model.core.hooktools import ToolResult

    Tool = Callable[[Sequence[str], str], ToolResult]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a dispatch ended: its exit code, and the traceback of an error."""

    code: int
    error: str = ""


class Memory(SQLiteStorage):
    """A unit's stored state and deferred events, which outlast a hook; `close` keeps it."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.commit()

    def close(self) -> None:
        """Keep it for the next hook."""

    def begin(self) -> None:
        """Begin what `commit` makes last, as opening the file anew would."""
        if not self._db.in_transaction:
            self._db.execute("BEGIN")

    def forget(self) -> None:
        """Drop what a hook that was cut off has not committed."""
        self._db.rollback()


class Program:
    """A charm's class with its metadata, ready to be dispatched any number of times."""

    def __init__(self, module: ModuleType, directory: Path) -> None:
        """Take the charm class of the module `charm` of an unpacked charm.

        Raises:
            LookupError: There is no charm class in the module.
        """
        self._class = _repeatable(_charm_class(module))
        self._begins_with_hook = getattr(module, "hook", None) is hook
        """Whether what `hook.main` does is to be done here: the module calls it, or else ops itself."""
        self._meta = ops.CharmMeta.from_charm_root(directory)
        self._directory = directory

    def dispatch(self, environment: Mapping[str, str], tool: Tool, memory: Memory) -> Outcome:
        """Run what the environment names; `tool` answers the hook tools that the charm calls."""
        try:
            return self._dispatch(environment, tool, memory)
        finally:
            if _answer is None:  # this hook is not in the middle of another
                self._forget_emitters()

    def _dispatch(self, environment: Mapping[str, str], tool: Tool, memory: Memory) -> Outcome:
        memory.begin()
        given = {**environment, "JUJU_CHARM_DIR": str(self._directory)}
        with _tools_answered_by(tool), _environment(given):
            manager: _Manager | None = None
            try:
                manager = _Manager(self._class, self._meta, memory, JujuContext._from_dict(given))
                manager.run()
            except SystemExit as error:
                return Outcome(code=error.code if isinstance(error.code, int) else 1)
            except ops.RelationNotFoundError:
                memory.forget()
                if self._begins_with_hook and hook.ends_a_relation(given["JUJU_DISPATCH_PATH"]):
                    return Outcome(code=0)
                return Outcome(code=1, error=traceback.format_exc())
            except Exception:  # noqa: BLE001  whatever it is, it is what fails the hook
                memory.forget()
                return Outcome(code=1, error=traceback.format_exc())
            except BaseException:
                memory.forget()
                raise
            finally:
                if manager:
                    manager.destroy()
        return Outcome(code=0)

    def _forget_emitters(self) -> None:
        """Let go of what ops keeps of every framework as long as the process lives: each refers to its own key."""
        for owner in (*self._class.__mro__, ops.Framework, StoredStateData):
            if isinstance(events := vars(owner).get("on"), ops.ObjectEvents):
                events._cache.clear()


class _Manager(_main._Manager):
    """Ops' own, with what it needs handed in."""

    def __init__(
        self, charm: type[ops.CharmBase], meta: ops.CharmMeta, memory: Memory, context: JujuContext
    ) -> None:
        self._given_meta, self._memory = meta, memory
        super().__init__(charm, juju_context=context)

    def _setup_root_logging(self) -> None:
        """Nothing is logged: a rehearsal tells what happened in its own words."""

    def _load_charm_meta(self) -> ops.CharmMeta:
        return self._given_meta

    def _make_storage(self, dispatcher: Any) -> Memory:
        del dispatcher
        return self._memory


class _Events(ops.CharmEvents):
    """Events that a charm class may be made with any number of times."""

    @classmethod
    def define_event(cls, event_kind: str, event_type: type[ops.EventBase]) -> None:
        """Define an event of the charm, unless it is there already."""
        if event_kind not in cls.__dict__:
            super().define_event(event_kind, event_type)


def _charm_class(module: ModuleType) -> type[ops.CharmBase]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ops.CharmBase)
        and value.__module__ == module.__name__
    ]
    if not found:
        raise LookupError(f"{module.__file__} has no subclass of ops.CharmBase")
    return found[-1]


def _repeatable(charm: type[ops.CharmBase]) -> type[ops.CharmBase]:
    """Return a subclass with events of its own: ops defines those that the metadata names each time it starts."""
    events = type(f"{charm.__name__}Events", (_Events, type(charm.on)), {})
    return type(charm.__name__, (charm,), {"on": events(), "__module__": charm.__module__})


@contextlib.contextmanager
def main_captured() -> Generator[None]:
    """Let a module be imported that calls `ops.main` without a condition: the call does nothing."""
    saved = ops.main
    ops.main = lambda *_arguments, **_options: None  # type: ignore[assignment]
    try:
        yield
    finally:
        ops.main = saved


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Generator[None]:
    """Have these variables, and no other of a hook's: one hook may be played in the middle of another."""
    names = {*values, "OPERATOR_DISPATCH", *(name for name in os.environ if name.startswith("JUJU_"))}
    saved = {name: os.environ.get(name) for name in names}
    _set_environment({name: values.get(name) for name in names})
    try:
        yield
    finally:
        _set_environment(saved)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


_answer: Tool | None = None
_original = _utils.run
_callers = [
    module
    for name, module in list(sys.modules.items())
    if name.startswith("ops.hookcmds") and getattr(module, "run", None) is _original
]
"""The modules that call hook tools; each has imported by name what does it."""


@contextlib.contextmanager
def _tools_answered_by(tool: Tool) -> Generator[None]:
    global _answer  # noqa: PLW0603  ops calls its tools through functions of modules
    saved, _answer = _answer, tool
    _call_tools_by(_run)
    try:
        yield
    finally:
        _answer = saved
        if saved is None:
            _call_tools_by(_original)


def _call_tools_by(function: Callable[..., str]) -> None:
    for module in _callers:
        setattr(module, "run", function)  # noqa: B010  no module says that it may be replaced


def _run(*args: str, input: str | None = None, redacted_cmd: Sequence[str] | None = None) -> str:  # noqa: A002
    """Answer a hook tool in the place of ops.hookcmds._utils.run."""
    if _answer is None:
        raise RuntimeError(f"{args[0]} is called outside of a hook")
    words, text = [hook_tool.with_file_content(word) for word in args], input
    if text is None:
        words, text = hook_tool.read_file_option(words)
    result = _answer(words, text)
    if result.exit_code:
        command = list(args if redacted_cmd is None else redacted_cmd)
        raise hookcmds.Error(
            returncode=result.exit_code, cmd=command, stdout=result.stdout, stderr=result.stderr
        )
    return result.stdout


# Ops warns of its own log, which a rehearsal does without.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"ops\.log")
