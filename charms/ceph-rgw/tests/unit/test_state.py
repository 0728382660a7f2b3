"""Options and what is wrong with them."""

import pytest

from openinfra_charm.model.status import ConfigError, NeedsOperatorError
from state import Settings, Site, check_site


def parse(defaults, **changed):
    return Settings.parse(defaults | {name.replace("_", "-"): value for name, value in changed.items()})


def test_the_defaults_can_be_used(defaults):
    settings = parse(defaults)
    assert settings.site == Site(realm="openinfra", zonegroup="regionone", zone="regionone-a")
    assert settings.roles == ("member", "manager", "admin")
    assert settings.cache_size == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("realm", ""), ("zone", "a b"), ("zonegroup", "-x"), ("region", "a/b"), ("public_hostname", "localhost"),
        ("public_hostname", "*.example.org"), ("public_hostname", "10.0.0.1"), ("keystone_roles", " , "),
        ("keystone_token_cache_size", -1), ("keystone_token_cache_size", 100_001),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(defaults, option, value):
    with pytest.raises(ConfigError, match=f"config {option.replace('_', '-')}="):
        parse(defaults, **{option: value})


def test_what_was_made_keeps_its_names():
    made = {"realm": "a", "zonegroup": "b", "zone": "c"}
    check_site(Site(realm="a", zonegroup="b", zone="c"), made)
    with pytest.raises(
        NeedsOperatorError, match="config zone=d cannot be changed to: objects are in c; set it back"
    ):
        check_site(Site(realm="a", zonegroup="b", zone="d"), made)
