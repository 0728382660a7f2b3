"""The relations of a bundle: both ends named or inferred from the charms, and fitting each other."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openinfra_model.charm import Charm, Endpoint
    from openinfra_model.document import Node, Problems
    from openinfra_model.overlay import Merged

APPLICATION_NAME = r"[a-z][a-z0-9]*(?:-[a-z0-9]*[a-z][a-z0-9]*)*"
_END = re.compile(rf"({APPLICATION_NAME})(?::([a-z][a-z0-9]*(?:[_-][a-z0-9]+)*))?")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class End:
    """One end of a relation."""

    application: str
    endpoint: str

    def __str__(self) -> str:
        return f"{self.application}:{self.endpoint}" if self.endpoint else self.application


def pair_ends(merged: Merged, charms: dict[str, Charm], problems: Problems) -> list[tuple[End, End]]:
    """Return the relations of a merged bundle, each with the requirer's end first, and note what cannot be related.

    `charms` has the charm of each application that could be read.
    """
    return _RelationReader(merged, charms, problems).read()


class _RelationReader:
    def __init__(self, merged: Merged, charms: dict[str, Charm], problems: Problems) -> None:
        self._merged = merged
        self._charms = charms
        self._problems = problems

    def read(self) -> list[tuple[End, End]]:
        relations: dict[tuple[End, End], Node] = {}
        for node in self._merged.relations:
            pair = self._pair(node)
            if pair is None:
                continue
            if pair in relations:
                self._problems.add(node.place, f"relation {_shown(node)} is defined more than once")
            relations[pair] = node
        self._check_limits(relations)
        return list(relations)

    def _pair(self, node: Node) -> tuple[End, End] | None:
        ends = self._problems.items(node, "relation")
        if len(ends) != 2:  # noqa: PLR2004 - a relation has two ends
            self._problems.add(node.place, f"relation {_shown(node)} has {len(ends)} endpoint(s), not 2")
            return None
        first, second = (self._end(end, node) for end in ends)
        if first is None or second is None:
            return None
        if first.application == second.application:
            self._problems.add(node.place, f"relation {_shown(node)} relates an application to itself")
            return None
        if first.application not in self._charms or second.application not in self._charms:
            return None  # told already: the application or its charm is not there
        return self._fit(first, second, node)

    def _end(self, node: Node, relation: Node) -> End | None:
        text = self._problems.text(node, "relation")
        match = _END.fullmatch(text)
        if not match:
            self._problems.add(
                node.place, f'invalid relation syntax "{text}": write APPLICATION or APPLICATION:ENDPOINT'
            )
            return None
        if match[1] not in self._merged.applications:
            self._problems.add(
                node.place,
                f'relation {_shown(relation)} refers to application "{match[1]}" not defined in this bundle',
            )
            return None
        return End(application=match[1], endpoint=match[2] or "")

    def _fit(self, first: End, second: End, node: Node) -> tuple[End, End] | None:
        candidates = [
            (one, other) if self._endpoint(one).role == "requires" else (other, one)
            for one, other in product(self._possible(first, node), self._possible(second, node))
            if self._can_relate(one, other)
        ]
        explicit = [pair for pair in candidates if pair[1].endpoint != "juju-info"]
        if len(candidates) == 1 or len(explicit) == 1:
            return (explicit or candidates)[0]
        if candidates:
            could = "; ".join(sorted(f'"{one} {other}"' for one, other in candidates))
            self._problems.add(node.place, f"ambiguous relation: {first} {second} could refer to {could}")
        else:
            self._explain(first, second, node)
        return None

    def _possible(self, end: End, node: Node) -> list[End]:
        charm = self._charms[end.application]
        if end.endpoint and end.endpoint not in charm.endpoints:
            self._problems.add(
                node.place,
                f'charm "{charm.name}" used by application "{end.application}" does not define relation '
                f'"{end.endpoint}"',
            )
            return []
        names = [end.endpoint] if end.endpoint else charm.endpoints
        return [End(application=end.application, endpoint=name) for name in names]

    def _endpoint(self, end: End) -> Endpoint:
        return self._charms[end.application].endpoints[end.endpoint]

    def _can_relate(self, one: End, other: End) -> bool:
        ends = (self._endpoint(one), self._endpoint(other))
        return {end.role for end in ends} == {"provides", "requires"} and ends[0].interface == ends[
            1
        ].interface

    def _explain(self, first: End, second: End, node: Node) -> None:
        """Say why no pair of endpoints fits."""
        if not first.endpoint or not second.endpoint:
            self._problems.add(
                node.place, f"cannot infer endpoint between {first} and {second}: no relations found"
            )
            return
        if not all(end.endpoint in self._charms[end.application].endpoints for end in (first, second)):
            return  # told by _possible
        one, other = self._endpoint(first), self._endpoint(second)
        if {one.role, other.role} != {"provides", "requires"}:
            names = {"provides": "provider", "requires": "requirer", "peers": "peer"}
            self._problems.add(
                node.place,
                f'relation "{first}" to "{second}" relates {names[one.role]} to {names[other.role]}',
            )
            return
        self._problems.add(
            node.place,
            f'mismatched interface between "{first}" and "{second}" ("{one.interface}" vs "{other.interface}")',
        )

    def _check_limits(self, relations: dict[tuple[End, End], Node]) -> None:
        count: Counter[End] = Counter()
        for pair, node in relations.items():
            for end in pair:
                count[end] += 1
                limit = self._endpoint(end).limit
                if limit and count[end] > limit:
                    self._problems.add(
                        node.place,
                        f'cannot add relation "{pair[0]} {pair[1]}": establishing a new relation for {end} would '
                        f"exceed its maximum relation limit of {limit}",
                    )


def _shown(relation: Node) -> str:
    ends = relation.value if isinstance(relation.value, list) else []
    return "[" + " ".join(f'"{end.text}"' for end in ends) + "]"
