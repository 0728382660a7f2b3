"""Sizes and lists as operators write them, and what is an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openinfra_charm.values import is_address, parse_size, split


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10G", 10 << 30), ("896M", 896 << 20), ("1T", 1 << 40), ("1Ti", 1 << 40), ("4GiB", 4 << 30),
        (" 4GB ", 4 << 30), ("5K", 5120),
    ],
)  # fmt: skip
def test_sizes_are_binary(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "G", "10", "0G", "10g", "1.5G", "-1G", "10G 5M", "10X"])
def test_what_is_no_size_is_none(text):
    assert parse_size(text) is None


@given(
    st.lists(st.text("abc/", min_size=1, max_size=5), max_size=30),
    st.lists(st.sampled_from([",", " ", "\n", ", ", " ,, "]), min_size=30, max_size=30),
)
def test_a_list_has_commas_or_blanks_between_its_names(names, between):
    text = "".join(one for pair in zip(between, names, strict=False) for one in pair)
    assert split(f"{text} ") == tuple(names)


@pytest.mark.parametrize("text", ["10.0.0.5", "::1", "fd00::10"])
def test_an_address_is_told_from_a_name(text):
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["", "db.example", "10.0.0", "10.0.0.5:80", "[fd00::10]", "10.0.0.5/24", "*.example"]
)
def test_a_name_is_no_address(text):
    assert not is_address(text)
