"""What the model consists of.

Each entity is one row of a table of `State`: immutable, and unique there by the field that the table names. Times are
seconds since the epoch. Mappings are never changed in place: a change makes a new entity.
"""

from __future__ import annotations

import ipaddress
from collections.abc import (  # noqa: TC003 the codec reads the annotations at run time
    Iterable,
    Mapping,
)
from dataclasses import dataclass, field
from typing import Any, Literal

from openinfra_model.charm import (  # noqa: TC001 the codec reads the annotations at run time
    Charm,
    Role,
    Scope,
)

Life = Literal["alive", "dying", "dead"]
OptionValue = str | int | float | bool | None


def _no_data() -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """A status with the time it was set; `data` is what an error is about."""

    current: str
    message: str = ""
    since: float = 0.0
    data: Mapping[str, Any] = field(default_factory=_no_data)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """The model; there is one. `config` holds only what the operator set."""

    name: str
    uuid: str
    created: float
    life: Life = "alive"
    config: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """The next number of a series, for example of relations or of the units of one application."""

    name: str
    next: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredCharm:
    """A charm that was deployed, with the archive it came from. `url` is `local:NAME-REVISION`."""

    url: str
    revision: int
    archive: str
    charm: Charm


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """How a machine is reached: one interface in one IPv4 network.

    `address` is what Juju takes for the machine's own: of all that the interface has, the first as text, be it the
    machine's or a virtual one that it holds for a while (recorded from Juju 4.0.14). `held` are all of them with their
    prefixes, in the kernel's order; none where `address` is the only one.
    """

    address: str
    cidr: str
    gateway: str = ""
    interface: str = "eth0"
    mac: str = ""
    held: tuple[str, ...] = ()

    @classmethod
    def of(cls, held: Iterable[str], *, gateway: str = "", interface: str = "eth0", mac: str = "") -> Network:
        """Describe an interface by its addresses with their prefixes, in the kernel's order."""
        faces = [ipaddress.ip_interface(one) for one in held]
        # All have the CIDR of the subnet, also one that was added as a single address.
        subnet = next((one.network for one in faces if one.network.num_addresses > 1), faces[0].network)
        return cls(
            address=min(str(one.ip) for one in faces),
            cidr=str(subnet),
            gateway=gateway,
            interface=interface,
            mac=mac,
            held=tuple(str(one) for one in faces) if len(faces) > 1 else (),
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses in Juju's order, which is that of texts."""
        return tuple(sorted(one.partition("/")[0] for one in self.held)) or (self.address,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A machine. `boot_id` changes with each start of the machine; `present` says that its agent is there.

    `agent` is Juju's juju-status (pending, started, down, stopped), `instance` the machine-status (pending,
    provisioning error, running).
    """

    id: str
    base: str
    agent: Status
    instance: Status
    life: Life = "alive"
    instance_id: str = ""
    hostname: str = ""
    network: Network | None = None
    hardware: str = ""
    constraints: str = ""
    boot_id: str = ""
    present: bool = False
    reboot_wanted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageDirective:
    """What storage each unit of an application gets; size in MiB."""

    pool: str
    size: int
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A resource's file, kept by the caller at `path`; revision counts the uploads."""

    name: str
    path: str
    fingerprint: str
    revision: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """An application. `modified` counts the changes that make units run upgrade-charm; `config` holds what was set.

    `leader` is the unit that holds the lease; `lease_end` is set once the holder no longer renews it.
    """

    name: str
    charm_url: str
    base: str
    created: float
    life: Life = "alive"
    modified: int = 0
    config: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    config_version: int = 0
    trusted: bool = False
    exposed: bool = False
    status: Status | None = None
    version: str = ""
    constraints: str = ""
    bindings: Mapping[str, str] = field(default_factory=dict[str, str])
    storage: Mapping[str, StorageDirective] = field(default_factory=dict[str, StorageDirective])
    resources: Mapping[str, Resource] = field(default_factory=dict[str, Resource])
    leader: str = ""
    lease_start: float = 0.0
    lease_end: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A range of open ports, for all endpoints when `endpoint` is empty. ICMP has no ports: both are 0."""

    protocol: str
    first: int
    last: int
    endpoint: str = ""

    def __str__(self) -> str:
        if self.protocol == "icmp":
            return "icmp"
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{ports}/{self.protocol}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A unit as the controller sees it. A hook error shows in `agent`, the workload's own status stays.

    `tasks` are those that are not done yet, `log_length` counts the lines of the status history.
    """

    name: str
    application: str
    machine: str
    workload: Status
    agent: Status
    created: float
    principal: str = ""
    life: Life = "alive"
    resolved: Literal["", "retry", "no-retry"] = ""
    ports: tuple[Port, ...] = ()
    version: str = ""
    charm_state: Mapping[str, str] = field(default_factory=dict[str, str])
    tasks: tuple[str, ...] = ()
    log_length: int = 0

    @property
    def number(self) -> int:
        """What comes after the slash."""
        return int(self.name.rpartition("/")[2])


@dataclass(frozen=True, kw_only=True, slots=True)
class Hook:
    """What a hook is about; the fields that do not apply are empty. `kind` is Juju's, such as relation-joined."""

    kind: str
    relation: int | None = None
    endpoint: str = ""
    remote_application: str = ""
    remote_unit: str = ""
    departing_unit: str = ""
    version: int = 0
    storage: str = ""
    secret: str = ""
    secret_revision: int = 0
    secret_label: str = ""

    @property
    def name(self) -> str:
        """The name that the charm sees, such as db-relation-joined or data-storage-attached."""
        if self.kind.startswith("relation-"):
            return f"{self.endpoint}-{self.kind}"
        if self.kind.startswith("storage-"):
            return f"{self.storage.partition('/')[0]}-{self.kind}"
        return self.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """What a unit's agent knows of a relation: the versions it told its charm of.

    `ghosts` are members that are gone without the agent having been told.
    """

    created: bool = False
    members: Mapping[str, int] = field(default_factory=dict[str, int])
    applications: Mapping[str, int] = field(default_factory=dict[str, int])
    pending_change: str = ""
    ghosts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """What a unit's agent (Juju's uniter) remembers: how far its charm has been told of the model.

    `queued` is the hook that must come next, `failed` the hook in error, `attempts` how often it failed and
    `failed_since` when first, or when its application's removal began if that was later.
    """

    unit: str
    charm_url: str
    running: bool = False
    installed: bool = False
    started: bool = False
    stopped: bool = False
    removed: bool = False
    queued: Hook | None = None
    failed: Hook | None = None
    attempts: int = 0
    failed_since: float = 0.0
    retry_at: float | None = None
    modified: int = 0
    config_seen: str = ""
    leader: bool = False
    boot_id: str = ""
    update_status_at: float = 0.0
    storage: tuple[str, ...] = ()
    memberships: Mapping[str, Membership] = field(default_factory=dict[str, Membership])
    secrets_seen: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True, slots=True)
class RelationEndpoint:
    """One side of a relation. `implicit` marks the juju-info endpoint that every charm has."""

    application: str
    name: str
    interface: str
    role: Role
    scope: Scope
    implicit: bool = False

    def __str__(self) -> str:
        return f"{self.application}:{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Databag:
    """Relation data of a unit or an application; `version` counts its changes."""

    content: Mapping[str, str] = field(default_factory=dict[str, str])
    version: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """A relation; a peer relation has one endpoint. `units` are those in scope, `departed` keeps the data of others.

    `ends_with_others` says that the removal of an application ends it together with more of that application's.
    """

    id: int
    endpoints: tuple[RelationEndpoint, ...]
    status: Status
    life: Life = "alive"
    applications: Mapping[str, Databag] = field(default_factory=dict[str, Databag])
    ends_with_others: bool = False
    units: Mapping[str, Databag] = field(default_factory=dict[str, Databag])
    departed: Mapping[str, Databag] = field(default_factory=dict[str, Databag])

    @property
    def key(self) -> str:
        """The id as text."""
        return str(self.id)

    @property
    def is_peer(self) -> bool:
        """Whether it is between the units of one application."""
        return len(self.endpoints) == 1

    @property
    def scope(self) -> Scope:
        """Container when either side says so."""
        return "container" if any(end.scope == "container" for end in self.endpoints) else "global"

    def local(self, application: str) -> RelationEndpoint:
        """Return the side of an application that takes part."""
        return next(end for end in self.endpoints if end.application == application)

    def remote(self, application: str) -> RelationEndpoint:
        """Return the other side; of a peer relation, the same."""
        return next((end for end in self.endpoints if end.application != application), self.endpoints[0])

    def __str__(self) -> str:
        order = {"requires": 0, "provides": 1, "peers": 2}
        return " ".join(str(end) for end in sorted(self.endpoints, key=lambda end: order[end.role]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """A storage instance; `size` in MiB. `provisioned` says that the caller made it at `location`."""

    id: str
    kind: Literal["filesystem", "block"]
    pool: str
    size: int
    number: int
    status: Status
    owner: str = ""
    machine: str = ""
    location: str = ""
    device: str = ""
    life: Life = "alive"
    attachment: Life = "alive"
    provisioned: bool = False
    destroy: bool = False

    @property
    def name(self) -> str:
        """The store of the charm that it is an instance of."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretRevision:
    """One revision; `content` values are base64. `obsolete` revisions have no consumer and the owner may remove them."""

    content: Mapping[str, str]
    created: float
    expires: float | None = None
    obsolete: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """Who may read a secret, as long as relation `relation` lives (None: until revoked)."""

    grantee: str
    relation: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Consumer:
    """How a unit follows a secret, its own too: at a revision, under its own label or, if it owns the secret, the owner's."""

    revision: int
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """A secret. `owner` is the name of a unit or an application, or empty for the operator's; `name` is the operator's."""

    id: str
    owner: str
    created: float
    updated: float
    latest: int
    revisions: Mapping[int, SecretRevision]
    label: str = ""
    name: str = ""
    description: str = ""
    rotation: str = "never"
    rotate_at: float | None = None
    auto_prune: bool = False
    grants: tuple[Grant, ...] = ()
    consumers: Mapping[str, Consumer] = field(default_factory=dict[str, Consumer])


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """What one `run` or `exec` asked for: one task for each unit."""

    id: str
    summary: str
    tasks: tuple[str, ...]
    enqueued: float


TaskStatus = Literal["pending", "running", "aborting", "completed", "failed", "cancelled", "aborted", "error"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """An action or command for one unit. `results` is nested by the dots in the keys, as Juju shows it.

    `local` marks what somebody on the machine runs by `juju-exec`, which Juju counts as no action.
    """

    id: str
    operation: str
    unit: str
    action: str
    parameters: Mapping[str, Any]
    enqueued: float
    status: TaskStatus = "pending"
    parallel: bool = False
    local: bool = False
    execution_group: str = ""
    started: float | None = None
    completed: float | None = None
    message: str = ""
    log: tuple[tuple[float, str], ...] = ()
    results: Mapping[str, Any] = field(default_factory=_no_data)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogEntry:
    """One line of a unit's status history; `slot` reuses the rows of old lines."""

    unit: str
    slot: int
    kind: Literal["workload", "juju-unit"]
    status: Status

    @property
    def key(self) -> str:
        """The unit and the slot."""
        return f"{self.unit}#{self.slot}"
