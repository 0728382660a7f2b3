"""What the command line can ask of a model: by the verb's name, the function that has its rules.

Each takes the state first, and `now` where it needs the time. Those that change refuse with ModelError, and nothing has
changed then; those that show return plain data in Juju's structure, as its `--format json` prints it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openinfra_model.core import (
    actions,
    applications,
    configuration,
    machines,
    relations,
    secrets,
    show,
    status,
    storage,
    units,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHANGES: Mapping[str, Callable[..., Any]] = {
    "add_machine": machines.add,
    "add_secret": secrets.add_user_secret,
    "add_unit": units.add,
    "bind": configuration.bind,
    "cancel_task": actions.cancel,
    "detach_storage": storage.detach,
    "enqueue_action": actions.enqueue,
    "enqueue_exec": actions.enqueue_exec,
    "expose": configuration.set_exposed,
    "grant_secret": secrets.grant_user_secret,
    "integrate": relations.integrate,
    "remove_application": applications.remove,
    "remove_machine": machines.remove,
    "remove_relation": relations.remove,
    "remove_secret": secrets.remove_user_secret,
    "remove_storage": storage.remove,
    "remove_unit": units.remove,
    "reset_config": configuration.reset_options,
    "reset_model_config": configuration.reset_model,
    "resolved": units.resolve,
    "revoke_secret": secrets.revoke_user_secret,
    "set_config": configuration.set_options,
    "set_constraints": configuration.set_constraints,
    "set_model_config": configuration.set_model,
    "trust": configuration.set_trust,
    "update_secret": secrets.update_user_secret,
}
VIEWS: Mapping[str, Callable[..., Any]] = {
    "constraints": show.constraints,
    "leader": show.leader,
    "show_actions": show.actions,
    "show_application": show.application,
    "show_config": show.config,
    "show_model": show.model,
    "show_model_config": show.model_config,
    "show_operation": show.operation,
    "show_operations": show.operations,
    "show_resources": show.resources,
    "show_secret": show.secret,
    "show_secrets": show.secrets,
    "show_status_log": show.status_log,
    "show_storage": status.storage,
    "show_task": show.task,
    "show_unit": show.unit,
    "status": status.full,
}
VERBS: Mapping[str, Callable[..., Any]] = {**CHANGES, **VIEWS}
