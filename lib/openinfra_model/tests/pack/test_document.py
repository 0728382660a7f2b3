"""YAML is read as Juju's Go reads it, and written so that Go reads the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openinfra_model.document import DocumentError, Problems, dump, parse, value_of


def read(text) -> Any:
    (node,) = parse(text, "file")
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, True) for word in ("y", "Y", "yes", "on", "true", "True")],
        *[(word, False) for word in ("n", "N", "no", "off", "false")],
        *[(word, word) for word in ("yess", "oN", "2026-11-22", "10:30", "1.2.3", "'y'", "+")],
        *[("12", 12), ("-3", -3), ("0x10", 16), ("0755", 493), ("1_000", 1000)],
        *[("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("-1.", -1.0)],
    ],
)
def test_plain_words_are_what_go_takes_them_for(text, value):
    found = read(f"key: {text}").plain()["key"]

    assert found == (text.strip("'") if isinstance(value, str) else value)
    assert type(found) is type(value)


@pytest.mark.parametrize("word", ["~", "null", ""])
def test_nothing_is_none(word):
    assert read(f"key: {word}").plain() == {"key": None}


def test_every_value_knows_its_place_and_how_it_was_written():
    node = read("a:\n  - 0x10\n  - b: yes\n").value["a"].value[1].value["b"]

    assert (str(node.place), str(node.key_place), node.text, node.value) == (
        "file:3:8",
        "file:3:5",
        "yes",
        True,
    )


def test_anchors_and_merge_keys_are_followed():
    assert read("a: &a {x: 1, y1: 2}\nb: {<<: *a, x: 3}").plain()["b"] == {"x": 3, "y1": 2}


def test_an_anchors_mapping_that_merges_another_is_met_again():
    text = "a: &a {x: 1}\nb: &b {<<: *a, x: 2, y1: 3}\nc: {<<: *b, z: 4}\nd: *b\ne: {<<: [*b, *a]}"
    found = read(text).plain()
    assert (found["b"], found["d"]) == ({"x": 2, "y1": 3}, {"x": 2, "y1": 3})
    assert (found["c"], found["e"]) == ({"x": 2, "y1": 3, "z": 4}, {"x": 2, "y1": 3})


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *[
            (word, word)
            for word in ("10:30", "2026-11-22", "2026-11-22T10:30:00Z", "", "# no value", "file:3G")
        ],
        *[("~", None), ("null", None), ("y", True), ("007", 7), ("[1, a]", [1, "a"])],
    ],
)
def test_a_word_of_a_command_line_is_what_juju_takes_it_for(word, value):
    assert value_of(word) == value
    assert type(value_of(word)) is type(value)


def test_empty_documents_are_left_out():
    assert [node.plain() for node in parse("---\n---\na: 1\n---\nb: 2\n", "file")] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", 'file:2:1: key "a" already set in map'),
        ("? [a]\n: 1", "file:1:3: a key has to be a single word"),
        ("a: [1", "file:1:6: not valid YAML"),
        ("a: \t1\n b: 2", "not valid YAML"),
        ("a: !!python/object:os.system x", "file:1:4: not valid YAML"),
        ("a: \x00", "file: not valid YAML"),
    ],
)
def test_refuses_what_is_no_yaml(text, message):
    with pytest.raises(DocumentError) as raised:
        read(text)

    assert message in str(raised.value)


def test_reading_goes_on_after_a_problem():
    problems = Problems()
    entries = problems.mapping(read("a: [1]\nb: y\nc: 1\n"), "top")

    assert problems.string(entries["a"], "a") == ""
    assert problems.boolean(entries["b"], "b") is True
    assert problems.items(entries["c"], "c") == []
    assert problems.text(entries["c"], "c") == "1"
    assert problems.found == [
        "file:1:4: a: expected string, got a list",
        "file:3:4: c: expected list, got int(1)",
    ]
    with pytest.raises(DocumentError, match="expected list"):
        problems.raise_if_any()


text = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.just("\n"))
words = st.sampled_from(
    ["y", "N", "on", "10:30", "2026-11-22", "0x1", "1e3", "null", "~", "<<", "=", "- a", "a: b"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | words
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(text | words, inner), max_leaves=8
)


@given(values.filter(lambda value: value is not None))
def test_what_is_written_is_read_back(value):
    assert read(dump(value)).plain() == value
