"""Bundles and overlays merged into one, by the rules of Juju 4.0 (`domain/deployment/charm/overlay.go`).

An overlay's applications are merged key by key, one without a body is removed with its relations; relations are only
appended; a `machines` section replaces the former one. Fields that Juju does not know it ignores, such as `name` and
`variables`, below which bundles keep their anchors; here they are told, since one may be a slip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from openinfra_model.document import DocumentError, Node, Problems, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_BUNDLE_KEYS = ("applications", "default-base", "description", "machines", "relations", "tags")
_MACHINE_KEYS = ("annotations", "base", "constraints")
_MAP_KEYS = ("annotations", "bindings", "options", "resources", "storage")
_APPLICATION_KEYS = ("base", "charm", "constraints", "expose", "num_units", "to", "trust", *_MAP_KEYS)
# What only Charmhub, Kubernetes or other models could serve.
_REFUSED_BUNDLE_KEYS = ("bundle", "saas")
_REFUSED_APPLICATION_KEYS = (
    "channel",
    "devices",
    "exposed-endpoints",
    "offers",
    "placement",
    "plan",
    "revision",
    "scale",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """A bundle with its overlays; `top` is the bundle's own document, for what has no better place.

    `warnings` name the fields that are ignored.
    """

    top: Node
    warnings: tuple[str, ...]
    description: Node | None
    default_base: Node | None
    machines: dict[str, Node]
    applications: dict[str, Node]
    relations: list[Node]


def merge(path: Path, overlays: Sequence[Path]) -> Merged:
    """Read a bundle and its overlays (each may hold several documents) and merge them in their order.

    Raises:
        DocumentError: if one cannot be read or has a key that only Juju could serve; it lists all of it.
    """
    documents = [document for file in (path, *overlays) for document in read(file)]
    if not documents:
        raise DocumentError([f"{path}: bundle is empty not valid: describe the applications there"])
    problems, ignored = Problems(), Problems()
    for document in documents:
        _check_keys(document, problems, ignored)
    problems.raise_if_any()
    merged = _first(documents[0], tuple(ignored.found))
    for document in documents[1:]:
        merged = _merge_overlay(merged, children(document))
    return merged


def children(node: Node | None) -> dict[str, Node]:
    """Return the entries of a mapping, none if it is something else."""
    return node.value if node and isinstance(node.value, dict) else {}


def items(node: Node | None) -> list[Node]:
    """Return the items of a list, none if it is something else."""
    return node.value if node and isinstance(node.value, list) else []


def _check_keys(document: Node, problems: Problems, ignored: Problems) -> None:
    bundle = problems.mapping(document, "bundle")
    _check_known(bundle, "bundle", _BUNDLE_KEYS, _REFUSED_BUNDLE_KEYS, problems=problems, ignored=ignored)
    problems.items(bundle.get("relations"), "relations")
    for name, node in problems.mapping(bundle.get("machines"), "machines").items():
        what = f'machine "{name}"'
        _check_known(
            problems.mapping(node, what), what, _MACHINE_KEYS, (), problems=problems, ignored=ignored
        )
    for name, node in problems.mapping(bundle.get("applications"), "applications").items():
        what = f'application "{name}"'
        application = problems.mapping(node, what)
        _check_known(
            application,
            what,
            _APPLICATION_KEYS,
            _REFUSED_APPLICATION_KEYS,
            problems=problems,
            ignored=ignored,
        )
        for key in _MAP_KEYS:
            problems.mapping(application.get(key), f"{what}: {key}")


def _check_known(
    entry: Mapping[str, Node],
    what: str,
    known: Sequence[str],
    refused: Sequence[str],
    *,
    problems: Problems,
    ignored: Problems,
) -> None:
    for key, node in entry.items():
        if key in refused:
            problems.add(node.key_place, f'field "{key}" in {what} is not supported: remove it')
        elif key not in known:
            ignored.add(
                node.key_place,
                f'field "{key}" not found in {what}, ignored: known are {", ".join(sorted(known))}',
            )


def _first(document: Node, warnings: tuple[str, ...]) -> Merged:
    bundle = children(document)
    return Merged(
        top=document,
        warnings=warnings,
        description=bundle.get("description"),
        default_base=bundle.get("default-base"),
        machines=children(bundle.get("machines")),
        applications=children(bundle.get("applications")),
        relations=items(bundle.get("relations")),
    )


def _merge_overlay(base: Merged, overlay: dict[str, Node]) -> Merged:
    applications = dict(base.applications)
    relations = base.relations
    for name, node in children(overlay.get("applications")).items():
        if node.value is None:
            applications.pop(name, None)
            relations = [relation for relation in relations if not _is_of(relation, name)]
        elif name in applications:
            applications[name] = _merge_application(applications[name], node)
        else:
            applications[name] = node
    machines = overlay.get("machines")
    return replace(
        base,
        default_base=overlay.get("default-base", base.default_base),
        machines=base.machines if machines is None or machines.value is None else children(machines),
        applications=applications,
        relations=[*relations, *items(overlay.get("relations"))],
    )


def _is_of(relation: Node, application: str) -> bool:
    return any(end.text.partition(":")[0] == application for end in items(relation))


def _merge_application(base: Node, overlay: Node) -> Node:
    merged = dict(children(base))
    for key, node in children(overlay).items():
        if key in _MAP_KEYS and node.value is not None:
            entries = children(merged.get(key)) | children(node)
            # An option set to nothing is removed; in the other maps nothing is an empty string.
            kept = {
                name: entry for name, entry in entries.items() if key != "options" or entry.value is not None
            }
            merged[key] = replace(node, value=kept)
        else:
            merged[key] = node
    return replace(base, value=merged)
