"""The engine's controller is killed while the model changes."""


def test_a_killed_controller_goes_on_where_it_was(cloud, controller):
    cloud.juju.config("ceph", {"monitor-count": 1})
    controller.kill()
    cloud.settle()
    (quorum,) = cloud.run("ceph/0", "get-quorum-status")["quorum"]
    cloud.juju.config("ceph", {"monitor-count": 3})
    controller.kill()
    cloud.settle()
    assert quorum in cloud.run("ceph/0", "get-quorum-status")["quorum"]
