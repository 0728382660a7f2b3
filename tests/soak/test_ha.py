"""A machine is cut off by packet loss while clients use the cloud: how long each service is away, and that nothing is lost."""

from tests.integration.clients import LIMITS, Users


def test_services_go_on_without_the_machine_that_has_the_address(cloud, clients, tell):
    users = Users(clients, cloud)
    gaps = users.endure_loss(cloud)
    tell(", ".join(f"{name} away for {gap:.1f} s" for name, gap in gaps.items()))
    assert {name: gap for name, gap in gaps.items() if gap > LIMITS[name]} == {}
    users.verify()
    cloud.settle()
    cloud.wait_for_database()
    cloud.wait_for_health()
