"""The configuration's validation: every refusal names the option, the value and what is expected."""

import pytest

from openinfra_charm.model.status import ConfigError
from state import Config


def test_defaults_are_valid(defaults):
    config = Config.parse(defaults)
    assert (config.memory_limit, config.connection_limit, config.idle_timeout, config.threads) == (
        512,
        4096,
        0,
        4,
    )


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("memory-limit", 7, "a whole number, at least 8"),
        ("connection-limit", 0, "a whole number, 1 to 65536"),
        ("connection-limit", 65537, "a whole number, 1 to 65536"),
        ("idle-timeout", -1, "a whole number, at least 0"),
        ("threads", 65, "a whole number, 1 to 64"),
    ],
)
def test_what_cannot_be_used_is_named(defaults, option, value, expected):
    with pytest.raises(ConfigError) as error:
        Config.parse({**defaults, option: value})
    assert str(error.value) == f"config {option}={value} cannot be used: expected {expected}"
