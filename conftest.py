"""What the suites of all charms and packages share."""

from __future__ import annotations

import dataclasses
import importlib.util

# Suites that play with no examples are run without Hypothesis.
if importlib.util.find_spec("hypothesis"):
    from hypothesis import settings

    # How long an example takes is a matter of what else the machine does, and no reason to fail.
    settings.register_profile("openinfra", deadline=None)
    settings.load_profile("openinfra")

if importlib.util.find_spec("scenario"):
    from scenario import _consistency_checker as checker

    # ops.testing knows no parameter with several types, as JSON schema and Juju do; the others it checks as ever.
    _check = checker._check_action_param_types  # noqa: SLF001

    def _check_action_param_types(charm_spec, action, *told) -> None:  # noqa: ANN001, ANN002
        spec = (charm_spec.actions or {}).get(action.name) or {}
        several = {
            name for name, param in spec.get("params", {}).items() if isinstance(param.get("type"), list)
        }
        params = {name: param for name, param in spec.get("params", {}).items() if name not in several}
        known = dataclasses.replace(charm_spec, actions={action.name: {**spec, "params": params}})
        given = {name: value for name, value in action.params.items() if name not in several}
        _check(known, dataclasses.replace(action, params=given), *told)

    checker._check_action_param_types = _check_action_param_types  # noqa: SLF001
