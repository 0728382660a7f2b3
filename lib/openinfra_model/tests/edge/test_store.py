"""The database: what is stored comes back, in order, and belongs to root alone."""

from __future__ import annotations

import sqlite3

import pytest

from openinfra_model.store import Store, StoreError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "controller.db"


def test_rows_come_back_in_the_order_they_were_first_stored(path):
    store = Store(path)
    store.save("m", {("units", "b/0"): "1", ("units", "a/0"): "1"})
    store.save("m", {("units", "b/0"): "2", ("machines", "0"): "1"})
    store.close()

    assert Store(path).load("m") == [("units", "b/0", "2"), ("units", "a/0", "1"), ("machines", "0", "1")]


def test_none_removes_a_row(path):
    store = Store(path)
    store.save("m", {("units", "a/0"): "1", ("units", "a/1"): "1"})
    store.save("m", {("units", "a/0"): None})
    assert store.load("m") == [("units", "a/1", "1")]


def test_models_are_apart(path):
    store = Store(path)
    store.save("old", {("units", "a/0"): "old"})
    store.save("new", {("units", "a/0"): "new"})
    assert store.models() == ["old", "new"]

    store.remove("old")

    assert store.models() == ["new"]
    assert store.load("new") == [("units", "a/0", "new")]


def test_a_transaction_that_fails_changes_nothing(path):
    store = Store(path)
    with pytest.raises(sqlite3.ProgrammingError):
        store.save("m", {("units", "a/0"): "1", ("units", "a/1"): object()})  # type: ignore[dict-item]
    assert store.load("m") == []


def test_settings_are_empty_until_set(path):
    store = Store(path)
    assert not store.setting("current-model")
    store.set("current-model", "one")
    store.set("current-model", "two")
    assert store.setting("current-model") == "two"


def test_only_the_owner_can_read_the_file_and_its_journal(path):
    path.touch(mode=0o644)
    store = Store(path)
    store.save("m", {("secrets", "x"): "hunter2"})
    assert [file.stat().st_mode & 0o077 for file in path.parent.iterdir()] == [0, 0, 0]
    store.close()


def test_a_database_of_another_format_is_refused_and_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="has format 99, this openinfra knows 1"):
        Store(path)
