"""A machine is cut off by packet loss while clients use the cloud: how long each service is away, and that nothing is lost."""

from tests.integration.clients import Users

CUT_SECONDS = 60
LIMITS = {"the address": 3, "tokens": 10, "rows": 15, "objects": 40}


def test_services_go_on_without_the_machine_that_has_the_address(cloud, clients, tell):
    """The one whose loss costs the most."""
    users = Users(clients, cloud)
    victim = cloud.first_gateway
    gaps = users.endure(lambda: cloud.cut_off(victim, CUT_SECONDS))
    tell(", ".join(f"{name} away for {gap:.1f} s" for name, gap in gaps.items()))
    assert {name: gap for name, gap in gaps.items() if gap > LIMITS[name]} == {}
    users.verify()
    cloud.settle()
    cloud.wait_for_database()
    cloud.wait_for_health()
