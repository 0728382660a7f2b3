"""How long clients of a cloud with three units each are not served: while certificates are replaced, and without a machine."""

import pytest

from tests.integration.clients import LIMITS, Clients, Users

from .figures import Figure

RENEWAL_LIMIT = 5


@pytest.fixture
def users(tripled, tmp_path_factory) -> Users:
    site = tripled.site
    site.wait_for_health()
    return Users(Clients(site, tmp_path_factory.mktemp("clients")), site)


def test_certificates_are_replaced(tripled, users, figures):
    site = tripled.site

    def reissue():
        site.run(site.leader("certificates"), "reissue")
        site.settle()

    gaps = users.endure(reissue)
    figures.check(
        Figure(
            what="The longest time that any client is not served while all certificates are replaced",
            measured=max(gaps.values()),
            baseline=RENEWAL_LIMIT,
            of="the limit",
            unit="s",
            budget=1,
            details=tuple(f"{name}: {gap:.1f} s" for name, gap in gaps.items()),
        )
    )


def test_the_machine_with_the_address_is_cut_off(tripled, users, figures):
    for name, gap in users.endure_loss(tripled.site).items():
        figures.check(
            Figure(
                what=f"The machine with the stable address is cut off: {name}, not served for",
                measured=gap,
                baseline=LIMITS[name],
                of="the limit",
                unit="s",
                budget=1,
            )
        )
