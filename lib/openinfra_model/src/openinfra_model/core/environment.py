"""The environment of hooks, actions and commands, as Juju 4.0 makes it (recorded from a real one)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_model import JUJU_VERSION
from openinfra_model.core import configuration

if TYPE_CHECKING:
    from openinfra_model.core.context import HookRun
    from openinfra_model.core.entities import Hook
    from openinfra_model.core.state import State

API_PORT = 17070
AGENTS = "/var/lib/juju/agents"
TOOLS = "/var/lib/juju/tools"


def tag(unit: str) -> str:
    """Return the name of a unit in paths, such as unit-ceph-0."""
    return f"unit-{unit.replace('/', '-')}"


def working_directory(unit: str) -> str:
    """Return where a unit's charm is unpacked and its hooks run."""
    return f"{AGENTS}/{tag(unit)}/charm"


def resource_path(unit: str, filename: str) -> str:
    """Return where resource-get puts a file for a unit."""
    return f"{AGENTS}/{tag(unit)}/resources/{filename}"


def environment(state: State, run: HookRun, context: str) -> dict[str, str]:
    """Return the variables of a run in its context."""
    unit = state.units[run.unit]
    machine = state.machines[unit.machine]
    options = configuration.model_options(state)
    hardware = dict(part.split("=", 1) for part in machine.hardware.split() if "=" in part)
    directory = working_directory(unit.name)
    found = {
        "APT_LISTCHANGES_FRONTEND": "none",
        "CHARM_DIR": directory,
        "CLOUD_API_VERSION": "",
        "DEBIAN_FRONTEND": "noninteractive",
        "JUJU_AGENT_SOCKET_ADDRESS": f"{AGENTS}/{tag(unit.name)}/agent.socket",
        "JUJU_AGENT_SOCKET_NETWORK": "unix",
        "JUJU_API_ADDRESSES": f"{machine.network.gateway}:{API_PORT}" if machine.network else "",
        "JUJU_AVAILABILITY_ZONE": hardware.get("availability-zone", ""),
        "JUJU_CHARM_DIR": directory,
        "JUJU_CHARM_FTP_PROXY": options.get("juju-ftp-proxy", ""),
        "JUJU_CHARM_HTTPS_PROXY": options.get("juju-https-proxy", ""),
        "JUJU_CHARM_HTTP_PROXY": options.get("juju-http-proxy", ""),
        "JUJU_CHARM_NO_PROXY": options["juju-no-proxy"],
        "JUJU_CHARM_TRACE_CONFIG_CA_CERT": "",
        "JUJU_CHARM_TRACE_CONFIG_GRPC": "",
        "JUJU_CHARM_TRACE_CONFIG_HTTP": "",
        "JUJU_CONTEXT_ID": context,
        "JUJU_HOOK_NAME": run.name if run.hook else "",
        "JUJU_MACHINE_ID": machine.id,
        "JUJU_MODEL_NAME": state.model.name,
        "JUJU_MODEL_UUID": state.model.uuid,
        "JUJU_PRINCIPAL_UNIT": unit.principal,
        "JUJU_UNIT_NAME": unit.name,
        "JUJU_VERSION": JUJU_VERSION,
        "LANG": "C.UTF-8",
        "PATH": f"{TOOLS}/{tag(unit.name)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
        "TERM": "tmux-256color",
    }
    if run.dispatch:
        found["JUJU_DISPATCH_PATH"] = run.dispatch
    if run.hook:
        return {**found, **_subject(state, run.hook)}
    if run.local:  # in Juju's words these are commands: only actions have the variables of an action
        return found
    return {
        **found,
        "JUJU_ACTION_NAME": run.name,
        "JUJU_ACTION_TAG": f"action-{run.task}",
        "JUJU_ACTION_UUID": run.task,
    }


def _subject(state: State, hook: Hook) -> dict[str, str]:
    """Return the variables that say what a hook is about."""
    found: dict[str, str] = {}
    if hook.relation is not None:
        found = {
            "JUJU_RELATION": hook.endpoint,
            "JUJU_RELATION_ID": f"{hook.endpoint}:{hook.relation}",
            "JUJU_REMOTE_APP": hook.remote_application,
            "JUJU_REMOTE_UNIT": hook.remote_unit,
        }
        if hook.departing_unit:
            found["JUJU_DEPARTING_UNIT"] = hook.departing_unit
    elif hook.storage:
        item = state.storage[hook.storage]
        found = {
            "JUJU_STORAGE_ID": item.id,
            "JUJU_STORAGE_KIND": item.kind,
            "JUJU_STORAGE_LOCATION": item.location,
        }
    elif hook.secret:
        found = {"JUJU_SECRET_ID": hook.secret, "JUJU_SECRET_LABEL": hook.secret_label}
        if hook.secret_revision:
            found["JUJU_SECRET_REVISION"] = str(hook.secret_revision)
    return found
