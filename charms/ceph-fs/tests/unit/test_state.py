"""Options and what is wrong with them."""

import pytest

from openinfra_charm.model.status import ConfigError
from state import Settings


def parse(defaults, **changed):
    return Settings.parse(defaults | {name.replace("_", "-"): value for name, value in changed.items()})


def test_the_defaults_can_be_used(defaults):
    assert parse(defaults) == Settings(active=1, standby_replay=False, cache=4 << 30)


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_mds", 0), ("max_mds", 17), ("mds_cache_memory_limit", "64M"), ("mds_cache_memory_limit", "much")],
)
def test_what_cannot_be_used_is_named(defaults, option, value):
    with pytest.raises(ConfigError, match=f"config {option.replace('_', '-')}="):
        parse(defaults, **{option: value})
