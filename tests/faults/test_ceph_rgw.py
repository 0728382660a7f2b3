"""Object gateways die while clients write."""


def test_a_killed_gateway_comes_back_by_itself(kill):
    kill("ceph-rgw", "'ceph-radosgw@*.service'")
