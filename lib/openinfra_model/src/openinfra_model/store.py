"""The controller's only truth: one SQLite file with every model's rows."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SCHEMA_VERSION = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, "table" TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    UNIQUE (model, "table", key)
);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = {_SCHEMA_VERSION};
"""


class StoreError(Exception):
    """The database cannot be used; the message says why."""


class Store:
    """Rows of JSON text by model, table and key, and the controller's own settings.

    A call is a transaction, on the disk when the call returns. The file holds secrets: only root can read it.
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        path.chmod(0o600)
        self._connection = sqlite3.connect(path, isolation_level=None)
        version: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in {0, _SCHEMA_VERSION}:
            raise StoreError(
                f"{path} has format {version}, this openinfra knows {_SCHEMA_VERSION}: use the openinfra that wrote it"
            )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def models(self) -> list[str]:
        """Return the ids of the models, oldest first."""
        found = self._connection.execute("SELECT model FROM rows GROUP BY model ORDER BY min(number)")
        return [model for (model,) in found]

    def load(self, model: str) -> list[tuple[str, str, str]]:
        """Return a model's rows (table, key, value) in the order they were first stored."""
        return self._connection.execute(
            'SELECT "table", key, value FROM rows WHERE model = ? ORDER BY number', (model,)
        ).fetchall()

    def save(self, model: str, changes: Mapping[tuple[str, str], str | None]) -> None:
        """Store changed rows of a model by (table, key); None removes a row."""
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                'INSERT INTO rows (model, "table", key, value) VALUES (?, ?, ?, ?)'
                " ON CONFLICT DO UPDATE SET value = excluded.value",
                [(model, *key, value) for key, value in changes.items() if value is not None],
            )
            self._connection.executemany(
                'DELETE FROM rows WHERE model = ? AND "table" = ? AND key = ?',
                [(model, *key) for key, value in changes.items() if value is None],
            )

    def remove(self, model: str) -> None:
        """Forget a model."""
        self._connection.execute("DELETE FROM rows WHERE model = ?", (model,))

    def setting(self, name: str) -> str:
        """Return a setting of the controller, empty if it was never set."""
        row = self._connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def set(self, name: str, value: str) -> None:
        """Store a setting of the controller."""
        self._connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
