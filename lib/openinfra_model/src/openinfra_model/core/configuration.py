"""Settings of applications and of the model, and what units see of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.charm import OptionError, StorageError
from openinfra_model.core import find
from openinfra_model.core.entities import StorageDirective
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openinfra_model.charm import Charm, StorageSpec
    from openinfra_model.core.entities import Application, Network, OptionValue
    from openinfra_model.core.state import State

SPACE = "alpha"
STORAGE_POOL = "lxd"
DEFAULT_STORAGE_SIZE = 1024
MODEL_DEFAULTS = {
    "automatically-retry-hooks": "true",
    "default-space": SPACE,
    "juju-no-proxy": "127.0.0.1,localhost,::1",
    "logging-config": "<root>=INFO",
    "update-status-hook-interval": "5m",
}
SHORTEST_INTERVAL, LONGEST_INTERVAL = 60, 3600
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_DURATION_UNITS = (3600, 60, 1)


def options(state: State, application: Application) -> dict[str, OptionValue]:
    """Return every option of an application with its value or default, by name."""
    charm = state.charm_of(application).charm
    return {name: application.config.get(name, charm.config[name].default) for name in sorted(charm.config)}


def fingerprint(state: State, unit: str) -> str:
    """Return what a unit's config-changed hook is about; another text means that the hook is due."""
    member = state.units[unit]
    application = state.applications[member.application]
    network = state.machines[member.machine].network
    return (
        f"{application.config_version} {application.trusted} {' '.join(network.addresses) if network else ''}"
    )


def checked(charm: Charm, values: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Return options in the charm's types.

    Raises:
        ModelError: if the charm has no such option or the value is of another type.
    """
    return {name: _check(charm, name, value, text=False) for name, value in values.items()}


def _check(charm: Charm, name: str, value: OptionValue, *, text: bool) -> OptionValue:
    if name not in charm.config:
        raise ModelError(f'unknown option "{name}"')
    try:
        return charm.config[name].parse(str(value)) if text else charm.config[name].check(value)
    except OptionError as error:
        raise ModelError(str(error)) from error


def set_options(state: State, application: str, values: Mapping[str, str]) -> None:
    """Set options from text; setting what is set already changes nothing.

    Raises:
        ModelError: if an option or its type is wrong.
    """
    owner = find.application(state, application)
    charm = state.charm_of(owner).charm
    parsed = {key: _check(charm, key, value, text=True) for key, value in values.items()}
    _store(state, owner, {**owner.config, **parsed})


def reset_options(state: State, application: str, names: Sequence[str]) -> None:
    """Return options to their defaults.

    Raises:
        ModelError: if the charm has no such option.
    """
    owner = find.application(state, application)
    for key in names:
        if key not in state.charm_of(owner).charm.config:
            raise ModelError(f'unknown option "{key}"')
    _store(state, owner, {key: value for key, value in owner.config.items() if key not in names})


def _store(state: State, application: Application, config: dict[str, OptionValue]) -> None:
    changed = replace(application, config=config)
    if options(state, changed) != options(state, application):
        changed = replace(changed, config_version=application.config_version + 1)
    state.applications.put(changed)


def set_trust(state: State, application: str, *, trusted: bool) -> None:
    """Let a charm ask for the cloud's credentials, or no longer."""
    state.applications.put(replace(find.application(state, application), trusted=trusted))


def set_exposed(state: State, application: str, *, exposed: bool) -> None:
    """Mark an application as reachable from outside, or no longer."""
    state.applications.put(replace(find.application(state, application), exposed=exposed))


def set_constraints(state: State, application: str, constraints: str) -> None:
    """Set what machines made for an application from now on must have."""
    state.applications.put(replace(find.application(state, application), constraints=constraints))


def bind(state: State, application: str, bindings: Mapping[str, str]) -> None:
    """Bind endpoints to spaces; the empty name is the default of all.

    Raises:
        ModelError: if there is no such endpoint or space.
    """
    owner = find.application(state, application)
    check_bindings(state.charm_of(owner).charm, bindings)
    state.applications.put(replace(owner, bindings={**owner.bindings, **bindings}))


def check_bindings(charm: Charm, bindings: Mapping[str, str]) -> None:
    """Check that bindings name endpoints of the charm and the one space there is.

    Raises:
        ModelError: if not.
    """
    for endpoint, space in bindings.items():
        if endpoint and endpoint not in charm.endpoints and endpoint not in charm.extra_bindings:
            raise ModelError(f'charm "{charm.name}" has no endpoint or binding "{endpoint}"')
        if space != SPACE:
            raise ModelError(
                f'space "{space}" not found: this model has one machine and one space, "{SPACE}"'
            )


def effective_bindings(state: State, application: Application) -> dict[str, str]:
    """Return the space of every endpoint and extra binding; the empty name is the default."""
    charm = state.charm_of(application).charm
    default = application.bindings.get("", SPACE)
    names = ("", *charm.endpoints, *charm.extra_bindings)
    return {name: application.bindings.get(name, default) for name in sorted(names)}


def address_settings(network: Network) -> dict[str, str]:
    """Return what Juju puts into a unit's relation data."""
    return {"egress-subnets": f"{network.address}/32", "ingress-address": network.address}


def storage_directives(state: State, application: Application) -> dict[str, StorageDirective]:
    """Return what storage each unit of an application gets."""
    stores = state.charm_of(application).charm.storage
    return {name: application.storage.get(name, default_directive(spec)) for name, spec in stores.items()}


def default_directive(store: StorageSpec) -> StorageDirective:
    """Return what a unit gets of a store when nobody says anything: the charm's minimum."""
    pool = STORAGE_POOL if store.type == "filesystem" else "loop"
    return StorageDirective(pool=pool, size=store.minimum_size or DEFAULT_STORAGE_SIZE, count=store.count_min)


def check_storage(charm: Charm, name: str, directive: StorageDirective, count: int) -> None:
    """Check that a unit may have so much of a store.

    Raises:
        ModelError: if the charm says otherwise.
    """
    try:
        charm.storage[name].check(charm.name, size=directive.size, count=count)
    except StorageError as error:
        raise ModelError(str(error)) from error


def model_options(state: State) -> dict[str, str]:
    """Return every option of the model with its value or default."""
    return {**MODEL_DEFAULTS, **state.model.config}


def update_status_interval(state: State) -> float:
    """Return the seconds between update-status hooks."""
    return _seconds(model_options(state)["update-status-hook-interval"]) or 0.0


def _seconds(duration: str) -> float | None:
    """Return a Go duration such as 1h30m in seconds, None if it is no duration."""
    match = _DURATION.fullmatch(duration)
    if match is None or not any(match.groups()):
        return None
    return float(
        sum(int(part or 0) * unit for part, unit in zip(match.groups(), _DURATION_UNITS, strict=True))
    )


def set_model(state: State, values: Mapping[str, str], now: float) -> None:
    """Set options of the model.

    Raises:
        ModelError: if the interval of update-status is no duration between a minute and an hour.
    """
    interval = values.get("update-status-hook-interval")
    if interval is not None and not SHORTEST_INTERVAL <= (_seconds(interval) or 0) <= LONGEST_INTERVAL:
        raise ModelError(
            f'update-status-hook-interval: "{interval}" is not a duration from 1m to 60m, such as 5m or 1h'
        )
    state.models.put(replace(state.model, config={**state.model.config, **values}))
    if interval is not None:
        _restart_update_status(state, now)


def reset_model(state: State, names: Sequence[str], now: float) -> None:
    """Return options of the model to their defaults."""
    rest = {key: value for key, value in state.model.config.items() if key not in names}
    state.models.put(replace(state.model, config=rest))
    if "update-status-hook-interval" in names:
        _restart_update_status(state, now)


def _restart_update_status(state: State, now: float) -> None:
    due = now + update_status_interval(state)
    for agent in state.agents:
        state.agents.put(replace(agent, update_status_at=due))
