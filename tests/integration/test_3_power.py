"""All machines lose their power while clients write: what was acknowledged is there, and all comes back by itself."""

import time

from .clients import Users, writing
from .site import Load

WITHOUT_WRITER_SECONDS = 45
STATUS = "mariadb --execute \"SHOW STATUS LIKE 'wsrep_cluster_status'\""


def test_after_a_power_loss_all_serves_again_without_the_model(cloud, clients, controller):
    """All machines at once, under load; the one that took the writes comes last, and nobody begins without it."""
    users = Users(clients, cloud)
    units = cloud.units("ceph")
    last = cloud.beside(cloud.writer, "ceph")
    # The gate deploys one database, an overlay of an operator's perhaps three.
    databases = {unit: one for one in cloud.units("mysql") for unit in units if cloud.are_together(unit, one)}
    objects = Load(cloud, "ceph/0", "probe")
    objects.start()
    for unit in (*units, *databases.values()):
        cloud.instance(unit)
    with writing(*users.all()):
        for writer in users.all():
            writer.wait_for(10, 60)
        with controller.stopped():
            cloud.power_off(*units)
            cloud.power_on(*(unit for unit in units if unit != last))
            time.sleep(WITHOUT_WRITER_SECONDS)
            for unit in databases.keys() - {last}:
                told = cloud.shell(databases[unit], STATUS, check=False)
                assert "Primary" not in told.replace("non-Primary", ""), told
            cloud.power_on(last)
            cloud.wait_for_health("ceph/0")
            assert objects.verify() > 0
            for writer in users.all():
                writer.wait_for(3, 180)
            cloud.wait_for_database()
    cloud.settle()
    assert objects.verify() == objects.stop()["writes"]
    users.verify()
