"""Ceph's object gateway on one machine: packages, configuration, daemon and front. Everything here works without Juju."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from admin import Admin
from openinfra_charm.ceph.daemon import Daemon
from openinfra_charm.daemon import front, registry, render, tls
from openinfra_charm.daemon.front import Front
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.render import File
from openinfra_charm.values import bracketed
from state import DAEMON_PORT, LISTENS_ON, PROXIED_PORT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.machine import Machine
    from state import Site, State

HERE = Path(__file__).parent
DAEMON = "radosgw"
PACKAGES = ("ca-certificates", "ceph-common", "radosgw", *front.PACKAGES, *tls.PACKAGES)
SYSTEM_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
ASK = "/usr/lib/openinfra/rgw-ask"
"""The program that asks the daemon as a client would."""
KEEPER = "openinfra-health"
"""The user who owns the bucket that health checks read."""
LOOPBACK = f"127.0.0.1:{DAEMON_PORT}"
"""Where the daemon listens: radosgw knows no unix sockets. A machine without IPv4 addresses has this one too."""
_SENDERS = (
    ("req.fhdr(authorization)", r"-m reg ^AWS4-HMAC-SHA256\ +Credential=[^=/]+/", "word(2,'='),word(1,'/')"),
    ("req.fhdr(authorization)", r"-m reg ^AWS\ [^:\ ]+:", "word(2,' '),word(1,':')"),
    ("url_param(X-Amz-Credential)", "-m found", "word(1,'%/')"),
    ("url_param(AWSAccessKeyId)", "-m found", "word(1,'%')"),
)
"""Where a request may name its sender, how that looks there, and which part of it is the name."""
WHO = tuple(
    f"http-request set-var(txn.who) {place},{part},bytes(0,128) if {{ {place} {form} }}"
    for place, form, part in _SENDERS
)
"""Whom a request names as its sender: the access key's name, by signature versions 4 and 2, in a header or a presigned URL. A
token of Swift is a secret; whose it is, the path says."""


class Rgw:
    """The object gateway of this machine, as one application keeps it."""

    def __init__(self, machine: Machine, application: str, certificate: tls.Certificate) -> None:
        self.machine = machine
        self.name = f"rgw.{machine.hostname()}"
        self.health_bucket = f"{application}-health"
        self._application = application
        self._tls = certificate
        self._templates = render.Templates(machine, application, HERE / "templates")
        unit = f"ceph-radosgw@{self.name}.service"
        folder = f"/etc/{application}"
        self._keystone_ca, self._host_names = f"{folder}/keystone-ca.pem", f"{folder}/host-names"
        self.daemon = Daemon(
            machine, application, unit=unit, user=f"client.{self.name}",
            files=(self._keystone_ca, self._host_names),
        )  # fmt: skip
        self.services = self.daemon.services
        self.front = Front(machine, application, user="ceph", tls=certificate, services=self.services)
        self.programs = {self.daemon.unit: "radosgw", self.front.unit: "haproxy"}
        self.admin = Admin(machine, self.daemon.config, f"client.{self.name}")
        self._password = f"{folder}/keystone-password"
        self._trusted = f"{folder}/trusted.pem"
        self._url = f"/var/lib/openinfra/{application}/url"

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        return Footprint(
            daemon=DAEMON,
            does="runs an object gateway on this machine",
            paths=(*self.front.paths, *self.daemon.paths, ASK),
        )

    # Verbs

    def install(self) -> None:
        """Install the packages; nothing starts."""
        registry.install(self.machine, self._application, PACKAGES)
        self.front.keep_packaged_stopped()

    def render(self, state: State) -> None:
        """Write the configuration."""
        config = self._templates.fill(
            "ceph.conf.j2",
            self.daemon.config,
            application=self._application,
            settings=state.settings,
            # What the daemon reads the password from is a file of its own, each time that it needs it.
            keystone=state.keystone and dataclasses.replace(state.keystone, password=""),
            fsid=state.access.fsid,
            monitors=state.access.mon_host,
            daemon=self.name,
            keyring=self.daemon.keyring,
            password=self._password,
            listen=LOOPBACK,
        )
        drop_in = self._templates.fill(
            "ceph-radosgw.service.j2",
            self.daemon.drop_in,
            application=self._application,
            config=self.daemon.config,
            trusted=self._trusted,
            system_trusted=SYSTEM_TRUSTED,
        )
        ca = self.machine.read(self._tls.ca_path) or ""
        render.write(
            self.machine,
            File(path=self._trusted, content=(self.machine.read(SYSTEM_TRUSTED) or "") + ca),
            File(path=ASK, content=(HERE / "files/rgw-ask").read_text(encoding="utf-8"), mode=0o755),
            File(path=self._url, content=f"https://{bracketed(state.address)}:{LISTENS_ON}"),
        )
        if state.keystone:
            render.write(self.machine, self.daemon.private(self._password, f"{state.keystone.password}\n"))
        else:
            self.machine.remove(self._password)
        # What the daemon is restarted for: it reads the CAs, and in the cluster the zone group, when it starts.
        for path, text in (
            (self._keystone_ca, ca if state.keystone else ""),
            (self._host_names, "".join(f"{name}\n" for name in state.host_names)),
        ):
            if text:
                self.machine.write(path, text)
            else:
                self.machine.remove(path)
        access = state.access
        self.daemon.render(key=access.key, config=config, drop_in=drop_in, cluster_version=access.version)
        self.front.render(
            address=state.address, port=LISTENS_ON, daemon=LOOPBACK, health=f"/{self.health_bucket}",
            proxied=PROXIED_PORT, sources=state.sources, limits=front.TRANSFERS, who=WHO,
        )  # fmt: skip
        # It may always stop: others serve the same objects. So there is a check after the start only.
        registry.leave_check(self.machine, "after-start", self._application, *self._question("get", "/"))

    def apply(self) -> None:
        """Have the daemon and its front run; a daemon that runs with an older configuration is left for `outdated`."""
        self.daemon.apply()
        # A daemon from before there were fronts has the front's port, until it is restarted.
        if self.front.was_started or not self.outdated():
            self.front.apply()

    def outdated(self) -> bool:
        """Return whether the daemon runs with an older configuration and has to be restarted."""
        return self.daemon.outdated()

    def restart(self) -> None:
        """Restart the daemon with what is there now; the front holds requests back meanwhile."""
        self.daemon.restart()
        self.front.apply()

    def stop(self) -> None:
        """Stop both, and keep them stopped."""
        self.front.stop()
        self.daemon.stop()

    def found(self, site: Site) -> None:
        """Make realm, zone group and zone, as far as they are not there.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        realm, group, zone = _options(site)
        self.admin.ensure("realm", *realm)
        self.admin.ensure("zonegroup", *group, "--master")
        self.admin.ensure("zone", *zone, "--master")
        self.admin.run("period", "update", "--commit", *zone)

    def name_hosts(self, site: Site, names: Iterable[str]) -> None:
        """Give the zone group these names of hosts; daemons learn of them when they start.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: It cannot be changed.
        """
        _, group, zone = _options(site)
        known = self.admin.run("zonegroup", "get", *group)
        text = json.dumps({**known, "hostnames": list(names)})
        self.admin.run("zonegroup", "set", *group, stdin=text)
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

    def make_bucket(self, name: str, access: str, secret: str) -> str:
        """Have a bucket that belongs to the user of these keys, and to nobody else; return why that cannot be, empty if it is."""
        made = self.machine.run(
            *self._question("make-own-bucket", name), stdin=f"{access}\n{secret}\n", check=False
        )
        return made.stdout.strip() or f"exit code {made.code}" if made.code else ""

    def is_ready(self) -> bool:
        """Return whether the daemon answers."""
        return self.answers("/")

    def answers(self, path: str) -> bool:
        """Return whether the daemon has an answer to an anonymous request for a path."""
        return self.machine.run(*self._question("get", path), check=False).code == 0

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the daemon answers, but no longer than this; return whether it does."""
        return self.machine.wait_until(self.is_ready, seconds)

    def version(self) -> str:
        """Return the installed version, such as `18.2.7`; empty before it is installed."""
        return registry.version(self.machine, "radosgw")

    def _question(self, verb: str, what: str) -> tuple[str, ...]:
        return (ASK, self.machine.read(self._url) or "", self._tls.ca_path, verb, what)


def _options(site: Site) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the options that name the realm, the zone group in it, and the zone in that."""
    realm = (f"--rgw-realm={site.realm}",)
    group = (*realm, f"--rgw-zonegroup={site.zonegroup}")
    return realm, group, (*group, f"--rgw-zone={site.zone}")
