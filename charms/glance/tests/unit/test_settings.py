"""Options: what can be used is understood, the rest is refused by name."""

import pytest

import settings
from openinfra_charm.model.status import ConfigError


def test_as_they_come_nothing_is_downloaded_and_projects_have_no_limit(defaults):
    found = settings.parse(defaults)
    assert (found.size_cap, found.quota, found.hosts) == (1 << 40, 0, ())


def test_sizes_and_hosts_are_understood(defaults):
    found = settings.parse(
        {
            **defaults, "image-size-cap": "200G", "project-quota": "500G",
            "web-download-hosts": "cloud-images.ubuntu.com, cloud.debian.org mirror.internal.example",
        }
    )  # fmt: skip
    assert (found.size_cap, found.quota) == (200 << 30, 500 << 30)
    assert found.hosts == ("cloud-images.ubuntu.com", "cloud.debian.org", "mirror.internal.example")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("image-size-cap", "0"), ("image-size-cap", "much"), ("project-quota", "all"), ("project-quota", ""),
        # An address would be a way around names; the cloud's own metadata has one.
        ("web-download-hosts", "169.254.169.254"), ("web-download-hosts", "fd00::1"), ("web-download-hosts", "localhost"),
        ("web-download-hosts", "https://cloud.debian.org"), ("web-download-hosts", "*.debian.org"),
        ("web-download-hosts", "a.b]\nallowed_ports"), ("pool-replicas", -1), ("pool-device-class", "ssd nvme"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_by_name(defaults, option, value):
    with pytest.raises(ConfigError, match=option):
        settings.parse({**defaults, option: value})
