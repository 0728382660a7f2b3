"""Parts of an OpenStack service's configuration file, as its libraries (oslo.db, oslo.cache, ...) read them."""

from __future__ import annotations

import configparser
from typing import TYPE_CHECKING
from urllib.parse import quote

from openinfra_charm.model.status import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openinfra_charm.interfaces import keystone, keystone_credentials
    from openinfra_charm.interfaces.memcache import Server
    from openinfra_charm.interfaces.mysql_client import Access
    from openinfra_charm.interfaces.rabbitmq import Access as Broker

RECYCLE_SECONDS = 300
"""How old a connection to the database may get: less than the idle timeout of whatever is between."""
CONNECT_SECONDS = 5
"""How long a connection to the database may take."""
ANSWER_SECONDS = 5
"""How long an API waits for the database's answer. A virtual address that moves to another machine takes an answer that was
under way with it, and without this the process would wait for ever."""
HEARTBEAT_SECONDS = 10
"""After how long without a word a broker's machine counts as gone, and another one is tried; the broker is asked for a word thrice in it."""
PROCESS_NAME = "OS_OSLO_MESSAGING_RABBIT__PROCESSNAME"
"""In the environment of a process it names its queues of answers. Processes of one machine that are called the same take each other's,
and to oslo.messaging all that uWSGI runs is called the same."""


def database_url(access: Access, *, ca_path: str = "") -> str:
    """Return SQLAlchemy's URL of a database, through PyMySQL; with `ca_path`, over TLS.

    With a CA PyMySQL verifies certificate and name. (It would forget the CA if it were told `ssl_verify_cert` too.)
    """
    user, password = quote(access.username, safe=""), quote(access.password, safe="")
    tls = f"&ssl_ca={quote(ca_path)}" if ca_path else ""
    return f"mysql+pymysql://{user}:{password}@{access.endpoints[0]}/{access.database}?charset=utf8mb4&connect_timeout={CONNECT_SECONDS}{tls}"


def sections(parts: Mapping[str, Mapping[str, object]]) -> str:
    """Return sections of an INI file; `%` and `$`, which oslo.config would read as references, are kept as they are."""
    texts: list[str] = []
    for name, options in parts.items():
        lines = [f"{key} = {_text(value)}" for key, value in options.items()]
        texts.append("\n".join([f"[{name}]", *lines]) + "\n")
    return "\n".join(texts)


def database(access: Access, *, ca_path: str = "", pool: int = 5) -> dict[str, dict[str, object]]:
    """Return the section of oslo.db."""
    return {
        "database": {
            "connection": database_url(access, ca_path=ca_path),
            "connection_parameters": f"read_timeout={ANSWER_SECONDS}&write_timeout={ANSWER_SECONDS}",
            "connection_recycle_time": RECYCLE_SECONDS,
            "max_pool_size": pool,
            # What cannot be reached is told at once, for a load balancer to hear of it; the next request tries again.
            "max_retries": 1,
            "retry_interval": 1,
        }
    }


def patient(sections: Iterable[str]) -> dict[str, str]:
    """Return what in a program's environment lets it wait for these databases as long as a change of their schema takes."""
    return {f"OS_{section.upper()}__CONNECTION_PARAMETERS": "" for section in sections}


def cache(servers: Iterable[Server], *, ca_path: str = "") -> dict[str, dict[str, object]]:
    """Return the section of oslo.cache: a ring of servers, each passed over when it does not answer (`openinfra_cache`).

    With no server, nothing is cached. With `ca_path`, all of them speak TLS, with certificates of that CA.
    """
    ring = ",".join(str(server) for server in servers)
    if not ring:
        return {"cache": {"enabled": False}}
    tls: dict[str, object] = {"tls_enabled": True, "tls_cafile": ca_path} if ca_path else {}
    return {
        "cache": {
            "enabled": True,
            "backend": "dogpile.cache.pymemcache",
            "memcache_servers": ring,
            **tls,
        }
    }


def messaging(access: Broker, *, ca_path: str) -> dict[str, dict[str, object]]:
    """Return the sections of oslo.messaging: all queues outlast the loss of a broker, and clients go on at another one.

    Names of queues of answers come from a counter (`use_queue_manager`): at each start of a process the same ones, so that none are left
    behind. Messages to all (fanout) have queues too, not streams: a stream's copies do not come back by themselves.
    """
    user, password = quote(access.username, safe=""), quote(access.password, safe="")
    hosts = ",".join(f"{user}:{password}@{endpoint}" for endpoint in access.endpoints)
    return {
        "DEFAULT": {"transport_url": f"rabbit://{hosts}/{quote(access.vhost, safe='')}"},
        "oslo_messaging_rabbit": {
            "ssl": True,
            "ssl_ca_file": ca_path,
            "rabbit_quorum_queue": True,
            "rabbit_transient_quorum_queue": True,
            "use_queue_manager": True,
            "heartbeat_timeout_threshold": HEARTBEAT_SECONDS,
            "heartbeat_rate": 3,
        },
    }


def authtoken(access: keystone.Access, *, ca_path: str) -> dict[str, dict[str, object]]:
    """Return the section of keystonemiddleware, which checks the tokens of requests.

    Each process keeps what it has checked for itself: where services share a cache, who can write it could make tokens valid.
    """
    return {
        "keystone_authtoken": {
            "www_authenticate_uri": access.identity.public_url,
            **_login(access, ca_path),
            "interface": "internal",
            "service_token_roles": "service",
            "service_token_roles_required": True,
        }
    }


def clients(access: keystone.Access, names: Iterable[str], *, ca_path: str) -> dict[str, dict[str, object]]:
    """Return sections of keystoneauth, by which a service asks others as its own user: `placement`, `neutron`, ...

    In `service_user` it says so beside the token of the one it asks for.
    """
    login = {**_login(access, ca_path), "valid_interfaces": "internal"}
    return {
        name: {**login, "send_service_user_token": True} if name == "service_user" else login
        for name in names
    }


def credentials(
    access: keystone_credentials.Access, names: Iterable[str], *, ca_path: str
) -> dict[str, dict[str, object]]:
    """Return sections of keystoneauth as `clients` does, for a service that has a user and no place in the catalogue."""
    identity = access.identity
    login: dict[str, object] = {
        "auth_url": identity.internal_url,
        "auth_type": "password",
        "username": access.username,
        "password": access.password,
        "user_domain_name": identity.user_domain.name,
        "project_name": identity.project.name,
        "project_domain_name": identity.project_domain.name,
        "region_name": identity.region,
        "cafile": ca_path,
        "valid_interfaces": "internal",
    }
    return {
        name: {**login, "send_service_user_token": True} if name == "service_user" else login
        for name in names
    }


def _login(access: keystone.Access, ca_path: str) -> dict[str, object]:
    identity = access.identity
    return {
        "auth_url": identity.internal_url,
        "auth_type": "password",
        "username": access.username,
        "password": access.password,
        "user_domain_name": identity.service_domain.name,
        "project_name": identity.service_project.name,
        "project_domain_name": identity.service_domain.name,
        "region_name": identity.region,
        "cafile": ca_path,
    }


def extended(config: str, lines: str) -> str:
    """Return a configuration with an operator's lines (option `extra-config`) after it, where they are not already.

    Raises:
        ConfigError: They are not of the form, or set what the charm does.
    """
    if not lines.strip():
        return config
    try:
        added = _parsed(lines)
    except configparser.Error as error:
        why = str(error).splitlines()[0]
        raise ConfigError("extra-config", lines, f"sections and options as in an INI file ({why})") from error
    end = f"\n# From the option extra-config\n{lines.strip()}\n"
    written = config.removesuffix(end)
    own = _parsed(written)
    for section in added.sections():
        for key in added[section]:
            if own.has_option(section, key):
                raise ConfigError(
                    "extra-config", lines, f"what the charm leaves open; [{section}] {key} it sets itself"
                )
    return f"{written}{end}"


def _parsed(text: str) -> configparser.RawConfigParser:
    # oslo.config knows no section whose options are in all others.
    parser = configparser.RawConfigParser(strict=False, default_section="")
    parser.read_string(text)
    return parser


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("$", "$$")
