"""Options: what can be used, and what is refused by name."""

import pytest

from openinfra_charm.model.status import ConfigError
from state import Settings


def test_what_nobody_has_configured_can_be_used(defaults):
    settings = Settings.parse(defaults)
    assert (settings.virt_type, settings.huge_pages, settings.shutdown_timeout) == ("auto", (), 120)


def test_huge_pages_are_sorted_by_their_size(defaults):
    settings = Settings.parse(defaults | {"huge-pages": "1G:4, 2M:512"})
    assert settings.huge_pages == ((2048, 512), (1048576, 4))


@pytest.mark.parametrize(
    ("option", "others"),
    [
        ("virt-type", {"virt-type": "xen"}),
        ("cpu-mode", {"cpu-mode": "fast"}),
        ("cpu-model", {"cpu-mode": "custom"}),
        ("cpu-model", {"cpu-model": "Nehalem"}),
        ("cpu-dedicated-set", {"cpu-dedicated-set": "four"}),
        ("cpu-dedicated-set", {"cpu-dedicated-set": "4,^4"}),
        ("cpu-shared-set", {"cpu-dedicated-set": "2-5", "cpu-shared-set": "0-2"}),
        ("huge-pages", {"huge-pages": "4K:10"}),
        ("huge-pages", {"huge-pages": "2M:10 2M:11"}),
        ("reserved-host-cpus", {"reserved-host-cpus": 2, "cpu-shared-set": "0-3"}),
        ("reserved-host-memory", {"reserved-host-memory": -1}),
        ("reserved-huge-pages", {"reserved-huge-pages": "64"}),
        ("shutdown-timeout", {"shutdown-timeout": 5}),
    ],
)
def test_what_cannot_be_used_is_named(defaults, option, others):
    with pytest.raises(ConfigError, match=f"config {option}="):
        Settings.parse(defaults | others)
