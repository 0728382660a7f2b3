"""Cinder's volume process: one that ends when its driver cannot be set up, and RBD volumes that guests attach by their hosts' own keys."""

import openinfra_start
from cinder.volume import manager
from cinder.volume.drivers import rbd

OLD, SECURE = "6789", "3300"
"""Where monitors listen for the first protocol, which encrypts nothing, and for the second."""


class VolumeManager(manager.VolumeManager):
    """Ends its process where Cinder's own would be down from then on."""

    def init_host(self, *args, **kwargs):
        """Set the driver up, in several tries."""
        super().init_host(*args, **kwargs)
        if not self.driver.initialized:
            openinfra_start.end("volume", RuntimeError("the Ceph driver cannot be set up"))
        openinfra_start.serves("volume")


class RBDDriver(rbd.RBDDriver):
    """Tells those who attach volumes to do so with what their host has.

    Cinder's own names a libvirt secret that is called like the cluster, with the key of Cinder's user. Without one Nova takes the user and the
    secret that its host has: no host needs Cinder's key. And it leads them to the monitors' old protocol.
    """

    def _set_default_secret_uuid(self):
        self._active_config["secret_uuid"] = None

    def _get_mon_addrs(self):
        hosts, ports = super()._get_mon_addrs()
        return hosts, [SECURE if port == OLD else port for port in ports]
