"""The pure model: Juju's rules without I/O, clock or randomness of their own.

`State` is the model. A rule is a function of the state in the module of what it is about (`units.remove`,
`relations.integrate`); those that the command line asks for are in `verbs`. `Core` runs hooks: what is due, what tools answer,
what a finished hook commits. Time enters as `now` (seconds since the epoch), names that must be unpredictable through `Ids`.
After each call the caller stores in one transaction what `State.drain` returns.
"""

from openinfra_model.core.context import Finished, HookContext, HookRun
from openinfra_model.core.core import Core
from openinfra_model.core.errors import ModelError
from openinfra_model.core.hooktools import ToolResult
from openinfra_model.core.ids import Ids
from openinfra_model.core.state import State

__all__ = ["Core", "Finished", "HookContext", "HookRun", "Ids", "ModelError", "State", "ToolResult"]
