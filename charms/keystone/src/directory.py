"""Users of a directory (LDAP), as a domain of Keystone's own: what the operator gives, checked, and Keystone's file of it.

The leader's record, in the peer relation: `directory-domain`, the domain that it has made. Until it is there Keystone would pass the file over.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File
from openinfra_charm.model.secrets import find

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ops

    from admin import Admin
    from openinfra_charm.machine import Machine
    from openinfra_charm.model.cluster import Cluster
    from openinfra_charm.openstack.workload import Workload
    from state import Settings

_RECORD = "directory-domain"
_NEEDED = ("url", "user", "password", "suffix")
_OPTIONAL = (
    "query-scope", "user-tree-dn", "user-objectclass", "user-id-attribute", "user-name-attribute", "user-mail-attribute",
    "user-description-attribute", "user-filter", "user-enabled-attribute", "user-enabled-mask", "user-enabled-default",
    "user-enabled-invert", "group-tree-dn", "group-objectclass", "group-id-attribute", "group-name-attribute", "group-member-attribute",
    "group-desc-attribute", "group-members-are-ids", "group-filter", "page-size",
)  # fmt: skip
"""Keystone's own options of the section `ldap`, with dashes; see its administration guide."""
_CA = "ca"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----")
_SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"


class DirectoryError(ValueError):
    """What the operator gives cannot be used; the message says what and why, and shows no value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory:
    """How a directory is reached and read: `options` are those of Keystone's section `ldap`."""

    options: Mapping[str, str]
    ca: str = ""

    @classmethod
    def parse(cls, content: Mapping[str, str]) -> Directory:
        """Check the content of the operator's secret.

        Raises:
            DirectoryError: It cannot be used.
        """
        if lacking := [key for key in _NEEDED if not content.get(key, "").strip()]:
            raise DirectoryError(f"it has no {', no '.join(lacking)}")
        if unknown := sorted(content.keys() - {*_NEEDED, *_OPTIONAL, _CA}):
            raise DirectoryError(f"{unknown[0]} is none of {', '.join((*_NEEDED, _CA, *_OPTIONAL))}")
        if several := [
            key for key, text in content.items() if key != _CA and re.search(r"[\x00-\x1f]", text.strip())
        ]:
            raise DirectoryError(f"{several[0]} has more than one line")
        urls = [urlsplit(url.strip()) for url in content["url"].split(",")]
        if not all(url.scheme in {"ldap", "ldaps"} and url.hostname for url in urls):
            raise DirectoryError(
                "url is not of the form ldaps://ldap.example.com, or several with commas between"
            )
        if len({url.scheme for url in urls}) > 1:
            raise DirectoryError("url has ldap: and ldaps: at once")
        ca = content.get(_CA, "").strip()
        if ca and not _CERTIFICATE.search(ca):
            raise DirectoryError("ca is not a certificate in PEM")
        options = {key.replace("-", "_"): text.strip() for key, text in content.items() if key != _CA}
        # In clear a password would be anybody's: ldap: begins TLS before it says one.
        tls = {"use_tls": "true" if urls[0].scheme == "ldap" else "false", "tls_req_cert": "demand"}
        return cls(options={**options, **tls}, ca=ca)

    def text(self, ca_path: str) -> str:
        """Return Keystone's file."""
        lines = {**self.options, "tls_cacertfile": ca_path if self.ca else _SYSTEM_CA}
        written = "".join(f"{key} = {text.replace('$', '$$')}\n" for key, text in sorted(lines.items()))
        return f"# Written by openinfra, will be lost. It is what is in the secret that the option ldap-secret names.\n[identity]\ndriver = ldap\n\n[ldap]\n{written}"


class DirectoryDomain:
    """The domain whose users are in a directory, where the operator wants one."""

    def __init__(
        self, *, model: ops.Model, cluster: Cluster, machine: Machine, workload: Workload, settings: Callable[[], Settings]
    ) -> None:  # fmt: skip
        self._model = model
        self._cluster = cluster
        self._machine = machine
        self._settings = settings
        self._user = workload.api.user
        self.folder = f"{workload.etc}/domains"
        self._ca_path = f"{workload.etc}/ldap-ca.pem"

    @property
    def problem(self) -> str:
        """Why what the operator gives cannot be used; what was there before stays then. Empty if it can, or there is nothing."""
        return self._given[1]

    @property
    def _found(self) -> Directory | None:
        return self._given[0]

    @property
    def _path(self) -> str:
        return f"{self.folder}/keystone.{self._settings().ldap_domain}.conf"

    def gather(self) -> dict[str, Any]:
        """Return what Keystone's configuration has of it: the folder with the file, and a mark that changes with that."""
        text, ca = self._contents if self._is_made else ("", "")
        if not text:
            return {"domains": "", "directory": ""}
        mark = hashlib.sha256(f"{text}\0{ca}".encode()).hexdigest()[:16]
        return {"domains": self.folder, "directory": mark}

    @property
    def _contents(self) -> tuple[str, str]:
        """Keystone's file and the CA, as they shall be: what was there before stays where the operator gives nothing that can be used."""
        if self._found:
            return self._found.text(self._ca_path), f"{self._found.ca}\n" if self._found.ca else ""
        return self._machine.read(self._path) or "", self._machine.read(self._ca_path) or ""

    @property
    def _is_made(self) -> bool:
        """Whether the domain is wanted, and the leader has made it."""
        wanted = self._settings().ldap_domain
        return bool(wanted) and self._cluster.shared.get(_RECORD) == wanted

    @cached_property
    def _given(self) -> tuple[Directory | None, str]:
        settings, option = self._settings(), "config ldap-secret"
        if not settings.ldap_domain:
            return None, ""
        if not settings.ldap_secret:
            return (
                None,
                f"config ldap-domain={settings.ldap_domain}: ldap-secret names no secret with url, user, password and suffix",
            )
        content = find(self._model, settings.ldap_secret)
        if content is None:
            return (
                None,
                f"{option}={settings.ldap_secret}: cannot be read; juju grant-secret {settings.ldap_secret} {self._model.app.name}",
            )
        try:
            return Directory.parse(content), ""
        except DirectoryError as error:
            return None, f"{option}={settings.ldap_secret}: {error}"

    def write(self) -> None:
        """Bring the file to what was gathered; what nobody wants any more goes."""
        text, ca = self._contents if self._is_made else ("", "")
        for name in self._machine.list_folder(self.folder):
            if not text or f"{self.folder}/{name}" != self._path:
                self._machine.remove(f"{self.folder}/{name}")
        for path, content in ((self._ca_path, ca), (self._path, text)):
            if content:
                file = File(path=path, content=content, mode=0o640, group=self._user)
                render.write(self._machine, file)
            else:
                self._machine.remove(path)

    def ensure(self, admin: Callable[[], Admin]) -> None:
        """As the leader, have the domain; units use the directory as soon as it is on record."""
        wanted = self._settings().ldap_domain
        if self._cluster.shared.get(_RECORD) == (wanted or None):
            return
        if not wanted:
            self._cluster.publish_shared(**{_RECORD: None})
        elif self._found:
            admin().ensure("domains", {"name": wanted})
            self._cluster.publish_shared(**{_RECORD: wanted})

    def forget(self) -> None:
        """As the leader, make the domain again with the next hook: the database is another one."""
        self._cluster.publish_shared(**{_RECORD: None})
