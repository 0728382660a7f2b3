"""Drain a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import routes
import state as states
from haproxy import InvalidConfigError, NoAnswerError
from openinfra_charm.model.actions import ActionError, Outcome, failing_on, require_leader
from openinfra_charm.model.status import NeedsOperatorError
from state import Drain

if TYPE_CHECKING:
    from charm import GatewayCharm


def drain_backend(charm: GatewayCharm, *, backend: str, route: str = "", undo: bool = False) -> Outcome:
    """Have all gateways send a backend no new connections, or send it some again.

    Raises:
        ActionError: There is no such backend, it is the last one of a route, or this unit does not lead; nothing was
            changed.
    """
    require_leader(charm, "drain-backend")
    known = {drain for drain in charm.drains if _exists(charm, drain)}
    drain = Drain(backend=backend, route=route)
    if undo:
        ended = {one for one in known if one.backend == drain.backend and drain.route in {"", one.route}}
        if not ended:
            raise ActionError(f"{_words(drain)} is not drained; list-routes shows what is")
        return _apply(charm, known - ended, f"{_words(drain)} takes connections again")
    if not _exists(charm, drain):
        backends = sorted({one.name for asked in charm.routes[0] for one in asked.backends})
        raise ActionError(f"there is no {_words(drain)}; backends are {', '.join(backends) or 'none'}")
    _refuse_last(charm, drain, known)
    what = f"{_words(drain)} gets no new connections; show-backends counts those that it has"
    return _apply(charm, known | {drain}, what)


def _exists(charm: GatewayCharm, drain: Drain) -> bool:
    return any(drain.covers(asked, backend.name) for asked in charm.routes[0] for backend in asked.backends)


def _refuse_last(charm: GatewayCharm, drain: Drain, known: set[Drain]) -> None:
    """Refuse to drain what nothing can take the place of."""
    with failing_on(NoAnswerError, words=f"{{}}; see the status of {charm.unit.name}"):
        servers = charm.gateway.servers()
    up = {(one.route, one.server) for one in servers if one.status.startswith(("UP", "no check"))}
    for asked in charm.routes[0]:
        route = states.name(asked)
        if not any(drain.covers(asked, backend.name) for backend in asked.backends):
            continue
        left = [
            backend
            for backend in asked.backends
            if (route, routes.server_name(backend)) in up
            and not any(one.covers(asked, backend.name) for one in (*known, drain))
        ]
        if not left:
            raise ActionError(f"{drain.backend} is the last healthy backend of {route}: see show-backends")


def _apply(charm: GatewayCharm, drains: set[Drain], what: str) -> Outcome:
    """Publish it to all gateways, and do it at this one."""
    ordered = sorted((drain.backend, drain.route) for drain in drains)
    charm.cluster.publish_shared(drained=[list(one) for one in ordered] or None)
    try:
        charm.reconcile()
    except (NeedsOperatorError, InvalidConfigError, NoAnswerError) as error:
        return Outcome(summary=f"{what}; not at {charm.unit.name} yet: {error}")
    return Outcome(summary=what)


def _words(drain: Drain) -> str:
    return f"{drain.backend} of route {drain.route}" if drain.route else drain.backend
