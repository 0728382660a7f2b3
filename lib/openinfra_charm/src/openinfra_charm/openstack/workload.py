"""An OpenStack service on one machine: its release tree, configuration and processes. Everything here works without Juju."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon import front, registry, render, tls
from openinfra_charm.daemon.front import Front
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Services
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.machine import CommandError, program
from openinfra_charm.openstack import check, oslo, release
from openinfra_charm.openstack.api import HEALTH, Api
from openinfra_charm.openstack.needs import Cache, Database, Messaging
from openinfra_charm.openstack.processes import Processes
from openinfra_charm.openstack.programs import Programs, last_line
from openinfra_charm.openstack.release import Releases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openinfra_charm.machine import Machine
    from openinfra_charm.openstack.needs import Need
    from openinfra_charm.openstack.spec import Command, FurtherApi, Spec, State

_FILES = Path(__file__).parent / "files"
_FORGET, _TABLES, _ASK = "forget_caches.py", "openinfra_tables.py", "openinfra_ask.py"
"""Programs for the tree's Python, beside the modules that the API's process imports."""
_ASK_SECONDS = 8
"""How long a request with a token may take, the token's included."""


class Workload:
    """The service of one application on this machine, with all that belongs to it.

    Args:
        machine: The machine.
        application: The application.
        spec: The service.
        whole: What of the application's own the service is a part of, where it is not the whole.
    """

    def __init__(self, machine: Machine, application: str, spec: Spec, whole: Whole | None = None) -> None:
        self._machine = machine
        self._application = application
        self._spec = spec
        self.etc, self.lib = f"/etc/{application}", f"/var/lib/{application}"
        self._configs = {name: f"{self.etc}/{name.removesuffix('.j2')}" for name in spec.templates}
        self.config_path = self._configs[spec.templates[0]]
        self.places = {
            "application": application,
            "etc": self.etc,
            "lib": self.lib,
            "modules": f"/usr/lib/openinfra/{application}",
            "config": self.config_path,
        }
        self._databases = [need.name for need in spec.needs if isinstance(need, Database)]
        """The sections of the configuration that lead to them."""
        environment = {
            "OPENINFRA_WSGI": spec.wsgi, "OPENINFRA_CONFIG": self.config_path,
            "OPENINFRA_DATABASES": ",".join(self._databases),
            **({oslo.PROCESS_NAME: f"{application}-api"} if any(isinstance(need, Messaging) for need in spec.needs) else {}),
            **{key: value.format_map(self.places) for key, value in spec.environment.items()},
        }  # fmt: skip
        caches = any(isinstance(need, Cache) for need in spec.needs)
        services = whole.services if whole else Services(machine, application)
        self._is_part = whole is not None
        self._serves = bool(spec.wsgi)
        self.api = Api(
            machine, application, environment, ["openinfra_cache"] if caches else [],
            services=services, uwsgi=spec.uwsgi, user=spec.user,
        )  # fmt: skip
        """Its process, where there is an API; its user, folders and pause are those of all processes."""
        user = self.api.user
        self.tls = (
            whole.tls if whole else Certificate(machine, application, user=user, group=user, combined=True)
        )
        self.places |= {"certificate": self.tls.combined_path, "ca": self.tls.ca_path}
        self.front = Front(machine, application, user=self.api.user, tls=self.tls, services=services)
        self.further = {
            one.name: (self._further(one, environment, services), self._further_front(one.name, services))
            for one in spec.apis
        }
        """The processes and fronts of the other APIs."""
        self.processes = Processes(machine, application, spec.processes, self.places, services, user=user)
        self.releases = Releases(machine, application)
        self.programs = Programs(machine, application, user=user)
        self._templates = render.Templates(machine, application, spec.source / "templates")

    def _further(self, one: FurtherApi, environment: Mapping[str, str], services: Services) -> Api:
        """Return the process of another API of the service."""
        own = {
            **environment,
            "OPENINFRA_WSGI": one.wsgi,
            **(
                {oslo.PROCESS_NAME: f"{self._application}-{one.name}"}
                if oslo.PROCESS_NAME in environment
                else {}
            ),
            **{key: value.format_map(self.places) for key, value in one.environment.items()},
        }
        return Api(self._machine, self._application, own, services=services, name=one.name)

    def _further_front(self, name: str, services: Services) -> Front:
        return Front(
            self._machine, self._application, user=self.api.user, tls=self.tls, services=services, name=name
        )

    @property
    def _apis(self) -> tuple[Api, ...]:
        return (self.api, *(api for api, _ in self.further.values())) if self._serves else ()

    @property
    def fronts(self) -> tuple[Front, ...]:
        """Those of all APIs."""
        return (self.front, *(front for _, front in self.further.values())) if self._serves else ()

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        fronts = (path for front in self.fronts for path in front.paths)
        apis = (path for api, _ in self.further.values() for path in api.paths)
        paths = (*fronts, *self.processes.paths, *apis, *self.api.paths, self.releases.folder)
        return Footprint(paths=paths, user=self.api.user if self.api.has_user else "")

    @property
    def packages(self) -> tuple[str, ...]:
        """Those of the distribution that it needs."""
        own = (*release.PACKAGES, *self._spec.packages, *self._spec.bindings)
        return (*front.PACKAGES, *tls.PACKAGES, *own) if self._serves else (*tls.PACKAGES, *own)

    # Verbs

    def install(self) -> None:
        """Install the packages and make the user; nothing starts."""
        if not self._is_part:
            registry.install(self._machine, self._application, self.packages)
        if self._serves:
            self.front.keep_packaged_stopped()
        self.api.install()

    def version(self) -> str:
        """Return the release in use, such as `2026.1`; empty before there is one."""
        current = self.releases.current
        return current.release if current else ""

    def render(self, state: State) -> None:
        """Write configuration, modules and units.

        Raises:
            ConfigError: The operator's lines (`extra-config`) cannot be used.
        """
        trust = _Trust(self._machine, self.etc, self.tls)
        needs = {need.name: need.value(state.found.get(need.name), trust) for need in self._spec.needs}
        values: dict[str, Any] = {
            **self.places, "address": state.address, "options": state.options, "settings": state.settings, **needs, **state.own,
        }  # fmt: skip
        config, *others = (self._templates.fill(name, path, **values) for name, path in self._configs.items())
        config = dataclasses.replace(config, content=oslo.extended(config.content, state.options.extra))
        given = self._given_files(state)
        for path in self._needs_files.keys() - given.keys():
            self._machine.remove(path)
        render.write(
            self._machine,
            *(dataclasses.replace(file, mode=0o640, group=self.api.user) for file in (config, *others)),
            *(File(path=path, content=text, mode=0o640, group=self.api.user) for path, text in given.items()),
            *(File(path=path, content=text) for path, text in self._own_files().items()),
        )
        self.processes.render([name for name, found in state.found.items() if found])
        if ports := self._spec.ports:
            self.api.render(workers=state.options.workers)
            self.front.render(
                address=state.address, port=ports.backend, daemon=f"unix@{self.api.socket}", health=HEALTH,
                proxied=ports.proxied, sources=state.sources, limits=self._spec.limits,
            )  # fmt: skip
            self._render_further(state)
        if not self._is_part:
            self._leave_checks((str(ports.backend), *state.others) if ports else ())

    def _render_further(self, state: State) -> None:
        """Write the units of the other APIs, and the configuration of their fronts."""
        for one in self._spec.apis:
            api, front = self.further[one.name]
            api.render(workers=state.options.workers)
            front.render(
                address=state.address, port=one.ports.backend, daemon=f"unix@{api.socket}", health=HEALTH,
                proxied=one.ports.proxied, sources=state.further.get(one.name, ()),
            )  # fmt: skip

    def _leave_checks(self, place: tuple[str, ...]) -> None:
        """Leave the checks of `host`; `place` is where the API is served here and elsewhere, where there is one."""
        for kind in registry.CHECKS:
            command = program.command(Path(check.__file__), kind, self._application, *place)
            registry.leave_check(self._machine, kind, self._application, *command)

    def _own_files(self) -> dict[str, str]:
        """Return the modules of the process, ours and the charm's, and its policy."""
        ours = _FILES.glob("*.py") if self._serves else ()
        found = [*ours, *(self._spec.source / "files").glob("*.py")]
        files = {f"{self.api.modules}/{path.name}": path.read_text(encoding="utf-8") for path in found}
        # Programs of the charm's own: no process has them in it.
        for path in (self._spec.source / "files/programs").glob("*.py"):
            files[f"{self.api.modules}/programs/{path.name}"] = path.read_text(encoding="utf-8")
        policy = self._spec.source / "files/policy.yaml"
        if policy.is_file():
            files[f"{self.etc}/policy.yaml"] = policy.read_text(encoding="utf-8")
        return files

    def _given_files(self, state: State) -> dict[str, str]:
        """Return the files of what other applications have given."""
        return {
            f"{self.etc}/{name}": content
            for need in self._spec.needs
            for name, content in need.files(state.found.get(need.name), self.etc).items()
        }

    @property
    def _needs_files(self) -> dict[str, Need]:
        """The files that needs may have, by path."""
        return {f"{self.etc}/{name}": need for need in self._spec.needs for name in need.file_names}

    def apply(self) -> bool:
        """Have all processes run; return whether the API was started. What runs with something older is left for `outdated`."""
        inputs = self._inputs
        started = [api.apply(*inputs) for api in self._apis]
        self.processes.apply(*inputs)
        for one in self.fronts:
            one.apply()
        return any(started)

    def outdated(self) -> bool:
        """Return whether a process runs with something older and has to be restarted, in turn."""
        inputs = self._inputs
        return any(api.outdated(*inputs) for api in self._apis) or self.processes.outdated(*inputs)

    def restart(self) -> None:
        """Restart what runs with something older; the front holds requests back meanwhile."""
        inputs = self._inputs
        for api in self._apis:
            if api.outdated(*inputs):
                api.restart(*inputs)
        self.processes.restart(*inputs)
        self.processes.apply(*inputs)

    def problem(self, patience: float = 0) -> str:
        """Return why the service cannot do its work, in its own words; empty if it can.

        Args:
            patience: How many seconds to wait for it.
        """
        limit = self._machine.now() + patience
        # They start side by side.
        found = (api.problem(limit - self._machine.now()) for api in self._apis)
        return next(filter(None, found), "") or self.processes.problem()

    def why_no_answer(self) -> str:
        """Return why a request of the service's own user is not answered here; empty if it is, or nobody has said what to ask for."""
        if not self._spec.check:
            return ""
        words = (self.config_path, self.api.socket, self._spec.check)
        try:
            self.programs.run("python", f"{self.api.modules}/{_ASK}", *words, seconds=_ASK_SECONDS)
        except (CommandError, TimeoutError) as error:
            return last_line(error)
        return ""

    def stop(self) -> None:
        """Stop all processes, and keep them stopped."""
        for one in (*self.fronts, *self._apis):
            one.stop()
        self.processes.stop()

    def remove(self) -> None:
        """Take everything of ours off the machine; packages that others need stay."""
        for one in self.fronts:
            one.remove()
        self.processes.remove()
        for api, _ in self.further.values():
            api.remove()
        self.releases.remove()
        self.api.remove()
        if self._is_part:
            return
        self.tls.remove()
        registry.remove_checks(self._machine, self._application)
        registry.uninstall(self._machine, self._application)
        self._machine.remove(f"/var/lib/openinfra/{self._application}")

    @property
    def _inputs(self) -> tuple[str, ...]:
        """What a process reads only when it starts.

        The CA of the database is read for each connection, and so is Keystone's; that of the cache once.
        """
        current = self.releases.current
        modules = [
            f"{self.api.modules}/{name}"
            for name in self._machine.list_folder(self.api.modules)
            if name.endswith(".py") and name not in {_FORGET, _TABLES, _ASK}
        ]
        paths = (*self._configs.values(), *modules, f"{self.etc}/cache-ca.pem")
        texts = (self._machine.read(path) or "" for path in paths)
        given = (
            need.at_start(path.rpartition("/")[2], self._machine.read(path) or "")
            for path, need in self._needs_files.items()
        )
        return (current.name if current else "", *texts, *given)

    # The database

    def sync_database(self) -> None:
        """Bring the database's schema to this release, and its tables to all characters; what is so is left as it is.

        The first time it begins anew wherever it was interrupted.

        Raises:
            CommandError: It cannot be done.
            TimeoutError: It takes too long.
        """
        self._see_to_tables("begin")
        if self._spec.schema:
            for command in self._spec.schema.sync:
                self.run(*command)
        self._see_to_tables("end")

    def _see_to_tables(self, verb: str) -> None:
        for section in self._databases:
            self.programs.run("python", f"{self.api.modules}/{_TABLES}", self.config_path, section, verb)

    def forget_caches(self) -> None:
        """Empty the caches: what is in them may be of another database.

        Raises:
            CommandError: It cannot be done.
            TimeoutError: It takes too long.
        """
        self.programs.run("python", f"{self.api.modules}/{_FORGET}", self.config_path)

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> None:
        """Run a command of the release tree, with what stands for its braces here; it may take as long as a change of the schema.

        Args:
            command: The program and its arguments, `("glance-manage", "--config-file={config}", "db_sync")`.
            env: More variables of its environment; secrets go there.

        Raises:
            CommandError: Its exit code is not 0.
            TimeoutError: It takes too long.
        """
        self.programs.run(*self._filled(command), env={**oslo.patient(self._databases), **(env or {})})

    def _filled(self, command: Command) -> list[str]:
        return [word.format_map(self.places) for word in command]

    @property
    def upgrade_steps(self) -> dict[str, dict[str, str]]:
        """What the job that changes the schema in an upgrade is given, for each of its steps."""
        schema = self._spec.schema
        steps = {"expand": schema.expand, "contract": schema.contract} if schema else {}
        databases = json.dumps(self._databases)
        return {
            step: {"commands": json.dumps([self._filled(one) for one in commands]), "databases": databases}
            for step, commands in steps.items()
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """What a service shares with the rest of an application that it is a part of: its services and its certificate.

    Packages and checks are the application's then: it installs `Workload.packages` with its own, and its footprint has that of the service.
    """

    services: Services
    tls: Certificate


class _Trust:
    """The CA certificates by which the servers are known that one service asks, and by what it is known to them."""

    def __init__(self, machine: Machine, etc: str, own: Certificate) -> None:
        self._machine = machine
        self._etc = etc
        self.site = own.ca_path
        self.certificate, self.key = own.chain_path, own.key_path

    def keep(self, whom: str, cas: Iterable[str]) -> str:
        path, wanted = f"{self._etc}/{whom}-ca.pem", sorted({ca.strip() for ca in cas if ca})
        if not wanted:
            self._machine.remove(path)
            return ""
        self._machine.write(path, "".join(f"{ca}\n" for ca in wanted))
        return path
