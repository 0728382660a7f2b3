"""A machine is cut off by packet loss while clients use the cloud: how long each service is away, and that nothing is lost."""

from tests.integration.clients import LIMITS


def test_services_go_on_without_the_machine_that_has_the_address(cloud, users):
    gaps = users.endure_loss(cloud)
    assert {name: gap for name, gap in gaps.items() if gap > LIMITS[name]} == {}
    users.verify()
    cloud.settle()
    cloud.wait_for_database()
    cloud.wait_for_health()


def test_a_killed_proxy_comes_back_by_itself(kill):
    kill("gateway", "haproxy.service")
