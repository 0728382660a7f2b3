"""The pure model: Juju's rules without I/O, clock or randomness of their own.

`Core` is the way in. Time enters as `now` (seconds since the epoch), names that must be unpredictable through `Ids`,
and the world through `State`, whose dirty rows the caller stores after each call.
"""

from openinfra_model.core.context import Finished, HookContext, HookRun
from openinfra_model.core.core import Core
from openinfra_model.core.errors import ModelError
from openinfra_model.core.hooktools import ToolResult
from openinfra_model.core.ids import Ids
from openinfra_model.core.state import State

__all__ = ["Core", "Finished", "HookContext", "HookRun", "Ids", "ModelError", "State", "ToolResult"]
