"""The configuration's validation: every refusal names the option, the value and what is expected."""

import pytest

from openinfra_charm.model.status import ConfigError
from state import Config


def test_defaults_are_valid(defaults):
    config = Config.parse(defaults)
    assert config.sysctl["net.core.somaxconn"] == "4096"
    # What only some kernels and machines have is not reported where it is not.
    assert {"net.netfilter.nf_conntrack_max", "net.ipv4.neigh.default.gc_thresh3"} <= config.sysctl_lenient
    assert "* soft nofile 65536" in config.limits
    assert config.ntp_servers == ("pool.ntp.org",)


def test_lists_may_be_empty(defaults):
    config = Config.parse({**defaults, "ntp-servers": "", "sysctl": "# nothing\n\n", "limits": ""})
    assert (config.ntp_servers, config.sysctl, config.limits) == ((), {}, ())


def test_a_dash_is_no_part_of_a_settings_name(defaults):
    config = Config.parse({**defaults, "sysctl": "-net.core.somaxconn = 1\nkernel.panic = 10"})
    assert config.sysctl == {"net.core.somaxconn": "1", "kernel.panic": "10"}
    assert config.sysctl_lenient == {"net.core.somaxconn"}


def test_spaces_and_comments_do_not_matter(defaults):
    config = Config.parse({**defaults, "sysctl": "net.ipv4.tcp_rmem=4096\t87380  6291456 # bytes"})
    assert config.sysctl == {"net.ipv4.tcp_rmem": "4096 87380 6291456"}


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("ntp-servers", "ntp.example.org, -x", "'-x'"),
        ("ntp-servers", "a\nmakestep 0 0", "'a\\nmakestep 0 0'"),
        ("sysctl", "net.core.somaxconn", "'net.core.somaxconn'"),
        ("sysctl", "--net.core.somaxconn = 1", "'--net.core.somaxconn = 1'"),
        ("sysctl", "panic = 1", "'panic = 1'"),
        ("sysctl", "net.core.somaxconn =", "'net.core.somaxconn ='"),
        ("limits", "* soft nofile", "'* soft nofile'"),
        ("limits", "* firm nofile 1", "'* firm nofile 1'"),
        ("limits", "* soft files 1", "'* soft files 1'"),
        ("journal-max-size", 63, "63"),
        ("journal-max-age", -1, "-1"),
        ("ssh-root-login", "yes", "'yes'"),
    ],
)
def test_what_cannot_be_used_is_named(defaults, option, value, shown):
    with pytest.raises(ConfigError) as error:
        Config.parse({**defaults, option: value})
    assert str(error.value).startswith(f"config {option}={shown} cannot be used: expected ")
