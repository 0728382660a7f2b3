"""What an OpenStack API has of other applications, one entry each: how it is asked for, read, and written into the configuration.

A need whose endpoint the charm's charmcraft.yaml does not declare is open: nothing is asked for, and its section is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import ops

from openinfra_charm.interfaces import (
    ceph_client,
    keystone,
    keystone_credentials,
    memcache,
    mysql_client,
    ovsdb_cms,
    rabbitmq,
)
from openinfra_charm.openstack import oslo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Sections = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirer:
    """Who asks: this application in its model, and what it offers itself."""

    model: ops.Model
    application: ops.Application
    region: str
    endpoints: tuple[keystone.Endpoint, ...] = ()
    roles: tuple[str, ...] = ()
    enough: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The charm's options."""


class Trust(Protocol):
    """The CA certificates by which servers are known, and by what this unit is known itself, as files."""

    @property
    def site(self) -> str:
        """The file with those of the application's own `certificates`."""
        ...

    @property
    def certificate(self) -> str:
        """The file with the unit's own certificate and those between it and the root."""
        ...

    @property
    def key(self) -> str:
        """The file with its private key, which only the service's user can read."""
        ...

    def keep(self, whom: str, cas: Iterable[str]) -> str:
        """Have a file of these, PEM, and no other; return its path, empty where there are none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something of another application. `name` is what templates call its part of the configuration."""

    name: str
    endpoint: str
    provider: str
    """The application that usually has it."""
    lacks: str
    """What is the matter without it, for a status."""
    awaits: str = ""
    """What the other application is waited for to do."""
    required: bool = True
    file_names: tuple[str, ...] = ()
    """Those that `files` may return."""

    def ask(self, relation: ops.Relation, requirer: Requirer) -> None:
        """As the leader, ask for it."""

    def ask_as_unit(self, relation: ops.Relation, requirer: Requirer) -> None:
        """As any unit, ask for what each unit has to ask for itself."""

    def read(self, relation: ops.Relation, requirer: Requirer) -> Any:
        """Return what the other application has given; None while that is nothing.

        Credentials are only looked at: see `use`.

        Raises:
            RelationError: It has said something that cannot be used.
        """

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Use the newest credentials from now on: the other application may revoke those before."""

    def sections(self, found: Any, trust: Trust) -> Sections:
        """Return the sections of the configuration, also where there is nothing (`found` is None)."""
        del found, trust
        return {}

    def value(self, found: Any, trust: Trust) -> Any:
        """Return what templates get under the need's name: the text of its sections, where it is nothing else."""
        return oslo.sections(self.sections(found, trust))

    def files(self, found: Any, etc: str) -> Mapping[str, str]:
        """Return files of the service's own that others' libraries read, by name; only its user may read them.

        Those of `file_names` that are not among them are removed.

        Args:
            found: What `read` has returned.
            etc: The folder that they are in.
        """
        del found, etc
        return {}

    def at_start(self, name: str, content: str) -> str:
        """Return what of such a file a process reads only when it starts: with another one it is restarted."""
        del name
        return content


@dataclass(frozen=True, kw_only=True)
class Database(Need):
    """A database of its own, called like the application, with a suffix where it has several."""

    name: str = "database"
    endpoint: str = "database"
    provider: str = "mysql"
    lacks: str = "no database"
    awaits: str = "to make the database"
    suffix: str = ""

    def ask(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Ask for it. Some migrations write its name without quotes."""
        name = requirer.application.name.replace("-", "_") + self.suffix
        mysql_client.send_request(relation, requirer.application, name)

    def read(self, relation: ops.Relation, requirer: Requirer) -> mysql_client.Access | None:
        """Return how to reach it."""
        try:
            return mysql_client.read_access(requirer.model, relation)
        except ops.SecretNotFoundError:
            return None

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Use the newest user from now on."""
        mysql_client.use(requirer.model, relation)

    def sections(self, found: Any, trust: Trust) -> Sections:
        """Return the section of oslo.db, called like the need."""
        parts = oslo.database(found, ca_path=trust.keep(self.name.replace("_", "-"), [found.ca]))
        return {self.name: parts["database"]}


@dataclass(frozen=True, kw_only=True)
class Identity(Need):
    """A user in Keystone, who checks the tokens of others, and places in the catalogue.

    `clients` are the sections by which the service asks others as this user: `Identity(clients=("placement", "service_user"))`.
    """

    name: str = "identity"
    endpoint: str = "identity-service"
    provider: str = "keystone"
    lacks: str = "no identity"
    awaits: str = "to make a user"
    clients: tuple[str, ...] = ()

    def ask(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Ask for the user and the places."""
        keystone.send_request(
            relation, requirer.application, requirer.endpoints, region=requirer.region,
            roles=requirer.roles, enough=requirer.enough,
        )  # fmt: skip

    def read(self, relation: ops.Relation, requirer: Requirer) -> keystone.Access | None:
        """Return how to reach Keystone, and as whom."""
        return keystone.read_access(requirer.model, relation, refresh=False)

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Use the newest user from now on."""
        keystone.read_access(requirer.model, relation)

    def sections(self, found: Any, trust: Trust) -> Sections:
        """Return the section of keystonemiddleware, and those of the service's own requests."""
        return {
            **oslo.authtoken(found, ca_path=trust.site),
            **oslo.clients(found, self.clients, ca_path=trust.site),
        }


@dataclass(frozen=True, kw_only=True)
class Credentials(Need):
    """A user in Keystone for a service that asks others and that nobody asks; `clients` are the sections, as in `Identity`."""

    name: str = "identity"
    endpoint: str = "identity-credentials"
    provider: str = "keystone"
    lacks: str = "no identity"
    awaits: str = "to make a user"
    clients: tuple[str, ...] = ()

    def ask(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Ask for the user, called like the application."""
        keystone_credentials.send_request(relation, requirer.application, requirer.application.name)

    def read(self, relation: ops.Relation, requirer: Requirer) -> keystone_credentials.Access | None:
        """Return how to reach Keystone, and as whom."""
        return keystone_credentials.read_access(requirer.model, relation, refresh=False)

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Use the newest user from now on."""
        keystone_credentials.read_access(requirer.model, relation)

    def sections(self, found: Any, trust: Trust) -> Sections:
        """Return the sections of the service's own requests."""
        return oslo.credentials(found, self.clients, ca_path=trust.site)


@dataclass(frozen=True, kw_only=True)
class Cache(Need):
    """A ring of caches; the service works without it."""

    name: str = "cache"
    endpoint: str = "cache"
    provider: str = "memcached"
    lacks: str = "nothing is cached"
    required: bool = False

    def read(self, relation: ops.Relation, requirer: Requirer) -> tuple[memcache.Server, ...]:
        """Return its servers."""
        del requirer
        return memcache.read_servers(relation)

    def sections(self, found: Any, trust: Trust) -> Sections:
        """Return the section of oslo.cache."""
        servers: tuple[memcache.Server, ...] = found or ()
        return oslo.cache(servers, ca_path=trust.keep("cache", [server.ca for server in servers]))


@dataclass(frozen=True, kw_only=True)
class Messaging(Need):
    """A virtual host of a message broker, called like the application where `vhost` does not name another one."""

    name: str = "messaging"
    endpoint: str = "amqp"
    provider: str = "rabbitmq"
    lacks: str = "no messaging"
    awaits: str = "to make a user"
    vhost: str = ""

    def ask(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Ask for it."""
        rabbitmq.send_request(relation, requirer.application, **self._wanted(requirer))

    def read(self, relation: ops.Relation, requirer: Requirer) -> rabbitmq.Access | None:
        """Return how to reach it."""
        return rabbitmq.read_access(requirer.model, relation, **self._wanted(requirer), refresh=False)

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Use the newest user from now on."""
        rabbitmq.read_access(requirer.model, relation, **self._wanted(requirer), refresh=True)

    def sections(self, found: Any, trust: Trust) -> Sections:
        """Return the sections of oslo.messaging."""
        return oslo.messaging(found, ca_path=trust.keep(self.name, [found.ca])) if found else {}

    def _wanted(self, requirer: Requirer) -> dict[str, str]:
        name = requirer.application.name
        return {"username": name, "vhost": self.vhost or name}


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """What a service has of a Ceph cluster. `pools` are its own, in the order in which it has named them."""

    user: str
    key: str
    monitors: tuple[str, ...]
    pools: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ceph(Need):
    """Pools of a Ceph cluster, and a user of it; `{application}` in their names is the application's name.

    Templates get `ceph.user`, `ceph.pool` and `ceph.pools`; the files are ceph.conf and ceph.keyring, and librados is told
    `/etc/<application>/ceph.conf`. The charm's options `pool-replicas` and `pool-device-class`, where it has them, say how many copies
    its pools keep, and on which disks.
    """

    name: str = "ceph"
    endpoint: str = "ceph"
    provider: str = "ceph"
    lacks: str = "no storage"
    awaits: str = "to make its pools and its key"
    file_names: tuple[str, ...] = ("ceph.conf", "ceph.keyring")
    pools: tuple[str, ...] = ("{application}",)
    reads: tuple[str, ...] = ()
    """Pools of others from which it makes clones; the operator has to allow it (option `shared-pools` of `ceph`)."""
    shares: tuple[str, ...] = ()
    """Pools of others that it writes; the same."""

    def ask(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Say that the key may come as a secret."""
        ceph_client.announce_secrets(relation, requirer.application, ("key", "username"))

    def ask_as_unit(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Ask for the pools and for a user with rights to them."""
        operations, unit = self._operations(requirer), requirer.model.unit
        number = ceph_client.request_id(operations)
        ceph_client.send_request(relation, unit, requirer.application.name, number, operations)

    def read(self, relation: ops.Relation, requirer: Requirer) -> Storage | None:
        """Return how to reach the cluster, and as whom."""
        return self._read(relation, requirer, refresh=False)

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Use the newest key from now on."""
        self._read(relation, requirer, refresh=True)

    def value(self, found: Any, trust: Trust) -> dict[str, Any] | None:
        """Return what templates are told; None where there is no cluster."""
        del trust
        if found is None:
            return None
        storage: Storage = found
        first = next(iter(storage.pools), "")
        return {"user": storage.user, "pool": first, "pools": list(storage.pools)}

    def files(self, found: Any, etc: str) -> Mapping[str, str]:
        """Return the configuration of librados, and the key."""
        if found is None:
            return {}
        storage: Storage = found
        monitors = ",".join(f"[{address}]" if ":" in address else address for address in storage.monitors)
        return {
            "ceph.conf": _CEPH_CONF.format(monitors=monitors, keyring=f"{etc}/ceph.keyring"),
            "ceph.keyring": f"[client.{storage.user}]\n\tkey = {storage.key}\n",
        }

    def at_start(self, name: str, content: str) -> str:
        """Leave out where the monitors are: a process that runs learns that from the cluster."""
        del name
        lines = content.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("mon_host"))

    def _read(self, relation: ops.Relation, requirer: Requirer, *, refresh: bool) -> Storage | None:
        number = ceph_client.request_id(self._operations(requirer))
        application, unit = requirer.application.name, requirer.model.unit
        access = ceph_client.read_access(requirer.model, relation, application, unit, number, refresh=refresh)
        if access is None:
            return None
        pools = tuple(self._named(self.pools, requirer))
        return Storage(user=access.user, key=access.key, monitors=access.monitors, pools=pools)

    def _operations(self, requirer: Requirer) -> list[dict[str, object]]:
        """Return the broker's operations: each pool, then the rights of a client of block devices to all of them."""
        own, reads, shares = (self._named(names, requirer) for names in (self.pools, self.reads, self.shares))
        wanted = {
            "replicas": requirer.options.get("pool-replicas"),
            "device-class": requirer.options.get("pool-device-class"),
        }
        sized = {key: value for key, value in wanted.items() if value}
        rights = [
            *(f"profile rbd pool={pool}" for pool in (*own, *shares)),
            *(f"profile rbd-read-only pool={pool}" for pool in reads),
        ]
        permissions = [
            "mon", 'profile rbd, allow command "osd blocklist"', "osd", ", ".join(rights),
            "mgr", ", ".join(f"profile rbd pool={pool}" for pool in (*own, *shares)),
        ]  # fmt: skip
        return [
            *({"op": "create-pool", "name": pool, "app-name": "rbd", **sized} for pool in own),
            {"op": "set-key-permissions", "client": requirer.application.name, "permissions": permissions},
        ]

    @staticmethod
    def _named(names: Iterable[str], requirer: Requirer) -> list[str]:
        return [name.format(application=requirer.application.name) for name in names]


_CEPH_CONF = """\
# Written by openinfra; will be lost.
[global]
mon_host = {monitors}
keyring = {keyring}
# What is said is encrypted, not only signed.
ms_client_mode = secure
ms_mon_client_mode = secure
# What cannot reach the cluster says so, and is tried again.
client_mount_timeout = 30
rados_mon_op_timeout = 30
"""


@dataclass(frozen=True, kw_only=True)
class Networks(Need):
    """OVN's databases, in which networks are written down; the servers take whoever has a certificate of their CA.

    A client reads CA, certificate and key whenever it connects: none of them restarts it, and its sessions go on with a new certificate.
    """

    name: str = "networks"
    endpoint: str = "ovsdb-cms"
    provider: str = "ovn-central"
    lacks: str = "no networks"
    awaits: str = "to say where OVN's databases are"

    def read(self, relation: ops.Relation, requirer: Requirer) -> ovsdb_cms.Connections | None:
        """Return how both databases are reached."""
        del requirer
        return ovsdb_cms.read(relation)

    def sections(self, found: Any, trust: Trust) -> Sections:
        """Return what Neutron and the provider of Octavia read; a template may have a section of the same name."""
        if found is None:
            return {}
        databases = {"nb": found.northbound, "sb": found.southbound}
        options = {
            f"ovn_{database}_{option}": value
            for database, connection in databases.items()
            for option, value in (
                ("connection", connection),
                ("ca_cert", trust.site),
                ("certificate", trust.certificate),
                ("private_key", trust.key),
            )
        }
        return {"ovn": options}


DATABASE = Database()
IDENTITY = Identity()
CACHE = Cache()
MESSAGING = Messaging()
NETWORKS = Networks()
