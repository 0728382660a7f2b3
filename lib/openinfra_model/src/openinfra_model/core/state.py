"""The tables of the model, held in memory, and which of their rows have changed since the caller last stored them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from openinfra_model.core.codec import from_json, to_json
from openinfra_model.core.entities import (
    Agent,
    Application,
    LogEntry,
    Machine,
    Model,
    Operation,
    Relation,
    Secret,
    Sequence,
    Storage,
    StoredCharm,
    Task,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from openinfra_model.core.ids import Ids

_Row = TypeVar("_Row")
Dirty = dict[tuple[str, str], str | None]


class Table(Generic[_Row]):
    """Entities of one kind by one of their fields, in the order they were first put."""

    def __init__(self, name: str, kind: type[_Row], field: str) -> None:
        self.name = name
        self.kind = kind
        self._field = field
        self.dirty: set[str] = set()
        self._rows: dict[str, _Row] = {}
        self._changed: dict[str, _Row | None] = {}

    def __getitem__(self, key: str) -> _Row:
        return self._rows[key]

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[_Row]:
        return iter(tuple(self._rows.values()))

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> _Row | None:
        """Return the row, or None where there is none."""
        return self._rows.get(key)

    def put(self, row: _Row) -> None:
        """Add a row or replace it."""
        key = str(getattr(row, self._field))
        if (before := self._rows.get(key)) is not row:
            self._rows[key] = row
            self._note(key, before)

    def remove(self, key: str) -> None:
        """Remove a row, if it is there."""
        if (before := self._rows.pop(key, None)) is not None:
            self._note(key, before)

    def _note(self, key: str, before: _Row | None) -> None:
        self.dirty.add(key)
        self._changed.setdefault(key, before)

    def take_changed(self) -> dict[str, _Row | None]:
        """Return which rows have changed since the last call, with what they were then: None for a new one."""
        changed, self._changed = self._changed, {}
        return changed

    def drain(self) -> Iterator[tuple[str, str | None]]:
        """Yield the changed rows as JSON text, None for a removed one, and forget that they changed."""
        for key in sorted(self.dirty):
            row = self._rows.get(key)
            yield key, None if row is None else json.dumps(to_json(row), separators=(",", ":"))
        self.dirty.clear()

    def load(self, key: str, text: str) -> None:
        """Put a stored row without marking it changed."""
        self._rows[key] = from_json(self.kind, json.loads(text))


class State:
    """All tables. Reading is free; whoever changes rows calls `drain` afterwards and stores what it yields.

    `ids` makes the names that must be unpredictable.
    """

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self.models = Table("models", Model, "uuid")
        self.sequences = Table("sequences", Sequence, "name")
        self.charms = Table("charms", StoredCharm, "url")
        self.machines = Table("machines", Machine, "id")
        self.applications = Table("applications", Application, "name")
        self.units = Table("units", Unit, "name")
        self.agents = Table("agents", Agent, "unit")
        self.relations = Table("relations", Relation, "id")
        self.storage = Table("storage", Storage, "id")
        self.secrets = Table("secrets", Secret, "id")
        self.operations = Table("operations", Operation, "id")
        self.tasks = Table("tasks", Task, "id")
        self.log = Table("log", LogEntry, "key")

    def tables(self) -> tuple[Table[Any], ...]:
        """Return every table."""
        return tuple(cast("Table[Any]", part) for name, part in vars(self).items() if name != "ids")

    @classmethod
    def load(cls, rows: Iterable[tuple[str, str, str]], ids: Ids) -> State:
        """Rebuild the state from stored rows (table, key, JSON text), in the order they were first stored."""
        state = cls(ids)
        tables = {table.name: table for table in state.tables()}
        for table, key, text in rows:
            tables[table].load(key, text)
        return state

    def drain(self) -> Dirty:
        """Return the rows that changed since the last call, by (table, key): JSON text, or None when removed."""
        return {(table.name, key): text for table in self.tables() for key, text in table.drain()}

    @property
    def model(self) -> Model:
        """The model."""
        return next(iter(self.models))

    def charm_of(self, application: Application) -> StoredCharm:
        """Return the charm that an application has now."""
        return self.charms[application.charm_url]

    def take(self, sequence: str) -> int:
        """Return the next number of a series, from 0 on."""
        number = found.next if (found := self.sequences.get(sequence)) else 0
        self.sequences.put(Sequence(name=sequence, next=number + 1))
        return number
