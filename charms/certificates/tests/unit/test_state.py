"""The options, and the phases in which a CA is replaced."""

from dataclasses import replace

import pytest

from openinfra_charm.interfaces.tls_certificates import fingerprint
from openinfra_charm.model.status import ConfigError
from state import Authority, Holder, Settings, Succession

ROOTS = [f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----" for body in ("b25l", "dHdv")]
OLD, NEW = (Authority(certificate=root, chain=(root,), begins=0, ends=900, secret=root) for root in ROOTS)
GRACE = 100


def test_defaults_are_valid(defaults):
    settings = Settings.parse(defaults)
    assert (settings.root_validity, settings.validity, settings.grace) == (
        3650 * 86400,
        90 * 86400,
        7 * 86400,
    )
    assert (settings.common_name, settings.secret) == ("openinfra CA", "")


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("12h", 43200), (" 2 w ", 1209600), ("1d", 86400)]
)
def test_durations(defaults, text, seconds):
    assert Settings.parse({**defaults, "certificate-validity": text}).validity == seconds


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("ca-common-name", " ", "1 to 64 characters"),
        ("ca-common-name", "a" * 65, "1 to 64 characters"),
        ("root-ca-validity", "90", "a number and m, h, d or w, such as 90d, at most 36500d"),
        ("root-ca-validity", "5300w", "a number and m, h, d or w, such as 90d, at most 36500d"),
        ("certificate-validity", "0d", "a number and m, h, d or w, such as 90d, at most 36500d"),
        ("certificate-validity", "-1d", "a number and m, h, d or w, such as 90d, at most 36500d"),
        ("certificate-validity", "3650d", r"less than root-ca-validity \(3650d\)"),
        ("acknowledgement-grace", "soon", "a number and m, h, d or w, such as 90d, at most 36500d"),
    ],
)
def test_a_refusal_names_option_value_and_what_is_allowed(defaults, option, value, expected):
    with pytest.raises(
        ConfigError,
        match=f"config {option}='{value.strip() if option.startswith('ca') else value}' .*{expected}",
    ):
        Settings.parse({**defaults, option: value})


def test_no_grace_is_a_grace(defaults):
    assert Settings.parse({**defaults, "acknowledgement-grace": "0m"}).grace == 0


def holder(name, trusts=(), serves="", issued="new leaf"):
    return Holder(
        name=name, issued=issued, trusts=frozenset(map(fingerprint, trusts)), serves=frozenset({serves})
    )


def test_a_ca_is_replaced_in_three_phases():
    steady = Succession(signing=OLD)
    assert steady.bundle == (ROOTS[0],)
    assert steady.advance([holder("a")], 50, GRACE) == steady
    announced = steady.announce(NEW, 50)
    assert (announced.signing, announced.bundle) == (OLD, tuple(ROOTS))
    slow, fast = holder("slow", ROOTS[:1]), holder("fast", ROOTS)
    assert announced.waits_for([slow, fast]) == ["slow"]
    assert announced.advance([slow, fast], 149, GRACE) == announced
    reissued = announced.advance([fast], 60, GRACE)
    assert (reissued.signing, reissued.bundle, reissued.since) == (NEW, tuple(ROOTS), 60)
    serving = holder("fast", ROOTS, serves="new leaf")
    assert reissued.waits_for([fast, serving]) == ["fast"]
    assert reissued.advance([fast], 61, GRACE) == reissued
    assert reissued.advance([serving], 70, GRACE) == Succession(signing=NEW, since=70)


def test_who_never_acknowledges_is_waited_for_until_the_grace_is_over():
    silent = [holder("vault")]
    announced = Succession(signing=OLD).announce(NEW, 50)
    assert announced.advance(silent, 149, GRACE) == announced
    reissued = announced.advance(silent, 150, GRACE)
    assert reissued.signing == NEW
    assert reissued.advance(silent, 249, GRACE) == reissued
    assert reissued.advance(silent, 250, GRACE).bundle == (ROOTS[1],)


def test_a_ca_that_has_ended_is_not_waited_for():
    announced = Succession(signing=OLD).announce(NEW, 850)
    reissued = announced.advance([holder("slow")], 900, GRACE)
    assert reissued.signing == NEW
    assert reissued.advance([holder("slow")], 900, GRACE).old is None


def test_a_ca_that_is_not_valid_yet_signs_no_more_but_is_trusted_until_all_serve_the_new_one():
    announced = Succession(signing=replace(OLD, begins=500)).announce(NEW, 50)
    reissued = announced.advance([holder("slow")], 51, GRACE)
    assert (reissued.signing, reissued.bundle) == (NEW, tuple(ROOTS))
    assert reissued.advance([holder("slow")], 52, GRACE) == reissued
    assert not announced.may_be_replaced(51)
    assert not reissued.may_be_replaced(52)
    assert replace(reissued, signing=replace(NEW, begins=500)).may_be_replaced(52)


def test_what_is_published_is_read_again():
    succession = Succession(signing=OLD).announce(NEW, 50)
    facts = {key: value for key, value in succession.plain().items() if value is not None}
    assert Succession.parse(facts) == succession
    assert OLD.renew_at == 600
