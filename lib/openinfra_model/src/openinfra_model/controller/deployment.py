"""Charms and bundles on their way into a model."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from openinfra_model.core import applications, configuration, find, machines, relations, units
from openinfra_model.core.entities import StorageDirective
from openinfra_model.core.errors import ModelError
from openinfra_model.directives import parse_storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from openinfra_model.bundle import Application as BundleApplication
    from openinfra_model.bundle import Bundle
    from openinfra_model.charm import Charm, StorageSpec
    from openinfra_model.core.state import State
    from openinfra_model.directives import StorageRequest
    from openinfra_model.document import Scalar


class FileShelf:
    """Files that models refer to (charms, resources), kept under the hash of their content."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def keep(self, path: Path) -> tuple[str, str]:
        """Keep a copy of a file; return where, and its SHA-384 as Juju names resources.

        Raises:
            ModelError: the file cannot be read.
        """
        try:
            with path.open("rb") as stream:
                fingerprint = hashlib.file_digest(stream, "sha384").hexdigest()
            kept = self._directory / fingerprint
            if not kept.exists():
                shutil.copyfile(path, kept.with_suffix(".new"))
                kept.with_suffix(".new").rename(kept)
        except OSError as error:
            raise ModelError(f"cannot read {str(path)!r}: {error.strerror}") from error
        return str(kept), fingerprint

    def keep_all(self, paths: Mapping[str, Path]) -> dict[str, tuple[str, str]]:
        """Keep several files by name."""
        return {name: self.keep(path) for name, path in paths.items()}


def storage_directives(charm: Charm, requests: Mapping[str, StorageRequest]) -> dict[str, StorageDirective]:
    """Complete what was asked of each store by what the charm and the machines offer.

    Raises:
        ModelError: the charm has no such store.
    """
    return {name: _directive(_store(charm, name), request) for name, request in requests.items()}


def storage_directive(charm: Charm, store: str, text: str) -> StorageDirective:
    """Read a storage directive of a command line, such as `loop,2,10G`.

    Raises:
        ModelError: the charm has no such store, or the directive is malformed.
    """
    try:
        request = parse_storage(text)
    except ValueError as error:
        raise ModelError(f"cannot parse disk constraints: {error}") from error
    return _directive(_store(charm, store), request)


class UnkeptShelf(FileShelf):
    """Names files where they are: for what is only tried."""

    def __init__(self) -> None:
        """Make no directory."""

    def keep(self, path: Path) -> tuple[str, str]:
        """Return the file as it is."""
        return str(path), path.name


def machine_map(text: str) -> tuple[bool, dict[str, str]]:
    """Read `--map-machines`: whether the bundle's machines are the model's of the same number, and which are others.

    Raises:
        ModelError: it is not `existing` or `BUNDLE-MACHINE=MACHINE`, with commas between.
    """
    existing, mapping = False, dict[str, str]()
    for part in (part.strip() for part in text.split(",")):
        bundle, separator, machine = (word.strip() for word in part.partition("="))
        if part == "existing":
            existing = True
        elif part:
            if not separator:
                raise ModelError(f'expected "existing" or "<bundle-id>=<machine-id>", got "{part}"')
            for kind, number in (("bundle-id", bundle), ("machine-id", machine)):
                if not number.isdigit():
                    raise ModelError(f'{kind} "{number}" is not a top level machine id')
            mapping[bundle] = machine
    return existing, mapping


def apply_bundle(
    state: State, bundle: Bundle, shelf: FileShelf, now: float, *, map_machines: str = ""
) -> list[str]:
    """Bring a model to what a bundle says, adding what is missing; return the changes in words.

    What the model has beyond the bundle stays, and deployed charms stay at their revision, as with Juju.

    Args:
        state: the model.
        bundle: what is wanted.
        shelf: where archives and resources are kept.
        now: the time.
        map_machines: which machines of the model are machines of the bundle, as in `existing,2=5`.

    Raises:
        ModelError: a change is refused; the changes before it are made. Try it on a copy of the model first.
    """
    return _BundleDeployment(state, bundle, shelf, now, map_machines).apply()


class _BundleDeployment:
    def __init__(self, state: State, bundle: Bundle, shelf: FileShelf, now: float, map_machines: str) -> None:
        self._state = state
        self._bundle = bundle
        self._shelf = shelf
        self._now = now
        self._changes: list[str] = []
        self._machines = self._mapped(map_machines) | self._machines_in_use()

    def apply(self) -> list[str]:
        """Make all changes."""
        for application in self._bundle.applications.values():
            if application.name in self._state.applications:
                self._update(application)
            else:
                self._deploy(application)
        for provider, requirer in self._bundle.relations:
            if not self._is_related(str(provider), str(requirer)):
                relations.integrate(self._state, str(provider), str(requirer), now=self._now)
                self._changes.append(f"add relation {provider} - {requirer}")
        return self._changes

    def _deploy(self, wanted: BundleApplication) -> None:
        archive, _ = self._shelf.keep(wanted.archive)
        deployment = applications.Deployment(
            name=wanted.name,
            charm=wanted.charm,
            archive=archive,
            base=wanted.base,
            units=wanted.units,
            to=self._placements(wanted, range(wanted.units)),
            config=wanted.options,
            trust=wanted.trust,
            exposed=wanted.expose,
            constraints=wanted.constraints,
            storage=storage_directives(wanted.charm, wanted.storage),
            resources=self._shelf.keep_all(wanted.resources),
            bindings=wanted.bindings,
        )
        applications.deploy(self._state, deployment, now=self._now)
        self._changes.append(f"deploy application {wanted.name} from charm {wanted.charm.name}")

    def _update(self, wanted: BundleApplication) -> None:
        application = self._state.applications[wanted.name]
        changed = {
            name: value for name, value in wanted.options.items() if application.config.get(name) != value
        }
        if changed:
            configuration.set_options(
                self._state, wanted.name, {name: _as_text(value) for name, value in changed.items()}
            )
            self._changes.append(f"set application options for {wanted.name}: {', '.join(sorted(changed))}")
        if wanted.trust and not application.trusted:
            configuration.set_trust(self._state, wanted.name, trusted=True)
            self._changes.append(f"trust {wanted.name}")
        if wanted.expose and not application.exposed:
            configuration.set_exposed(self._state, wanted.name, exposed=True)
            self._changes.append(f"expose {wanted.name}")
        count = len(find.units_of(self._state, wanted.name))
        if wanted.units > count:
            names = units.add(
                self._state,
                wanted.name,
                count=wanted.units - count,
                to=self._placements(wanted, range(count, wanted.units)),
                now=self._now,
            )
            self._changes.extend(f"add unit {name}" for name in names)

    def _placements(self, wanted: BundleApplication, numbers: Iterable[int]) -> list[str]:
        return [self._place(wanted.to[number]) if number < len(wanted.to) else "new" for number in numbers]

    def _place(self, placement: str) -> str:
        """Translate a bundle's placement to a machine of the model."""
        if placement.startswith("lxd:"):
            raise ModelError(f'cannot place a unit in a container ("{placement}"): name the machine itself')
        if "/" in placement:
            return self._state.units[placement].machine
        if placement == "new":
            return placement
        if placement not in self._machines:
            machine = self._bundle.machines[placement]
            self._machines[placement] = machines.add(
                self._state, base=machine.base, constraints=machine.constraints, now=self._now
            )
            self._changes.append(f"add new machine {self._machines[placement]}")
        return self._machines[placement]

    def _mapped(self, text: str) -> dict[str, str]:
        """Map the bundle's machines to those of the model that the operator named."""
        existing, named = machine_map(text)
        known = {machine.id for machine in self._state.machines if machine.life == "alive"}
        for bundle, machine in named.items():
            if bundle not in self._bundle.machines:
                raise ModelError(f"machine {bundle} is not one of the bundle's machines")
            if machine not in known:
                raise ModelError(f"machine {machine} not found")
        same = {number: number for number in self._bundle.machines if existing and number in known}
        return same | named

    def _machines_in_use(self) -> dict[str, str]:
        """Map the bundle's machines to the model's, by the units that are on them already."""
        return {
            placement: unit.machine
            for wanted in self._bundle.applications.values()
            for placement, unit in zip(wanted.to, find.units_of(self._state, wanted.name), strict=False)
            if placement in self._bundle.machines
        }

    def _is_related(self, first: str, second: str) -> bool:
        ends = {first, second}
        return any(
            all(ends & {str(end), end.application} for end in relation.endpoints)
            for relation in self._state.relations
            if not relation.is_peer
        )


def _store(charm: Charm, name: str) -> StorageSpec:
    if name not in charm.storage:
        raise ModelError(f'charm "{charm.name}" has no store called "{name}"')
    return charm.storage[name]


def _directive(store: StorageSpec, request: StorageRequest) -> StorageDirective:
    default = configuration.default_directive(store)
    return StorageDirective(
        pool=request.pool or default.pool,
        size=request.size or default.size,
        count=default.count if request.count is None else request.count,
    )


def _as_text(value: Scalar) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
