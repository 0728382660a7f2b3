"""Ceph's object gateway on one machine: packages, configuration, daemon. Everything here works without Juju."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

from admin import Admin
from openinfra_charm import registry, render, tls
from openinfra_charm.render import File
from openinfra_charm.service import Service, Services
from state import LISTENS_ON

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from state import Site, State

HERE = Path(__file__).parent
DAEMON = "radosgw"
PACKAGES = ("ca-certificates", "ceph-common", "radosgw", *tls.PACKAGES)
DROP_IN = "/etc/systemd/system/ceph-radosgw@.service.d/openinfra.conf"
SYSTEM_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
ASK = "/usr/lib/openinfra/rgw-ask"
"""The program that asks the daemon as a client would."""
KEEPER = "openinfra-health"
"""The user who owns the bucket that health checks read."""
_PAUSE = 1


class Rgw:
    """The object gateway of this machine, as one application keeps it."""

    def __init__(self, machine: Machine, application: str, certificate: tls.Certificate) -> None:
        self.machine = machine
        self.name = f"rgw.{machine.hostname()}"
        self.unit = f"ceph-radosgw@{self.name}.service"
        self.health_bucket = f"{application}-health"
        self._application = application
        self._tls = certificate
        self._folder = f"/etc/{application}"
        self._config = f"{self._folder}/ceph.conf"
        self._keyring = f"{self._folder}/keyring"
        self._password = f"{self._folder}/keystone-password"
        self._trusted = f"{self._folder}/trusted.pem"
        self._url = f"/var/lib/openinfra/{application}/url"
        self._pause_mark = f"/var/lib/openinfra/{application}/paused"
        self._services = Services(machine, application)
        self._templates = render.Templates(machine, application, HERE / "templates")
        self.admin = Admin(machine, self._config, f"client.{self.name}")

    # Verbs

    def install(self) -> None:
        """Install the packages; nothing starts."""
        registry.install(self.machine, self._application, PACKAGES)

    def render(self, state: State) -> None:
        """Write the configuration."""
        listen = f"[{state.address}]" if ":" in state.address else state.address
        # Ceph knows its monitors' ports itself.
        monitors = sorted(f"[{host}]" if ":" in host else host for host in state.monitors)
        config = self._templates.fill(
            "ceph.conf.j2",
            application=self._application,
            state=_without_secrets(state),
            site=state.settings.site,
            monitors=monitors,
            daemon=self.name,
            keyring=self._keyring,
            password=self._password,
            listen=f"{listen}:{LISTENS_ON}",
            certificate=self._tls.chain_path,
            key=self._tls.key_path,
        )
        drop_in = self._templates.fill(
            "ceph-radosgw.service.j2",
            application=self._application,
            config=self._config,
            trusted=self._trusted,
            system_trusted=SYSTEM_TRUSTED,
        )
        keyring = f"[client.{self.name}]\n\tkey = {state.key}\n"
        trusted = (self.machine.read(SYSTEM_TRUSTED) or "") + (self.machine.read(self._tls.ca_path) or "")
        own = {"mode": 0o600, "user": "ceph", "group": "ceph"}
        changed = render.write(
            self.machine,
            File(path=self._keyring, content=keyring, **own),
            File(path=self._config, content=config),
            File(path=self._trusted, content=trusted),
            File(path=DROP_IN, content=drop_in),
            File(path=ASK, content=(HERE / "files/rgw-ask").read_text(encoding="utf-8"), mode=0o755),
            File(path=self._url, content=f"https://{listen}:{LISTENS_ON}"),
        )
        if state.keystone:
            render.write(
                self.machine, File(path=self._password, content=f"{state.keystone.password}\n", **own)
            )
        else:
            self.machine.remove(self._password)
        if DROP_IN in changed:
            self.machine.reload_systemd()
        # It may always stop: others serve the same objects. So there is a check after the start only.
        registry.leave_check(self.machine, "after-start", self._application, *self._question("get", "/"))

    def found(self, site: Site) -> None:
        """Make realm, zone group and zone, as far as they are not there.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        realm = f"--rgw-realm={site.realm}"
        group = (realm, f"--rgw-zonegroup={site.zonegroup}")
        zone = (*group, f"--rgw-zone={site.zone}")
        self.admin.ensure("realm", realm)
        self.admin.ensure("zonegroup", *group, "--master")
        self.admin.ensure("zone", *zone, "--master")
        self.admin.run("period", "update", "--commit", *zone)

    def make_health_bucket(self) -> bool:
        """Make the bucket whose list health checks read from the cluster; return whether it is there.

        Reading it goes to the disks each time, which no other request that needs no key does. Nobody has keys of its owner
        when it is made.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        if self.answers(f"/{self.health_bucket}"):
            return True
        keys = self.admin.create_user(KEEPER, "health checks of openinfra", buckets=1)
        self.machine.run(
            *self._question("make-bucket", self.health_bucket),
            stdin=f"{keys.access}\n{keys.secret}\n",
            check=False,
        )
        self.admin.drop_keys(KEEPER)
        return self.answers(f"/{self.health_bucket}")

    def apply(self) -> None:
        """Have the daemon run; one that runs with an older configuration is left for `outdated`."""
        self._services.ensure_running([self._service()])

    start = apply

    def outdated(self) -> bool:
        """Return whether the daemon runs with an older configuration and has to be restarted."""
        return bool(self._services.outdated([self._service()]))

    def restart(self) -> None:
        """Restart the daemon with the present configuration and certificate."""
        self._services.restart(self._service())

    def stop(self) -> None:
        """Stop the daemon, and keep it stopped."""
        self._services.stop(self.unit)

    @property
    def paused(self) -> bool:
        """Whether an operator has paused this machine's daemon."""
        return self.machine.exists(self._pause_mark)

    def pause(self) -> None:
        """Stop the daemon until `resume`, also over a restart of the machine."""
        self.machine.write(self._pause_mark, "")
        self.stop()

    def resume(self) -> None:
        """Start the daemon again after `pause`."""
        self.machine.remove(self._pause_mark)
        self.apply()

    def runs(self) -> bool:
        """Return whether the daemon's process is there."""
        return self.machine.service_states(self.unit)[self.unit] == "active"

    def is_ready(self) -> bool:
        """Return whether the daemon answers."""
        return self.answers("/")

    def answers(self, path: str) -> bool:
        """Return whether the daemon has an answer to an anonymous request for a path."""
        return self.machine.run(*self._question("get", path), check=False).code == 0

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the daemon answers, but no longer than this; return whether it does."""
        limit = self.machine.now() + seconds
        while not self.is_ready():
            if self.machine.now() + _PAUSE > limit:
                return False
            self.machine.sleep(_PAUSE)
        return True

    def version(self) -> str:
        """Return the installed version, such as `18.2.7`; empty before it is installed."""
        return re.split(r"[+~-]", self.machine.package_versions(("radosgw",)).get("radosgw", ""))[0]

    def remove(self) -> None:
        """Take everything of ours off the machine; packages that others need stay."""
        self.stop()
        self._tls.remove()
        for path in (str(Path(DROP_IN).parent), ASK, self._folder):
            self.machine.remove(path)
        self.machine.reload_systemd()
        registry.remove_checks(self.machine, self._application)
        registry.uninstall(self.machine, self._application)
        self.machine.remove(f"/var/lib/openinfra/{self._application}")

    def _question(self, verb: str, what: str) -> tuple[str, ...]:
        return (ASK, self.machine.read(self._url) or "", self._tls.ca_path, verb, what)

    def _service(self) -> Service:
        """Return the daemon and what it takes up at its start only. It reads Keystone's password each time it needs it.

        Where the monitors are is not among it: the daemon learns that from the cluster.
        """
        config = (self.machine.read(self._config) or "").splitlines()
        lines = [line for line in config if not line.startswith(("#", "mon_host"))]
        files = (self.machine.read(path) or "" for path in (self._keyring, DROP_IN))
        return Service(unit=self.unit, inputs=(*lines, *files, *self._tls.inputs))


def _without_secrets(state: State) -> State:
    """Return a state for templates, which keep what they were filled with."""
    keystone = state.keystone and dataclasses.replace(state.keystone, password="")
    return dataclasses.replace(state, key="", keystone=keystone)
