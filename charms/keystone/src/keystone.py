"""Keystone on one machine: its release tree, configuration, keys and processes. Everything here works without Juju."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from keyset import EXPIRED_WINDOW, KINDS
from openinfra_charm.daemon import front, registry, render, tls
from openinfra_charm.daemon.front import Front
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.machine import program
from openinfra_charm.openstack import oslo, release
from openinfra_charm.openstack.api import HEALTH, Api, Description
from openinfra_charm.openstack.release import Releases
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyset import KeySet
    from openinfra_charm.machine import Machine
    from state import State

HERE = Path(__file__).parent
PACKAGES = (*front.PACKAGES, *release.PACKAGES, *tls.PACKAGES)
"""What a new application begins with."""
RELEASES = HERE / "releases"
GATEWAY = 5000
"""Where clients look for Keystone: at the gateway."""
BACKEND_PORT = 15000
PROXIED_PORT = 25000
"""Where the gateway sends connections with the address of who they are from."""
"""Where a unit listens: applications share machines, also with the gateway."""
DESCRIPTION = Description(
    wsgi="openinfra_wsgi:application", environment={"OS_KEYSTONE_CONFIG_FILES": "{etc}/keystone.conf"}
)


class Keystone:
    """The Keystone of one application on this machine."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self.application = application
        self.api = Api(machine, application, DESCRIPTION)
        self.tls = Certificate(machine, application, user=self.api.user, group=self.api.user, combined=True)
        self.front = Front(machine, application, user=self.api.user, tls=self.tls)
        self.releases = Releases(machine, application)
        self._templates = render.Templates(machine, application, HERE / "templates")
        self._config_path = f"{self.api.etc}/keystone.conf"
        self._module_path = f"{self.api.modules}/openinfra_wsgi.py"
        self._forget_path = f"{self.api.modules}/forget_caches.py"

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        return Footprint(paths=(*self.front.paths, *self.api.paths, self.releases.folder), user=self.api.user)

    # Verbs

    def install(self) -> None:
        """Install the packages and make the user; nothing starts."""
        registry.install(self.machine, self.application, PACKAGES)
        self.front.keep_packaged_stopped()
        self.api.install()

    def version(self) -> str:
        """Return the release in use, such as `2026.1`; empty before there is one."""
        current = self.releases.current
        return current.release if current else ""

    def render(self, state: State) -> None:
        """Write keys, configuration and units."""
        self.write_keys(state.keys)
        cache_cas = (server.ca for server in state.servers)
        config = self._templates.fill(
            "keystone.conf.j2",
            self._config_path,
            application=self.application,
            settings=state.settings,
            expired_window=EXPIRED_WINDOW,
            etc=self.api.etc,
            lib=self.api.lib,
            database=oslo.sections(
                oslo.database(state.access, ca_path=self._trust("database", state.access.ca))
            ),
            cache=oslo.sections(oslo.cache(state.servers, ca_path=self._trust("cache", *cache_cas))),
        )
        module = (HERE / "files/openinfra_wsgi.py").read_text(encoding="utf-8")
        forget = (HERE / "files/forget_caches.py").read_text(encoding="utf-8")
        policy = (HERE / "files/policy.yaml").read_text(encoding="utf-8")
        render.write(
            self.machine,
            File(path=f"{self.api.etc}/policy.yaml", content=policy),
            dataclasses.replace(config, mode=0o640, group=self.api.user),
            File(path=self._module_path, content=module),
            File(path=self._forget_path, content=forget),
        )
        self.api.render(workers=state.settings.workers)
        self.front.render(
            address=state.address, port=BACKEND_PORT, daemon=f"unix@{self.api.socket}", health=HEALTH,
            proxied=PROXIED_PORT, sources=state.sources,
        )  # fmt: skip
        for kind in registry.CHECKS:
            check = program.command(HERE / "check.py", kind, self.application, *state.others)
            registry.leave_check(self.machine, kind, self.application, *check)

    def _trust(self, whom: str, *cas: str) -> str:
        """Have a file of the CAs with which others are verified; return its path, empty where they speak no TLS."""
        path, wanted = f"{self.api.etc}/{whom}-ca.pem", sorted({ca.strip() for ca in cas if ca})
        if not wanted:
            self.machine.remove(path)
            return ""
        self.machine.write(path, "".join(f"{ca}\n" for ca in wanted))
        return path

    def write_keys(self, keys: KeySet) -> None:
        """Put a generation of keys on the disk.

        It gets a folder of its own, and a link leads to it when it is whole: Keystone, which reads the keys anew for each
        request, and a power loss see one generation or the other.
        """
        owner = {"user": self.api.user, "group": self.api.user}
        for kind in KINDS:
            name = f"{kind}-keys-{keys.generation}"
            self.machine.make_folder(f"{self.api.lib}/{name}", mode=0o700, **owner)
            for number, key in keys.of(kind).items():
                self.machine.write(f"{self.api.lib}/{name}/{number}", key, mode=0o600, **owner)
            self.machine.link(f"{self.api.lib}/{kind}-keys", name)
            for other in self.machine.list_folder(self.api.lib):
                if other.startswith(f"{kind}-keys-") and other != name:
                    self.machine.remove(f"{self.api.lib}/{other}")

    def apply(self) -> bool:
        """Have both processes run; return whether the API was started.

        One that runs with an older configuration is left for `outdated`.
        """
        started = self.api.apply(*self._inputs)
        self.front.apply()
        return started

    start = apply

    def outdated(self) -> bool:
        """Return whether the API runs with something older and has to be restarted."""
        return self.api.outdated(*self._inputs)

    def restart(self) -> None:
        """Restart the API; the front holds requests back meanwhile."""
        self.api.restart(*self._inputs)

    def is_ready(self) -> bool:
        """Return whether Keystone can do its work."""
        return not self.api.problem()

    def why_not_ready(self) -> str:
        """Return why this unit does not serve yet; empty if it does, or is paused."""
        return "" if self.api.paused else self.api.problem()

    def why_not_to_stop(self, others: Iterable[str]) -> str:
        """Return why this unit must not stop now; empty if one of the others, which are named by address, serves."""
        places = (f"https://{bracketed(other)}:{BACKEND_PORT}" for other in others)
        return self.api.why_not_to_stop(places, ca_path=self.tls.ca_path)

    def stop(self) -> None:
        """Stop both processes, and keep them stopped."""
        self.front.stop()
        self.api.stop()

    def remove(self) -> None:
        """Take everything of ours off the machine; packages that others need stay."""
        self.front.remove()
        self.tls.remove()
        self.api.remove()
        self.releases.remove()
        registry.remove_checks(self.machine, self.application)
        registry.uninstall(self.machine, self.application)
        self.machine.remove(f"/var/lib/openinfra/{self.application}")

    @property
    def _inputs(self) -> tuple[str, ...]:
        current = self.releases.current
        # The database's CA is read anew for each connection, the cache's only once.
        paths = (self._config_path, self._module_path, f"{self.api.etc}/cache-ca.pem")
        texts = (self.machine.read(path) or "" for path in paths)
        return (current.name if current else "", *texts)

    # What the leader does once

    def sync_database(self) -> None:
        """Bring the database's schema to this release, and its tables to all characters; what is so is left as it is."""
        self._manage("db_sync")
        self.api.convert_tables(self._config_path)

    def bootstrap(self, username: str, password: str, *, url: str, region: str) -> None:
        """Make the roles, the project `admin`, the catalogue's entry of Keystone, and a user who may do everything.

        All of that may be there: then only the user's password is set, if it is another.
        """
        urls = (f"--bootstrap-{kind}-url={url}" for kind in ("public", "internal", "admin"))
        self._manage(
            "bootstrap",
            f"--bootstrap-username={username}",
            f"--bootstrap-region-id={region}",
            *urls,
            env={"OS_BOOTSTRAP_PASSWORD": password},
        )

    def migrate_credentials(self) -> None:
        """Encrypt all stored credentials with the key in use."""
        self._manage("credential_migrate")

    def forget_caches(self) -> None:
        """Empty the caches: what is in them may be of another database."""
        self.api.run("python", self._forget_path, self._config_path)

    def change_schema(self, step: str, tree: str) -> None:
        """Take the database's schema a step to the release of a tree: `expand` or `contract`."""
        self._manage("db_sync", f"--{step}", tree=tree)

    def _manage(self, *command: str, tree: str = "current", env: dict[str, str] | None = None) -> None:
        config = f"--config-file={self._config_path}"
        self.api.run("keystone-manage", config, *command, tree=tree, env=oslo.PATIENT | (env or {}))
