"""Reads a `.charm` archive by the rules of Juju 4.0.

The rules are those of Juju's `domain/deployment/charm` package: metadata of the second format (bases in the
manifest), configuration, actions with JSON Schema draft 4. `charmcraft.yaml` is never read: Juju does not either.
"""

from __future__ import annotations

import dataclasses
import re
import stat
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, cast

from jsonschema import Draft4Validator, SchemaError

from openinfra_model.charm import (
    ROLES,
    ActionSpec,
    Base,
    Charm,
    Endpoint,
    Option,
    OptionError,
    ResourceSpec,
    Role,
    Scope,
    StorageSpec,
    parse_size,
)
from openinfra_model.document import DocumentError, Json, Node, Place, Problems, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_ACTION_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_STORAGE_COUNT = re.compile(r"(\d+)(?:([-+])|-(\d+))")
_ASSUMPTION = re.compile(r"[a-z][a-z0-9-]*[a-z0-9](?:\s*(?:>=|<)\s*\d+(?:\.\d+){0,2})?")
_MOST_LINKS = 40  # of which one leads to the next, as the kernel has it
_FIRST_FORMAT_KEYS = ("min-juju-version", "series", "deployment")


class CharmError(Exception):
    """A charm cannot be used; the message names the file, the place, the reason and the remedy."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


def read_archive(path: Path) -> Charm:
    """Read a `.charm` archive.

    Raises:
        CharmError: if the file is no such archive or breaks a rule; it lists all that is wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _CharmReader(path, lambda name: _member(archive, name), _archive_problems(archive)).read()
    except OSError as error:
        raise CharmError(path, f"cannot read the charm: {error.strerror}") from error
    except zipfile.BadZipFile as error:
        raise CharmError(path, f"not a charm archive: {error}: pack it with ./openinfra pack") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes | None:
    return archive.read(name) if name in archive.NameToInfo else None


def _archive_problems(archive: zipfile.ZipFile) -> list[str]:
    problems: list[str] = []
    links = {
        PurePosixPath(info.filename).parts: archive.read(info).decode(errors="replace")
        for info in archive.infolist()
        if stat.S_ISLNK(info.external_attr >> 16)
    }
    for info in archive.infolist():
        parts = PurePosixPath(info.filename).parts
        if behind := next((parts[:depth] for depth in range(1, len(parts)) if parts[:depth] in links), None):
            problems.append(f"{info.filename}: lies behind the link {'/'.join(behind)}: pack it where it is")
        elif _leaves(parts, links):
            problems.append(f"{info.filename}: leads out of the charm: pack files, not links to them")
    dispatch = archive.NameToInfo.get("dispatch")
    return problems + _dispatch_problems(dispatch.external_attr >> 16 if dispatch else None)


def _leaves(parts: Sequence[str], links: Mapping[tuple[str, ...], str]) -> bool:
    """Tell whether a path leads out of the folder that it begins in, by itself or by links, or nowhere at all."""
    place: list[str] = []
    rest, followed = list(reversed(parts)), 0
    while rest:
        part = rest.pop()
        if part == "/" or (part == ".." and not place):
            return True
        if part == "..":
            place.pop()
        else:
            place.append(part)
        if (target := links.get(tuple(place))) is not None:
            followed += 1
            if followed > _MOST_LINKS:
                return True
            place.pop()
            rest += reversed(PurePosixPath(target).parts)
    return False


def _dispatch_problems(mode: int | None) -> list[str]:
    if mode is None:
        return ["dispatch: missing: Juju has nothing to run"]
    if not mode & stat.S_IXUSR:
        return [f"dispatch: mode {stat.S_IMODE(mode):04o} is not executable: pack it with mode 0755"]
    return []


class _CharmReader:
    """Reads one charm's files, noting every problem."""

    def __init__(self, path: Path, read: Callable[[str], bytes | None], problems: list[str]) -> None:
        self._path = path
        self._read = read
        self._problems = Problems(found=problems)

    def read(self) -> Charm:
        try:
            charm = self._charm()
            self._problems.raise_if_any()
        except DocumentError as error:
            raise CharmError(self._path, "; ".join(error.problems)) from error
        return charm

    def _document(self, file: str) -> Node | None:
        content = self._read(file)
        if content is None:
            return None
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise DocumentError([f"{file}: not UTF-8 text: {error}"]) from error
        documents = parse(text, file)
        return documents[0] if documents else None

    def _required(self, file: str) -> Node:
        node = self._document(file)
        if node is None:
            raise DocumentError([f"{file}: missing or empty: every charm has one"])
        return node

    def _charm(self) -> Charm:
        problems = self._problems
        document = self._required("metadata.yaml")
        metadata = problems.mapping(document, "metadata", string_keys=True)
        self._check_format(metadata, document.place)
        name = problems.string(metadata.get("name"), "name")
        subordinate = problems.boolean(metadata.get("subordinate"), "subordinate")
        endpoints = self._endpoints(name, metadata)
        if subordinate and not any(
            e.role == "requires" and e.scope == "container" for e in endpoints.values()
        ):
            problems.add(
                document.place, f'subordinate charm "{name}" lacks "requires" relation with container scope'
            )
        return Charm(
            name=name,
            summary=problems.string(metadata.get("summary"), "summary"),
            description=problems.string(metadata.get("description"), "description"),
            subordinate=subordinate,
            bases=self._bases(),
            endpoints=endpoints,
            config=self._config(),
            actions=self._actions(name),
            storage=self._storage(metadata.get("storage")),
            resources=self._resources(metadata.get("resources")),
            extra_bindings=self._extra_bindings(metadata.get("extra-bindings"), endpoints),
            assumes=self._assumes(metadata.get("assumes")),
            containers=tuple(problems.mapping(metadata.get("containers"), "containers", string_keys=True)),
            version=(self._read("version") or b"").decode().strip(),
        )

    def _check_format(self, metadata: dict[str, Node], place: Place) -> None:
        for key in ("name", "summary", "description"):
            if key not in metadata:
                self._problems.add(place, f"{key}: expected string, got nothing")
        for key in _FIRST_FORMAT_KEYS:
            if key in metadata:
                self._problems.add(
                    metadata[key].key_place,
                    f"{key} in metadata v2 not valid: remove it, and say what the charm needs in assumes",
                )

    def _bases(self) -> tuple[Base, ...]:
        manifest = self._required("manifest.yaml")
        listed = self._problems.items(self._problems.mapping(manifest, "manifest").get("bases"), "bases")
        if not listed:
            self._problems.add(
                manifest.place, "charm metadata without bases in manifest not valid: list the bases"
            )
        return tuple(self._base(node) for node in listed)

    def _base(self, node: Node) -> Base:
        problems = self._problems
        entry = problems.mapping(node, "bases")
        for key in ("name", "channel"):
            if key not in entry:
                problems.add(node.place, f"base without {key}: give it, as in name: ubuntu, channel: '24.04'")
        return Base(
            name=problems.string(entry.get("name"), "base name"),
            channel=problems.string(entry.get("channel"), "base channel"),
            architectures=tuple(
                problems.string(architecture, "architecture")
                for architecture in problems.items(entry.get("architectures"), "architectures")
            ),
        )

    def _endpoints(self, charm: str, metadata: dict[str, Node]) -> dict[str, Endpoint]:
        endpoints: dict[str, Endpoint] = {}
        for role in ROLES:
            for name, node in self._problems.mapping(metadata.get(role), role, string_keys=True).items():
                if name in endpoints:
                    self._problems.add(node.key_place, f'{role}: duplicated relation name "{name}"')
                endpoint = endpoints[name] = self._endpoint(role, name, node)
                if role != "requires" or endpoint.scope != "container":  # subordinates may require juju-info
                    self._check_reserved(charm, node, f"cannot use relation name {name}", name)
        implicit = Endpoint(name="juju-info", role="provides", interface="juju-info", optional=True)
        return {**endpoints, implicit.name: endpoints.get(implicit.name, implicit)}

    def _endpoint(self, role: Role, name: str, node: Node) -> Endpoint:
        problems = self._problems
        what = f"{role}.{name}"
        if isinstance(node.value, str):
            return Endpoint(name=name, role=role, interface=node.value)
        entry = problems.mapping(node, what, string_keys=True)
        if "interface" not in entry:
            problems.add(node.key_place, f"{what}.interface: expected string, got nothing")
        scope = problems.choice(entry.get("scope"), f"{what}.scope", ("global", "container"), "global")
        limit = entry.get("limit")
        return Endpoint(
            name=name,
            role=role,
            interface=problems.string(entry.get("interface"), f"{what}.interface"),
            scope=cast("Scope", scope),
            optional=problems.boolean(entry.get("optional"), f"{what}.optional"),
            limit=problems.integer(limit, f"{what}.limit") if limit and limit.value is not None else 0,
        )

    def _check_reserved(self, charm: str, node: Node, refusal: str, name: str) -> None:
        if charm.startswith("juju-"):
            return
        if name == "juju":
            self._problems.add(node.key_place, f'{refusal}: "juju" is a reserved name')
        elif name.startswith("juju-"):
            self._problems.add(node.key_place, f'{refusal}: the "juju-" prefix is reserved')

    def _extra_bindings(self, node: Node | None, endpoints: dict[str, Endpoint]) -> tuple[str, ...]:
        names = self._problems.mapping(node, "extra-bindings", string_keys=True)
        if node and not names:
            self._problems.add(node.place, "extra bindings cannot be empty when specified")
        for name, entry in names.items():
            if entry.value is not None:
                self._problems.add(entry.place, f"extra-bindings.{name}: expected nothing after the name")
            if name in endpoints:
                self._problems.add(
                    entry.key_place, f"relation names ({name}) cannot be used in extra bindings"
                )
        return tuple(names)

    def _assumes(self, node: Node | None) -> tuple[Json, ...]:
        items = self._problems.items(node, "assumes")
        for item in items:
            self._check_assumption(item)
        return tuple(item.plain() for item in items)

    def _check_assumption(self, node: Node) -> None:
        if isinstance(node.value, dict):
            for key, group in node.value.items():
                if key not in ("any-of", "all-of"):
                    self._problems.add(
                        group.key_place, f'assumes: unknown group "{key}": use any-of or all-of'
                    )
                for item in self._problems.items(group, f"assumes.{key}"):
                    self._check_assumption(item)
        elif not (isinstance(node.value, str) and _ASSUMPTION.fullmatch(node.value)):
            self._problems.add(
                node.place, f'assumes: malformed expression "{node.text}": write as in juju >= 3.6'
            )

    def _storage(self, node: Node | None) -> dict[str, StorageSpec]:
        stores = self._problems.mapping(node, "storage", string_keys=True)
        return {name: self._store(name, entry) for name, entry in stores.items()}

    def _store(self, name: str, node: Node) -> StorageSpec:
        problems = self._problems
        what = f"storage.{name}"
        entry = problems.mapping(node, what, string_keys=True)
        if "type" not in entry:
            problems.add(node.key_place, f'storage "{name}": type must be specified: filesystem or block')
        kind = problems.choice(entry.get("type"), f"{what}.type", ("filesystem", "block"), "filesystem")
        location = problems.string(entry.get("location"), f"{what}.location")
        if location and kind != "filesystem":
            problems.add(
                entry["location"].place, f'storage "{name}": location may not be specified for "type: {kind}"'
            )
        multiple = problems.mapping(entry.get("multiple"), f"{what}.multiple")
        count_min, count_max = self._count(multiple.get("range"), what)
        return StorageSpec(
            name=name,
            type=cast("Literal['filesystem', 'block']", kind),
            description=problems.string(entry.get("description"), f"{what}.description"),
            shared=problems.boolean(entry.get("shared"), f"{what}.shared"),
            read_only=problems.boolean(entry.get("read-only"), f"{what}.read-only"),
            count_min=count_min,
            count_max=count_max,
            minimum_size=self._size(entry.get("minimum-size"), f"{what}.minimum-size"),
            location=location,
            properties=tuple(
                problems.choice(item, f"{what}.properties", ("transient",), "transient")
                for item in problems.items(entry.get("properties"), f"{what}.properties")
            ),
        )

    def _count(self, node: Node | None, what: str) -> tuple[int, int | None]:
        if node is None:
            return 1, 1
        if isinstance(node.value, int) and node.value > 0:
            return node.value, node.value
        match = _STORAGE_COUNT.fullmatch(node.text)
        if not match:
            self._problems.add(
                node.place, f"{what}.multiple.range: value \"{node.text}\" does not match 'm', 'm-n', or 'm+'"
            )
            return 1, 1
        return int(match[1]), int(match[3]) if match[3] else None

    def _size(self, node: Node | None, what: str) -> int:
        text = self._problems.string(node, what)
        if node is None or not text:
            return 0
        try:
            return parse_size(text)
        except ValueError as error:
            self._problems.add(node.place, f"{what}: {error}")
            return 0

    def _resources(self, node: Node | None) -> dict[str, ResourceSpec]:
        resources = self._problems.mapping(node, "resources", string_keys=True)
        return {name: self._resource(name, entry) for name, entry in resources.items()}

    def _resource(self, name: str, node: Node) -> ResourceSpec:
        problems = self._problems
        what = f"resources.{name}"
        entry = problems.mapping(node, what, string_keys=True)
        kind = problems.choice(entry.get("type"), f"{what}.type", ("file", "oci-image"), "file")
        filename = problems.string(entry.get("filename"), f"{what}.filename")
        if kind == "file" and not filename:
            problems.add(node.key_place, f"{what}: resource missing filename")
        if "/" in filename:
            problems.add(entry["filename"].place, f'{what}: filename cannot contain "/" (got "{filename}")')
        return ResourceSpec(
            name=name,
            type=cast("Literal['file', 'oci-image']", kind),
            filename=filename,
            description=problems.string(entry.get("description"), f"{what}.description"),
        )

    def _config(self) -> dict[str, Option]:
        document = self._document("config.yaml")
        if document is None:
            return {}
        top = self._problems.mapping(document, "config")
        if "options" not in top:
            self._problems.add(
                document.place, "invalid config: empty configuration: remove the file or give options"
            )
        options = self._problems.mapping(top.get("options"), "options")
        return {name: self._option(name, node) for name, node in options.items()}

    def _option(self, name: str, node: Node) -> Option:
        problems = self._problems
        entry = problems.mapping(node, f"options.{name}")
        kind = problems.text(entry.get("type"), f"options.{name}.type") or "string"
        kind = "int" if kind == "integer" else kind
        if kind not in ("string", "int", "float", "boolean", "secret"):
            problems.add(entry["type"].place, f'invalid config: option "{name}" has unknown type "{kind}"')
            kind = "string"
        option = Option(
            name=name,
            type=kind,
            description=problems.text(entry.get("description"), f"options.{name}.description"),
        )
        if "default" not in entry:
            return option
        try:
            return dataclasses.replace(option, default=option.check(entry["default"].plain()))
        except OptionError as error:
            problems.add(entry["default"].place, f"invalid config default: {error}")
            return option

    def _actions(self, charm: str) -> dict[str, ActionSpec]:
        actions = self._problems.mapping(self._document("actions.yaml"), "actions")
        for name, node in actions.items():
            if not _ACTION_NAME.fullmatch(name):
                self._problems.add(
                    node.key_place, f"bad action name {name}: use lower-case letters, digits, hyphens"
                )
            self._check_reserved(charm, node, f"cannot use action name {name}", name)
        return {name: self._action(name, node) for name, node in actions.items()}

    def _action(self, name: str, node: Node) -> ActionSpec:
        problems = self._problems
        what = f"actions.{name}"
        entry = problems.mapping(node, what, string_keys=True)
        self._check_schema_keys(node, what)
        description = problems.string(entry.get("description"), f"{what}.description") or "No description"
        schema: dict[str, Json] = {
            "description": description,
            "type": "object",
            "title": problems.string(entry.get("title"), f"{what}.title") or name,
            "properties": {
                key: child.plain()
                for key, child in problems.mapping(
                    entry.get("params"), f"{what}.params", string_keys=True
                ).items()
            },
            "additionalProperties": False,
        }
        handled = ("description", "title", "params", "parallel", "execution-group")
        schema |= {key: child.plain() for key, child in entry.items() if key not in handled}
        try:
            Draft4Validator.check_schema(schema)
        except SchemaError as error:
            where = ".".join(str(part) for part in error.absolute_path)
            problems.add(
                node.key_place, f"invalid params schema for action schema {name}: {where}: {error.message}"
            )
        return ActionSpec(
            name=name,
            description=description,
            schema=schema,
            parallel=problems.boolean(entry.get("parallel"), f"{what}.parallel"),
            execution_group=problems.string(entry.get("execution-group"), f"{what}.execution-group"),
        )

    def _check_schema_keys(self, node: Node, what: str) -> None:
        for part in node.walk():
            for key, child in part.value.items() if isinstance(part.value, dict) else ():
                if key in ("$ref", "$schema"):
                    self._problems.add(
                        child.key_place,
                        f'{what}: schema key "{key}" not compatible with this version of juju',
                    )
                elif not child.key_is_string and part is not node:
                    self._problems.add(
                        child.key_place,
                        f'{what}: map keyed with non-string value {key}: write "{key}" in quotes',
                    )
