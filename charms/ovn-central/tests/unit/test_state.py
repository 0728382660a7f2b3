"""Options are checked where they are read."""

import pytest

from openinfra_charm.model.status import ConfigError
from state import Member, Settings


def test_the_defaults_can_be_used(defaults):
    assert Settings.parse(defaults) == Settings(
        election_timer=4000,
        inactivity_probe=60000,
        northd_probe=5000,
        backup_directory="/var/backups/ovn-central",
        backup_retention=7,
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ovsdb-server-election-timer", 0),
        ("ovsdb-server-election-timer", 61),
        ("ovsdb-server-inactivity-probe", -1),
        ("northd-inactivity-probe", 0),
        ("backup-directory", "backups"),
        ("backup-directory", "/var/back ups"),
        ("backup-retention", 0),
    ],
)
def test_what_cannot_be_used_is_named(defaults, option, value):
    with pytest.raises(ConfigError, match=f"config {option}="):
        Settings.parse(defaults | {option: value})


def test_a_unit_that_has_said_where_it_is_only_has_no_servers():
    member = Member.parse("ovn-central/0", {"address": "10.0.0.5", "cms_address": "10.1.0.5"})
    assert (member.servers, member.clusters, member.removed, member.lost) == ({}, {}, (), False)
