"""All machines lose their power while clients write and servers run: what was acknowledged is there, and all comes back by itself."""

import time

import pytest

from .clients import ERRORS, Users, writing
from .servers import wait_for
from .site import Load

WITHOUT_WRITER_SECONDS = 45
APIS_SECONDS = 180
SERVERS_SECONDS = 480
"""Two start at once, with all else that starts."""
STATUS = "mariadb --execute \"SHOW STATUS LIKE 'wsrep_cluster_status'\""


@pytest.fixture
def kept(people):
    """A server on each of two hosts, and of each: a device of a volume with what was written there, and its digest."""
    with people.volume() as one, people.volume() as other:
        guests = {}
        try:
            for host, volume in zip(people.hosts(), (one, other), strict=False):
                guest = people.make("kept", host=host)
                guests[guest] = (volume, guest.write(people.attach(guest, volume)))
                guest.run("echo kept > /disk/kept && sync")
            yield guests
        finally:
            for guest in guests:
                people.remove(guest.id)


def test_after_a_power_loss_all_serves_again_without_the_model(cloud, clients, controller, people, kept):
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
            wait_for("the APIs answer", lambda: answering(people), APIS_SECONDS)
            for guest, (volume, digest) in kept.items():
                people.wait_for_login(guest, SERVERS_SECONDS)
                assert guest.run("cat /disk/kept") == "kept\n"
                assert guest.digest(guest.device_of(volume)) == digest, f"{guest.name} has lost what it wrote"
    cloud.settle()
    for guest in kept:
        assert people.get(guest).status == "ACTIVE"
    assert objects.verify() == objects.stop()["writes"]
    users.verify()


def answering(people) -> bool:
    """Tell whether each API answers with what is in its database."""
    connection = people.connection
    try:
        found = (
            connection.image.find_image(people.image.id),
            connection.network.find_network(people.network.id),
            connection.compute.find_flavor(people.flavor.id),
            list(connection.block_storage.volumes()),
            list(connection.load_balancer.providers()),
        )
    except ERRORS:
        return False
    return all(found)
