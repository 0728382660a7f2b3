"""A bundle with its overlays, checked by the rules of Juju 4.0 before anything is applied.

The rules are those of Juju's `domain/deployment/charm/bundledata.go`, with two of our own: charms are local archives,
and every application and machine names its base.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_model.charm import OptionError
from openinfra_model.charm_archive import CharmError, read_archive
from openinfra_model.directives import StorageRequest, check_constraints, parse_storage
from openinfra_model.document import Node, Problems
from openinfra_model.overlay import Merged, children, items, merge
from openinfra_model.pairing import APPLICATION_NAME, End, pair_ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openinfra_model.charm import Charm
    from openinfra_model.document import Json, Scalar

_NUMBER = r"(?:0|[1-9][0-9]*)"
_PLACEMENT = re.compile(rf"(lxd:)?(?:(new)|({APPLICATION_NAME})(?:/({_NUMBER}))?|({_NUMBER}))")
_BASE = re.compile(r"([a-z]+)@(\d+\.\d+)(?:/[a-z]+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A machine that units are placed on; `id` is the bundle's own name for it."""

    id: str
    base: str
    constraints: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """An application to deploy.

    `to` has one placement for each unit: `new`, a machine's id, or `APPLICATION/N` for the machine of that unit;
    with `lxd:` before it the unit gets a container there. `archive` and the resources are paths to files that exist.
    """

    name: str
    charm: Charm
    archive: Path
    base: str
    units: int
    to: tuple[str, ...]
    options: dict[str, Scalar]
    storage: dict[str, StorageRequest]
    resources: dict[str, Path]
    bindings: dict[str, str]
    annotations: dict[str, str]
    constraints: str
    expose: bool
    trust: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """What is to be deployed.

    `applications` come in an order in which each can be placed on units of those before it; each relation has the
    requirer's end first. `warnings` name what is ignored.
    """

    description: str
    machines: dict[str, Machine]
    applications: dict[str, Application]
    relations: tuple[tuple[End, End], ...]
    warnings: tuple[str, ...] = ()


def load(path: Path, overlays: Sequence[Path] = ()) -> Bundle:
    """Read a bundle, merge the overlays in their order, and check the whole against its charms.

    Raises:
        DocumentError: if anything is wrong; it lists all of it.
    """
    merged = merge(path, overlays)
    problems = Problems()
    if not merged.applications:
        problems.add(merged.top.place, "at least one application must be specified")
    reader = _ApplicationReader(merged, path.parent, problems)
    applications = {name: application for name in merged.applications if (application := reader.read(name))}
    bundle = Bundle(
        warnings=merged.warnings,
        description=problems.text(merged.description, "description"),
        machines=_read_machines(merged, applications, problems),
        applications=_ordered(applications, merged, problems),
        relations=tuple(
            pair_ends(merged, {name: entry.charm for name, entry in applications.items()}, problems)
        ),
    )
    problems.raise_if_any()
    return bundle


class _ApplicationReader:
    """Reads the applications of a merged bundle."""

    def __init__(self, merged: Merged, directory: Path, problems: Problems) -> None:
        self._merged = merged
        self._directory = directory
        self._problems = problems

    def read(self, name: str) -> Application | None:
        """Return an application, or None if its charm cannot be read."""
        problems = self._problems
        node = self._merged.applications[name]
        entry = children(node)
        what = f'application "{name}"'
        if not re.fullmatch(APPLICATION_NAME, name):
            problems.add(
                node.key_place, f'invalid application name "{name}": use lower-case letters, digits, hyphens'
            )
        archive = self._archive(node, what)
        charm = self._charm(archive, entry.get("charm"), what)
        if archive is None or charm is None:
            return None
        base = _read_base(node, self._merged.default_base, what, problems)
        self._check_base(base, charm, node, what)
        units = problems.integer(entry.get("num_units"), f"{what}: num_units")
        return Application(
            name=name,
            charm=charm,
            archive=archive,
            base=base,
            units=units,
            to=self._placements(node, charm, units, what),
            options=self._options(entry.get("options"), charm, name),
            storage=self._storage(entry.get("storage"), charm, what),
            resources=self._resources(node, charm, what),
            bindings=self._bindings(entry.get("bindings"), charm, what),
            annotations={key: child.text for key, child in children(entry.get("annotations")).items()},
            constraints=_read_constraints(entry.get("constraints"), what, problems),
            expose=problems.boolean(entry.get("expose"), f"{what}: expose"),
            trust=problems.boolean(entry.get("trust"), f"{what}: trust"),
        )

    def _archive(self, application: Node, what: str) -> Path | None:
        node = children(application).get("charm")
        text = self._problems.text(node, f"{what}: charm")
        if node is None or not text:
            self._problems.add(application.key_place, f"{what}: empty charm path: name the charm's archive")
            return None
        if not text.startswith((".", "/")):
            self._problems.add(node.place, f'{what}: charm "{text}" is no local path: begin it with . or /')
            return None
        archive = Path(node.place.file).parent / text
        if not archive.exists():
            self._problems.add(
                node.place, f"charm path in {what} does not exist: {archive}: ./openinfra pack makes it"
            )
            return None
        return archive

    def _charm(self, archive: Path | None, node: Node | None, what: str) -> Charm | None:
        if archive is None or node is None:
            return None
        try:
            return read_archive(archive)
        except CharmError as error:
            self._problems.add(node.place, f"invalid charm in {what}: {error}")
            return None

    def _check_base(self, base: str, charm: Charm, node: Node, what: str) -> None:
        supported = [f"{known.name}@{known.channel.partition('/')[0]}" for known in charm.bases]
        if base and base not in supported:
            place = children(node).get("base", node).place
            self._problems.add(
                place, f'{what}: base "{base}" is not supported by the charm: {", ".join(supported)} are'
            )

    def _placements(self, application: Node, charm: Charm, units: int, what: str) -> tuple[str, ...]:
        problems = self._problems
        entry = children(application)
        listed = problems.items(entry.get("to"), f"{what}: to")
        if charm.subordinate:
            if listed:
                problems.add(entry["to"].key_place, f"{what} is subordinate but specifies unit placement")
            if units:
                problems.add(
                    entry["num_units"].key_place, f"{what} is subordinate but has non-zero num_units"
                )
            return ()
        if units < 0:
            problems.add(entry["num_units"].place, f"negative number of units specified on {what}")
        elif len(listed) > units:
            problems.add(entry["to"].key_place, f"too many units specified in unit placement for {what}")
        taken: Counter[str] = Counter()
        placements = [self._placement(node, taken) for node in listed]
        # The last placement serves the units that have none; one without a unit's number means the next unit.
        placements += [
            self._placement(listed[-1], taken) if listed else "new" for _ in range(len(listed), units)
        ]
        return tuple(placements)

    def _placement(self, node: Node, taken: Counter[str]) -> str:
        text = self._problems.text(node, "placement")
        match = _PLACEMENT.fullmatch(text)
        if not match:
            self._problems.add(
                node.place, f'invalid placement syntax "{text}": use new, MACHINE, APPLICATION[/N] or lxd:'
            )
            return "new"
        container, _, application, unit, machine = match.groups()
        if machine and machine not in self._merged.machines:
            self._problems.add(
                node.place, f'placement "{text}" refers to a machine not defined in this bundle'
            )
        if not application:
            return text
        target = self._merged.applications.get(application)
        if target is None:
            self._problems.add(
                node.place, f'placement "{text}" refers to an application not defined in this bundle'
            )
            return "new"
        number = int(unit) if unit else taken[application]
        taken[application] = number + 1
        units = self._problems.integer(children(target).get("num_units"), "num_units")
        if number >= units:
            self._problems.add(
                node.place,
                f'placement "{text}" specifies a unit greater than the {units} unit(s) started by the target application',
            )
        return f"{container or ''}{application}/{number}"

    def _options(self, node: Node | None, charm: Charm, name: str) -> dict[str, Scalar]:
        options: dict[str, Scalar] = {}
        for key, child in children(node).items():
            option = charm.config.get(key)
            if option is None:
                self._problems.add(
                    child.key_place,
                    f'cannot validate application "{name}": configuration option "{key}" not found in charm '
                    f'"{charm.name}"',
                )
                continue
            try:
                value = option.check(self._included(child))
            except OptionError as error:
                self._problems.add(child.place, f'cannot validate application "{name}": {error}')
                continue
            if value is not None:
                options[key] = value
        return options

    def _included(self, node: Node) -> Json:
        """Return an option's value, for `include-file://` and `include-base64://` what that file holds."""
        scheme, separator, name = node.text.partition("://")
        if not separator or scheme not in ("include-file", "include-base64"):
            return node.plain()
        path = Path(node.place.file).parent / name
        try:
            content = path.read_bytes()
            return content.decode() if scheme == "include-file" else base64.b64encode(content).decode()
        except (OSError, UnicodeDecodeError) as error:
            self._problems.add(node.place, f'resolving include "{name}": cannot read {path}: {error}')
            return None

    def _storage(self, node: Node | None, charm: Charm, what: str) -> dict[str, StorageRequest]:
        requests: dict[str, StorageRequest] = {}
        for name, child in children(node).items():
            if name not in charm.storage:
                self._problems.add(
                    child.key_place, f'{what}: charm "{charm.name}" has no store called "{name}"'
                )
                continue
            try:
                request = requests[name] = parse_storage(self._problems.text(child, f"{what}: storage"))
                charm.storage[name].check(charm.name, size=request.size, count=request.count)
            except ValueError as error:
                self._problems.add(child.place, f'invalid storage "{name}" in {what}: {error}')
        return requests

    def _resources(self, application: Node, charm: Charm, what: str) -> dict[str, Path]:
        given = children(children(application).get("resources"))
        for name in charm.resources.keys() - given.keys():
            self._problems.add(
                application.key_place, f'{what}: local charm missing resource "{name}": give its path'
            )
        resources: dict[str, Path] = {}
        for name, child in given.items():
            # Unlike charms, resources are looked for beside the bundle even when an overlay names them.
            path = self._directory / child.text
            if name not in charm.resources:
                self._problems.add(
                    child.key_place, f'{what}: charm "{charm.name}" has no resource called "{name}"'
                )
            elif not isinstance(child.value, str):
                self._problems.add(
                    child.place, f'{what}: resource "{name}" of a local charm is a path, not a revision'
                )
            elif not path.is_file():
                self._problems.add(child.place, f'{what}: resource "{name}": no file {path}')
            else:
                resources[name] = path
        return resources

    def _bindings(self, node: Node | None, charm: Charm, what: str) -> dict[str, str]:
        bindings = {
            name: self._problems.text(child, f"{what}: bindings") for name, child in children(node).items()
        }
        for name, space in bindings.items():
            if name and name not in charm.endpoints and name not in charm.extra_bindings:
                self._problems.add(
                    children(node)[name].key_place,
                    f'{what} wants to bind endpoint "{name}" to space "{space}", but the endpoint is not defined by '
                    "the charm",
                )
        return bindings


def _read_base(node: Node, default: Node | None, what: str, problems: Problems) -> str:
    given = children(node).get("base") or default
    text = problems.text(given, f"{what}: base")
    if given is None or not text:
        problems.add(node.key_place, f"{what} names no base: add one, as in base: ubuntu@24.04")
        return ""
    match = _BASE.fullmatch(text)
    if not match:
        problems.add(given.place, f'{what} declares an invalid base "{text}": write it as in ubuntu@24.04')
        return ""
    return f"{match[1]}@{match[2]}"


def _read_constraints(node: Node | None, what: str, problems: Problems) -> str:
    text = problems.text(node, f"{what}: constraints")
    try:
        check_constraints(text)
    except ValueError as error:
        if node:
            problems.add(node.place, f'invalid constraints "{text}" in {what}: {error}')
    return text


def _read_machines(
    merged: Merged, applications: dict[str, Application], problems: Problems
) -> dict[str, Machine]:
    used = {
        placement.text.removeprefix("lxd:")
        for node in merged.applications.values()
        for placement in items(children(node).get("to"))
    }
    machines: dict[str, Machine] = {}
    for name, node in merged.machines.items():
        what = f'machine "{name}"'
        if not re.fullmatch(_NUMBER, name):
            problems.add(node.key_place, f'invalid machine id "{name}" found in machines: use a number')
        if name not in used:
            problems.add(
                node.key_place,
                f"{what} is not referred to by a placement directive: place a unit or remove it",
            )
        base = _read_base(node, merged.default_base, what, problems)
        for resident in applications.values():
            if name in resident.to and base and resident.base and base != resident.base:
                problems.add(
                    merged.applications[resident.name].key_place,
                    f'application "{resident.name}": base does not match: unit has "{resident.base}", machine {name} '
                    f'has "{base}"',
                )
        constraints = _read_constraints(children(node).get("constraints"), what, problems)
        machines[name] = Machine(id=name, base=base, constraints=constraints)
    return machines


def _ordered(
    applications: dict[str, Application], merged: Merged, problems: Problems
) -> dict[str, Application]:
    """Return the applications in the bundle's order, but each after those that it is placed on."""
    targets = {
        name: [
            target
            for placement in application.to
            if (target := placement.removeprefix("lxd:").partition("/")[0]) in applications
        ]
        for name, application in applications.items()
    }
    try:
        TopologicalSorter(targets).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        place = merged.applications[cycle[0]].key_place
        problems.add(place, f"impossible placement: {' on '.join(cycle)}: place one of them on a machine")
        return applications
    ordered: dict[str, Application] = {}

    def add(name: str) -> None:
        for target in targets[name]:
            add(target)
        ordered[name] = applications[name]

    for name in applications:
        add(name)
    return ordered
